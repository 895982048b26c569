//! The plan as data: what `xbuild plan` prints, and what runs.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::config::{BaseSource, Expansion, Naming, SourceArchive};
use crate::domain::{Arch, Digest, DockerAccess, GlibcVersion, ImageName, Name};

/// Everything that is to be done. A step stands after those that it needs.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Plan {
    /// The steps.
    pub steps: Vec<Step>,
}

/// A step's name, unique in its plan: kind, then what tells it from others, as in `binary/router/s390x`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct StepId(String);

impl StepId {
    /// A step's name from its parts.
    pub fn new(parts: &[&str]) -> StepId {
        StepId(parts.join("/"))
    }

    /// The text of it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// One piece of work.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// Its name.
    pub id: StepId,
    /// The target, where there is one.
    pub arch: Option<Arch>,
    /// Steps whose results it uses.
    pub needs: Vec<StepId>,
    /// What the result depends on beside those, by name; the key hashes both.
    pub inputs: BTreeMap<String, String>,
    /// What to do.
    pub work: Work,
}

/// The kinds of work.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Work {
    /// A layer of distribution packages.
    Packages(PackageLayer),
    /// A layer with an upstream archive.
    Archive(ArchiveLayer),
    /// A layer with a cross-built library.
    Library(LibraryBuild),
    /// A whole builder, as an image of an engine that cannot stack layers.
    Builder(BuilderImage),
    /// What a command changes in the project's tree, before programs are built from it.
    Preparation(Preparation),
    /// Programs.
    Program(ProgramBuild),
    /// An image that others start from.
    Base(BaseBuild),
    /// An image of one architecture.
    Image(ImageBuild),
}

/// Packages to resolve, download, unpack and configure.
#[derive(Debug, Clone, Serialize)]
pub struct PackageLayer {
    /// The release.
    pub suite: String,
    /// What is asked for; what that depends on comes along.
    pub names: Vec<String>,
    /// The layer that it stands on; without one, it is the base, with the essential packages.
    pub below: Option<StepId>,
    /// Only these files are kept, and nothing is configured.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keep: Vec<String>,
}

/// An archive to unpack.
#[derive(Debug, Clone, Serialize)]
pub struct ArchiveLayer {
    /// The archive.
    pub source: SourceArchive,
    /// Where its top folder's contents go.
    pub into: String,
}

/// A library to build.
#[derive(Debug, Clone, Serialize)]
pub struct LibraryBuild {
    /// Layers that it is built in, lowest first.
    pub root: Vec<StepId>,
    /// Its archive.
    pub source: SourceArchive,
    /// What runs.
    pub command: Command,
    /// Absolute paths that must be there afterwards.
    pub installs: Vec<String>,
}

/// A builder as an image.
#[derive(Debug, Clone, Serialize)]
pub struct BuilderImage {
    /// What makes it.
    pub dockerfile: String,
    /// The stage of that which is the builder.
    pub stage: String,
    /// The image that the Dockerfile starts from.
    pub base: String,
    /// Stands for the builder without its libraries: those with the same compilers share the compilers' caches.
    pub compilers: Digest,
    /// The same builder as steps of the native engine: a store that has these layers need not build anything.
    #[serde(skip)]
    pub layers: Vec<Step>,
    /// Which of these steps are stacked, lowest first.
    #[serde(skip)]
    pub stack: Vec<StepId>,
}

/// A command whose changes to the project's tree are a layer of it.
#[derive(Debug, Clone, Serialize)]
pub struct Preparation {
    /// Layers that it runs in, lowest first; none of them knows a target.
    pub root: Vec<StepId>,
    /// What runs.
    pub command: Command,
}

/// One or more programs that one command makes.
#[derive(Debug, Clone, Serialize)]
pub struct ProgramBuild {
    /// Layers of the compilers that it is built with, lowest first.
    pub root: Vec<StepId>,
    /// Layers of libraries, above those.
    pub libraries: Vec<StepId>,
    /// What is built.
    pub source: ProgramSource,
    /// What is laid over the tree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preparation: Option<StepId>,
    /// What runs.
    pub command: Command,
    /// What it makes.
    pub outputs: Vec<OutputFile>,
    /// What linkage is demanded.
    #[serde(rename = "static", skip_serializing_if = "Option::is_none")]
    pub statically_linked: Option<bool>,
    /// The highest C library version that is allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub glibc: Option<GlibcVersion>,
    /// Whose Docker engine the command may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub docker: Option<DockerAccess>,
    /// Whether the command may use the caller's SSH agent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ssh: bool,
    /// Whether the tree may be shared with other programs of the architecture.
    pub shares_tree: bool,
}

/// What a program is built from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProgramSource {
    /// The project's tree.
    Tree,
    /// An upstream archive.
    Archive(SourceArchive),
}

/// A file that a command makes.
#[derive(Debug, Clone, Serialize)]
pub struct OutputFile {
    /// In `dist/<arch>/`.
    pub name: Name,
    /// In the source tree; without one, the command writes to the output folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// A command in a builder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Command {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// The environment; `XBUILD_JOBS` is added when it runs.
    pub env: BTreeMap<String, String>,
    /// Where it runs.
    pub cwd: String,
    /// Whether it may use the network.
    pub network: bool,
    /// When it is killed; no result depends on it.
    #[serde(skip)]
    pub time_limit: Option<Duration>,
}

/// An image to have for one architecture, for others to start from.
#[derive(Debug, Clone, Serialize)]
pub struct BaseBuild {
    /// Its name, as after FROM.
    pub image: String,
    /// Where it comes from.
    pub source: BaseSource,
    /// What is written beside the packages of one that is made of them: texts by path.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
    /// Owners by path, for what the packages' own scripts cannot give away.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub owners: BTreeMap<String, String>,
    /// What runs the scripts of packages of another architecture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emulator: Option<EmulatorFile>,
}

/// An image to assemble.
#[derive(Debug, Clone, Serialize)]
pub struct ImageBuild {
    /// Its key in the project.
    pub image: Name,
    /// Its name, without a tag and without an architecture.
    pub repository: String,
    /// Its names with tags, without an architecture.
    pub names: Vec<ImageName>,
    /// What the images of its architectures are called.
    pub naming: Naming,
    /// The Dockerfile, or what it is expanded from.
    pub dockerfile: PathBuf,
    /// How the Dockerfile comes out of that.
    pub expansion: Expansion,
    /// The folder of the build context.
    pub context: PathBuf,
    /// The stage to build; the last one when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Steps of the images that it starts from or copies from.
    pub bases: Vec<StepId>,
    /// What runs its commands, if they are of another architecture than the machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emulator: Option<EmulatorFile>,
    /// Names in the context of programs.
    pub programs: BTreeMap<String, Program>,
    /// Names in the context of emulators.
    pub emulators: BTreeMap<String, EmulatorFile>,
    /// Names in the context of files.
    pub files: BTreeMap<String, PathBuf>,
    /// Values of ARG.
    pub args: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Whether RUN may use the network.
    pub network: bool,
    /// Whether steps that were done need not run again.
    pub cached: bool,
    /// Files of structure tests.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tests: Vec<PathBuf>,
    /// When the image counts as made, in seconds since 1970.
    pub created: u64,
}

/// A program of an image: always of the image's own architecture.
#[derive(Debug, Clone, Serialize)]
pub struct Program {
    /// The step that makes it.
    pub step: StepId,
    /// The name of the output.
    pub output: Name,
}

/// What runs an image's architecture on the machine that builds it.
#[derive(Debug, Clone, Serialize)]
pub struct EmulatorFile {
    /// The layer with the emulators.
    pub step: StepId,
    /// The path in it.
    pub path: String,
}

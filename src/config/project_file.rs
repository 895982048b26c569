//! `xbuild.yaml` as typed.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::base::{BaseFile, RegistryFile};
use super::format_version::FormatVersion;
use super::image::{ImageList, NamingFile, PerArch};
use super::{Passing, SourceArchive, map, yaml};
use crate::domain::{Arch, DockerAccess, EngineChoice, GlibcVersion, Name, Result, TimeLimit};

/// The whole file. Values with `{{ }}` are templates.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a map with `version`, `name`, and what is to be built")]
pub struct ProjectFile {
    /// Version of this format.
    pub version: FormatVersion,
    /// The project's name.
    pub name: Name,
    /// Name of a toolchain.
    #[serde(default = "default_toolchain")]
    pub toolchain: Name,
    /// What runs commands, unless the command line says so.
    pub engine: Option<EngineChoice>,
    /// Architectures to build for; all of the toolchain's when absent.
    #[serde(default)]
    pub arches: Vec<Arch>,
    /// Names for templates.
    #[serde(default, deserialize_with = "map::unique")]
    pub vars: BTreeMap<Name, String>,
    /// Variables of xbuild's own environment that commands see, and others.
    #[serde(default)]
    pub environment: Vec<Passing>,
    /// A shell command that runs in the source tree, once, before the programs.
    pub prepare: Option<String>,
    /// What Go programs have that do not say otherwise.
    #[serde(default)]
    pub go: GoFile,
    /// Programs to build.
    #[serde(default, deserialize_with = "map::unique")]
    pub binaries: BTreeMap<Name, BinaryFile>,
    /// Values for placeholders in any template of an image.
    #[serde(default, deserialize_with = "map::unique")]
    pub(super) substitute: BTreeMap<String, PerArch>,
    /// What the images of single architectures are called.
    #[serde(default)]
    pub(super) naming: NamingFile,
    /// Images to package.
    #[serde(default)]
    pub(super) images: ImageList,
    /// Where images come from that FROM names.
    #[serde(default, deserialize_with = "map::unique")]
    pub bases: BTreeMap<String, BaseFile>,
    /// Registries that differ from what is usual, by host and port.
    #[serde(default, deserialize_with = "map::unique")]
    pub registries: BTreeMap<String, RegistryFile>,
}

fn default_toolchain() -> Name {
    "debian-trixie".parse().expect("a legal name")
}

/// One program, or several from one command.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a map with `go` or `command`, and what else there is to a binary")]
pub struct BinaryFile {
    /// Built by `go build`.
    pub go: Option<GoFile>,
    /// Built by a shell command.
    pub command: Option<String>,
    /// Which file of the tree becomes which of `dist/<arch>/`.
    #[serde(default, deserialize_with = "map::unique")]
    pub outputs: BTreeMap<Name, String>,
    /// An upstream archive to build instead of the project's tree.
    pub source: Option<SourceArchive>,
    /// Libraries to link with: `libpcap` or `libpcap@1.10.3`.
    #[serde(default)]
    pub libs: Vec<String>,
    /// Components of the toolchain to have, beside Go's for Go programs.
    #[serde(default)]
    pub components: Vec<Name>,
    /// Whether the program must be statically linked.
    #[serde(rename = "static")]
    pub statically_linked: Option<bool>,
    /// The highest version of the C library that the program may ask for.
    pub glibc: Option<GlibcVersion>,
    /// Further environment variables.
    #[serde(default, deserialize_with = "map::unique")]
    pub env: BTreeMap<String, String>,
    /// Whether the command may use the network.
    #[serde(default)]
    pub network: bool,
    /// How long the command, or the test, may run.
    pub time_limit: Option<TimeLimit>,
    /// Whose Docker engine the command may use; none when absent.
    pub docker: Option<DockerAccess>,
    /// Whether the command may use the caller's SSH agent.
    #[serde(default)]
    pub ssh: bool,
    /// Not all of the project's architectures.
    #[serde(default)]
    pub arches: Vec<Arch>,
    /// A shell command that tries the program.
    pub test: Option<String>,
}

/// How `go build` is called.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a map with `package`, `tags`, `ldflags` and the like")]
pub struct GoFile {
    /// As in `./cmd/router`.
    pub package: Option<String>,
    /// Where `go` runs, below the project.
    pub dir: Option<String>,
    /// Build tags.
    pub tags: Option<Vec<String>>,
    /// Linker flags.
    pub ldflags: Option<Vec<String>>,
    /// No shared libraries.
    #[serde(rename = "static")]
    pub statically_linked: Option<bool>,
    /// Whether C code is built; yes when absent.
    pub cgo: Option<bool>,
    /// Further environment variables.
    #[serde(default, deserialize_with = "map::unique")]
    pub env: BTreeMap<String, String>,
}

impl ProjectFile {
    /// Parses a project; `file` is named in errors.
    ///
    /// # Errors
    /// A usage error with file, line and column.
    pub fn parse(file: &str, text: &str) -> Result<ProjectFile> {
        yaml::parse(file, text)
    }
}

//! What a build is asked for, and what it asks of others.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{Context, FinishedStage, Folders};
use crate::domain::{Arch, Digest, GitReference, Mount, Result};
use crate::image::{BaseImage, Dockerfile, LayerCache, Layout};
use std::sync::Arc;

/// What an image is made for.
#[derive(Debug, Clone)]
pub struct Target {
    /// The architecture of the image.
    pub arch: Arch,
    /// The architecture that `BUILDPLATFORM` and its like tell.
    pub build_arch: Arch,
    /// The stage to end with, by name or number; else the last.
    pub stage: Option<String>,
    /// Arguments for ARG.
    pub args: BTreeMap<String, String>,
    /// Labels that the Dockerfile may override.
    pub labels: BTreeMap<String, String>,
    /// When the image counts as made, in seconds since 1970.
    pub created: u64,
    /// The modification time of every file without one of its own. If it changes with each commit, so does every layer.
    pub mtime: u64,
}

/// Whether commands that were run before are run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Steps {
    /// What they did is taken from the store.
    Remembered,
    /// They are.
    Anew,
}

/// An image to build.
pub struct Request<'a> {
    /// What to do.
    pub file: &'a Dockerfile,
    /// Where COPY takes files from.
    pub context: &'a Context<'a>,
    /// For what.
    pub target: &'a Target,
    /// What is done with commands that were run before.
    pub steps: Steps,
    /// Takes the image.
    pub layout: &'a Layout,
    /// Knows blobs of layers.
    pub cache: &'a LayerCache,
    /// Knows files of layers.
    pub folders: &'a Folders<'a>,
    /// What the build is told of as, as in `image/router/s390x`.
    pub name: &'a str,
}

/// An image to start from, or to copy from.
pub enum Base {
    /// One in a layout.
    Image(Box<BaseImage>, PathBuf),
    /// One that was built just now.
    Stage(Arc<FinishedStage>),
}

/// Where a downloaded file is, and the digest of its bytes.
pub type Download = (PathBuf, Digest);

/// What ADD wants of a git repository.
pub struct RepositoryRequest<'a> {
    /// The repository, and what of it.
    pub reference: &'a GitReference,
    /// What the commit must be, or begin with.
    pub checksum: Option<&'a str>,
    /// Whether `.git` stays.
    pub keep_git: bool,
}

/// A git repository, checked out: files that never change.
pub struct Repository {
    /// The files.
    pub folder: PathBuf,
    /// The whole hash of the commit.
    pub commit: String,
}

/// What a build asks of others.
pub struct Services<'a> {
    /// Finds an image by name.
    pub base: &'a (dyn Fn(&str, Arch) -> Result<Base> + Sync),
    /// Runs a command; an error if it fails.
    pub run: &'a (dyn Fn(&RunRequest) -> Result<()> + Sync),
    /// Downloads a file, which must have the digest if one is given; where it is, and its digest.
    pub fetch: &'a (dyn Fn(&str, Option<Digest>) -> Result<Download> + Sync),
    /// Checks a git repository out.
    pub repository: &'a (dyn Fn(&RepositoryRequest<'_>) -> Result<Repository> + Sync),
    /// Gives a secret by its name.
    pub secret: &'a (dyn Fn(&str) -> Result<Option<Vec<u8>>> + Sync),
    /// Gives the socket of an SSH agent by its name.
    pub agent: &'a (dyn Fn(&str) -> Result<Option<PathBuf>> + Sync),
    /// Tells what happens.
    pub tell: &'a (dyn Fn(Note) + Sync),
}

/// What happens during a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// The user should know this.
    Warning(String),
    /// The command of a step had been run before.
    Remembered(String),
}

/// A command to run.
#[derive(Debug, Clone)]
pub struct RunRequest {
    /// What it is told of as, as in `image/router/s390x:7`.
    pub step: String,
    /// What it does, for people.
    pub text: String,
    /// The stage that it belongs to, by name or number.
    pub stage: String,
    /// Whose programs it runs.
    pub arch: Arch,
    /// The root's folders, lowest first.
    pub layers: Vec<PathBuf>,
    /// Takes what it changes.
    pub upper: PathBuf,
    /// An empty folder on the file system of `upper`.
    pub scratch: PathBuf,
    /// Program and arguments.
    pub argv: Vec<String>,
    /// The whole environment.
    pub env: BTreeMap<String, String>,
    /// Absolute.
    pub cwd: String,
    /// User and group.
    pub owner: (u32, u32),
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// In this order.
    pub mounts: Vec<Mount>,
    /// Whether the machine's network is there.
    pub network: bool,
}

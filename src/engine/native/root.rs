//! Composes the spec of a sandbox from layers of the store.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::sandbox::{self, Command, Identity, Limits, Mount, Network, Spec, Stdio, Stop};
use crate::domain::{Digest, Error, Result};
use crate::engine::{Workshop, layer_path};
use crate::store::{Scratch, remove_tree};

/// The layers of a builder's root, by their keys.
#[derive(Debug, Clone, Default)]
pub struct Root {
    /// Base, compilers and languages, lowest first. Compilers' caches are shared by all roots with the same.
    pub compilers: Vec<Digest>,
    /// Libraries, above those.
    pub libraries: Vec<Digest>,
}

impl Root {
    /// All layers, lowest first.
    pub fn layers(&self) -> Vec<Digest> {
        [self.compilers.as_slice(), &self.libraries].concat()
    }
}

/// What a root is to be like.
pub struct RootRequest<'a> {
    /// Keys of its layers, lowest first.
    pub layers: &'a [Digest],
    /// Takes what is written, on the file system of the store; a folder of `scratch` when absent.
    pub upper: Option<PathBuf>,
    /// For the sandbox's own use; must outlive it.
    pub scratch: &'a Scratch,
    /// Whether the machine's network is there.
    pub network: Network,
}

/// A spec with a root of layers and no commands yet.
///
/// # Errors
/// An environment error on a full disk.
pub fn open_root(workshop: &Workshop, request: RootRequest<'_>) -> Result<Spec> {
    let layers = request.layers.iter().map(|key| layer_path(&workshop.store, key)).collect();
    let upper = request.upper.map_or_else(|| request.scratch.folder("upper"), Ok)?;
    let root = sandbox::Root { layers, upper, scratch: request.scratch.folder("overlay")? };
    let mut mounts = Vec::new();
    if request.network == Network::Host {
        // What is downloaded over TLS is checked against the machine's authorities.
        for path in ["/etc/ssl/certs", "/usr/share/ca-certificates"].map(PathBuf::from) {
            if path.exists() {
                mounts.push(Mount::Bind { source: path.clone(), target: path, read_only: true });
            }
        }
    }
    Ok(Spec {
        identity: workshop.identity.clone(),
        root: Some(root),
        mounts,
        network: request.network,
        emulators: Vec::new(),
        processors: Some(workshop.jobs),
        commands: Vec::new(),
        parallel: 1,
        stdio: Stdio::Together,
    })
}

/// Removes a tree of the store's in which some files may belong to subordinate ids.
///
/// # Errors
/// An environment error when it cannot be removed even so.
pub fn remove_as_root(path: &Path) -> Result<()> {
    let identity = Identity::detect();
    match remove_tree(path) {
        Err(_) if matches!(identity, Identity::Range { .. }) => {}
        other => return other,
    }
    let argv = ["/bin/rm", "-rf", "--one-file-system", "--"].map(str::to_owned).into_iter();
    let command = Command {
        argv: argv.chain([path.display().to_string()]).collect(),
        env: BTreeMap::new(),
        cwd: "/".into(),
        user: None,
        limits: Limits::default(),
    };
    let spec = Spec {
        identity,
        root: None,
        mounts: Vec::new(),
        network: Network::Host,
        emulators: Vec::new(),
        processors: None,
        commands: vec![command],
        parallel: 1,
        stdio: Stdio::Together,
    };
    match sandbox::run_one(&spec, &Stop::default(), &mut |_, _| {})?.success() {
        true => Ok(()),
        false => Err(Error::environment(format!("cannot remove {}", path.display()))),
    }
}

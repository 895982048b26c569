//! Sandboxes made for no other purpose than to see whether they can be made.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::domain::{Error, Result, ResultExt};
use crate::engine::native::sandbox::{
    Command, Emulator, Identity, Limits, Mount, Network, Root, Spec, Stdio, Stop, run_one,
};
use crate::store::{Bucket, Scratch};

/// Folders with what a program of the machine's needs in order to run; `/nix` and `/gnu` on the systems of those names.
const PROGRAM_FOLDERS: [&str; 7] = ["/usr", "/lib", "/lib32", "/lib64", "/bin", "/nix", "/gnu"];

/// A spec without a root: namespaces and an id map, nothing else.
pub(super) fn namespaces_only(identity: Identity) -> Spec {
    Spec {
        identity,
        root: None,
        mounts: Vec::new(),
        network: Network::None,
        emulators: Vec::new(),
        processors: None,
        commands: Vec::new(),
        parallel: 1,
        stdio: Stdio::Apart,
    }
}

/// A place for a sandbox's root, with its files in `upper`.
pub(super) struct Trial {
    scratch: Scratch,
    upper: PathBuf,
}

impl Trial {
    /// Below the store, or below its nearest ancestor while there is no store, which is on the same file system.
    pub(super) fn new(store: &Path) -> Result<Trial> {
        let temporary = store.join(Bucket::Temporary.folder());
        let scratch = Scratch::new(&existing(&temporary).canonicalize().or_environment(|| "no store".into())?)?;
        let upper = scratch.folder("upper")?;
        Ok(Trial { scratch, upper })
    }

    /// Where files of the sandbox's root can be put beforehand.
    pub(super) fn upper(&self) -> &Path {
        &self.upper
    }

    /// Runs a command in a full sandbox that shows the machine's own programs, and answers whether it succeeded.
    pub(super) fn run(&self, emulators: Vec<Emulator>, argv: &[&str]) -> Result<()> {
        let layer = self.scratch.path().join("layer");
        fs::create_dir_all(layer.join("tmp")).or_environment(|| format!("cannot make {}", layer.display()))?;
        let work = self.scratch.folder("work")?;
        let folders = PROGRAM_FOLDERS.iter().map(PathBuf::from).filter(|folder| folder.is_dir());
        let spec = Spec {
            root: Some(Root { layers: vec![layer], upper: self.upper.clone(), scratch: work }),
            mounts: folders
                .map(|folder| Mount::Bind { source: folder.clone(), target: folder, read_only: true })
                .collect(),
            emulators,
            commands: vec![Command {
                argv: argv.iter().map(|word| (*word).to_owned()).collect(),
                env: BTreeMap::from([("PATH".into(), "/usr/bin:/bin".into())]),
                cwd: "/tmp".into(),
                user: None,
                limits: Limits::default(),
            }],
            ..namespaces_only(Identity::detect())
        };
        let mut words = Vec::new();
        let exit = run_one(&spec, &Stop::default(), &mut |_, bytes| words.extend_from_slice(bytes))?;
        if exit.success() {
            return Ok(());
        }
        let words = String::from_utf8_lossy(&words);
        Err(Error::environment(format!("{} in a sandbox: {exit} {}", argv.join(" "), words.trim())))
    }
}

/// A path, or its nearest ancestor that is there.
pub(super) fn existing(path: &Path) -> &Path {
    path.ancestors().find(|ancestor| ancestor.is_dir()).unwrap_or(Path::new("/"))
}

/// A small program of the machine's that does nothing with success, by the path that holds it really.
pub(super) fn program() -> Result<PathBuf> {
    let usual = ["/usr/bin/true", "/bin/true"].map(PathBuf::from).into_iter().find(|path| path.is_file());
    let found = usual.or_else(|| which::which("true").ok());
    let path = found.ok_or_else(|| Error::environment("this machine has no program `true` to try a sandbox with"))?;
    path.canonicalize().or_environment(|| format!("cannot find {}", path.display()))
}

//! Which files of the machine an engine sees.

use std::path::{Path, PathBuf};

use crate::support::{Identity, stores};

/// Whether what a test mounts into a container is there for the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Files {
    /// Folders of tests, stores and the checkout have the same paths, as with an engine on the machine itself.
    Seen,
    /// None, as with an engine on another machine.
    Unseen,
}

impl Files {
    pub(super) fn folders(self) -> Vec<PathBuf> {
        if self == Files::Unseen {
            return Vec::new();
        }
        let homes = [Identity::Range, Identity::Single].map(Identity::home);
        let folders = [std::env::temp_dir(), stores::place(Identity::Own), env!("CARGO_MANIFEST_DIR").into()];
        let mut folders: Vec<PathBuf> =
            folders.iter().chain(&homes).map(|folder| folder.canonicalize().expect("it is there")).collect();
        // What is below another comes with it.
        folders.sort();
        folders.dedup_by(|folder, above| folder.starts_with(Path::new(above)));
        folders
    }
}

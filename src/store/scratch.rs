//! A folder for work in progress.

use std::path::{Path, PathBuf};

use super::remove_tree;
use crate::domain::{Result, ResultExt};

/// A folder that is removed, with all that is in it, when the value is dropped.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// A new folder below another.
    ///
    /// # Errors
    /// An environment error.
    pub fn new(parent: &Path) -> Result<Scratch> {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        let folder = tempfile::Builder::new()
            .permissions(mode)
            .tempdir_in(parent)
            .or_environment(|| format!("cannot make a folder in {}", parent.display()))?;
        Ok(Scratch { path: folder.keep() })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A new folder in it.
    ///
    /// # Errors
    /// An environment error.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.path.join(name);
        let failed = || format!("cannot make {}", path.display());
        std::fs::create_dir(&path).or_environment(failed)?;
        // It may become a root, which is the same whatever the caller's mask is.
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&path, mode).or_environment(failed)?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed now is garbage for `cache gc`.
        let _ = remove_tree(&self.path);
    }
}

//! A folder for work in progress.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::remove_tree;
use crate::domain::{Result, ResultExt};

/// Of folders that may become a root, which is the same whatever the caller's mask is.
const MODE: u32 = 0o755;

/// A folder that is removed, with all that is in it, when the value is dropped.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    /// Where it is left for the next one instead.
    spare: Option<PathBuf>,
}

impl Scratch {
    /// A new folder below another.
    ///
    /// # Errors
    /// An environment error.
    pub fn new(parent: &Path) -> Result<Scratch> {
        let folder = tempfile::Builder::new()
            .permissions(fs::Permissions::from_mode(MODE))
            .tempdir_in(parent)
            .or_environment(|| format!("cannot make a folder in {}", parent.display()))?;
        Ok(Scratch { path: folder.keep(), spare: None })
    }

    /// The same, but with the empty folders of the last one, which is left for it at `spare`. To make folders and to remove them
    /// is a sixth of the time that a short command takes where the file system tells the disk of all that it frees.
    ///
    /// # Errors
    /// An environment error.
    pub fn again(parent: &Path, spare: &str) -> Result<Scratch> {
        let spare = parent.join(spare);
        // Two may want it, and one of them gets it.
        let taken = tempfile::Builder::new().make_in(parent, |path| fs::rename(&spare, path));
        let taken = taken.ok().and_then(|taken| taken.into_temp_path().keep().ok());
        let mut scratch = taken.map_or_else(|| Scratch::new(parent), |path| Ok(Scratch { path, spare: None }))?;
        scratch.spare = Some(spare);
        Ok(scratch)
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
        match fs::create_dir(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && self.spare.is_some() => return Ok(path),
            made => made.or_environment(failed)?,
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(MODE)).or_environment(failed)?;
        Ok(path)
    }

    /// Leaves nothing but empty folders that are as new; whether that was possible.
    fn empty(&self) -> bool {
        let entries = |folder: &Path| fs::read_dir(folder).ok()?.map(|entry| Some(entry.ok()?.path())).collect();
        let empty = |folder: &PathBuf| {
            let inside: Option<Vec<PathBuf>> = entries(folder);
            is_as_new(folder) && inside.is_some_and(|inside| inside.iter().all(|path| remove_tree(path).is_ok()))
        };
        let folders: Option<Vec<PathBuf>> = entries(&self.path);
        folders.is_some_and(|folders| folders.iter().all(empty))
    }
}

/// What was the root of a sandbox may have got other rights there.
fn is_as_new(folder: &Path) -> bool {
    let is_plain = |metadata: fs::Metadata| {
        metadata.is_dir()
            && metadata.mode() & 0o7777 == MODE
            && metadata.uid() == nix::unistd::Uid::effective().as_raw()
    };
    let attributes = rustix::fs::llistxattr(folder, &mut [0_u8; 0][..]);
    fs::symlink_metadata(folder).is_ok_and(is_plain) && attributes == Ok(0)
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(spare) = &self.spare
            && self.empty()
            && fs::rename(&self.path, spare).is_ok()
        {
            return;
        }
        // What cannot be removed now is garbage for `cache gc`.
        let _ = remove_tree(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spare_one_is_empty_and_is_used_once() {
        let parent = tempfile::tempdir().unwrap();
        let first = Scratch::again(parent.path(), "spare").unwrap();
        let upper = first.folder("upper").unwrap();
        fs::create_dir_all(upper.join("deep/er")).unwrap();
        let inode = fs::metadata(&upper).unwrap().ino();
        drop(first);
        let second = Scratch::again(parent.path(), "spare").unwrap();
        let third = Scratch::again(parent.path(), "spare").unwrap();
        assert_ne!(second.path(), third.path());
        let upper = second.folder("upper").unwrap();
        assert_eq!(fs::metadata(&upper).unwrap().ino(), inode);
        assert_eq!(fs::read_dir(&upper).unwrap().count(), 0);
        drop(third);
        drop(second);
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_with_other_rights_is_not_used_again() {
        let parent = tempfile::tempdir().unwrap();
        let scratch = Scratch::again(parent.path(), "spare").unwrap();
        let upper = scratch.folder("upper").unwrap();
        fs::set_permissions(upper, fs::Permissions::from_mode(0o700)).unwrap();
        drop(scratch);
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }
}

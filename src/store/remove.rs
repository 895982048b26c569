//! Removes folders whose modes and owners resist it.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::domain::{Result, ResultExt};

/// Removes a file, or a folder with all that is in it, following no links. What is not there is removed already.
///
/// # Errors
/// An environment error, for instance when a subfolder belongs to another user.
pub fn remove_tree(path: &Path) -> Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Ok(metadata) if !metadata.is_dir() => fs::remove_file(path),
        _ => match fs::remove_dir_all(path) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                open_up(path);
                fs::remove_dir_all(path)
            }
            other => other,
        },
    }
    .or_environment(|| format!("cannot remove {}", path.display()))
}

/// Gives the owner all rights on every folder; errors show when the removal is tried again.
fn open_up(folder: &Path) {
    let _ = fs::set_permissions(folder, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path());
        }
    }
}

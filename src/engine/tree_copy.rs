//! Copies of trees: with modes and times, sharing what the file system can share.

use std::fs::{self, File, FileTimes};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use crate::domain::{Result, ResultExt};
use crate::image::is_whiteout;

/// Copies what is in a folder into another, over what is there. Deviates where one of the folders to leave out is met; what
/// is no file, folder or link is left out too, and a whiteout removes what it hides.
///
/// # Errors
/// An environment error when something cannot be read or written.
pub(in crate::engine) fn copy_tree(from: &Path, to: &Path, leave_out: &[&Path]) -> Result<()> {
    let failed = || format!("cannot read {}", from.display());
    for entry in fs::read_dir(from).or_environment(failed)? {
        let entry = entry.or_environment(failed)?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if leave_out.contains(&source.as_path()) {
            continue;
        }
        let metadata = fs::symlink_metadata(&source).or_environment(|| format!("cannot read {}", source.display()))?;
        if metadata.is_dir() {
            make_folder(&target, &metadata)?;
            copy_tree(&source, &target, leave_out)?;
        } else {
            copy_file(&source, &target, &metadata)?;
        }
    }
    Ok(())
}

/// Copies a single file, link or whiteout, over what is there.
///
/// # Errors
/// As for [`copy_tree`].
pub(in crate::engine) fn copy_file(source: &Path, target: &Path, metadata: &fs::Metadata) -> Result<()> {
    let failed = || format!("cannot copy {} to {}", source.display(), target.display());
    let whiteout = is_whiteout(metadata);
    if !(metadata.is_file() || metadata.is_symlink() || whiteout) {
        return Ok(());
    }
    remove(target).or_environment(failed)?;
    if metadata.is_symlink() {
        symlink(fs::read_link(source).or_environment(failed)?, target).or_environment(failed)?;
    } else if !whiteout {
        fs::copy(source, target).or_environment(failed)?;
        // Whoever compares times, as make does, finds them as they were.
        let times = FileTimes::new().set_modified(metadata.modified().or_environment(failed)?);
        File::open(target).and_then(|file| file.set_times(times)).or_environment(failed)?;
    }
    Ok(())
}

/// Makes a folder that its owner can write, with a mode like another's.
pub(in crate::engine) fn make_folder(target: &Path, like: &fs::Metadata) -> Result<()> {
    let failed = || format!("cannot make {}", target.display());
    if !target.symlink_metadata().is_ok_and(|there| there.is_dir()) {
        remove(target).or_environment(failed)?;
        fs::create_dir(target).or_environment(failed)?;
    }
    let mode = like.permissions().mode() & 0o777 | 0o700;
    fs::set_permissions(target, fs::Permissions::from_mode(mode)).or_environment(failed)
}

fn remove(path: &Path) -> std::io::Result<()> {
    match path.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(_) => Ok(()),
    }
}

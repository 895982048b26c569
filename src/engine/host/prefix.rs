//! The libraries of a builder in one folder, as links into their layers.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::domain::{Result, ResultExt};

/// Fills a folder with what some layers have below a prefix such as `/usr/<triple>`; the last one wins.
///
/// # Errors
/// An environment error when something cannot be read or written.
pub(super) fn fill_prefix(folder: &Path, layers: &[PathBuf], prefix: &str) -> Result<()> {
    for layer in layers {
        let below = layer.join(prefix.trim_start_matches('/'));
        if below.is_dir() {
            link(&below, folder)?;
        }
    }
    Ok(())
}

fn link(from: &Path, to: &Path) -> Result<()> {
    let failed = || format!("cannot make links to {}", from.display());
    for entry in fs::read_dir(from).or_environment(failed)? {
        let entry = entry.or_environment(failed)?;
        let target = to.join(entry.file_name());
        if entry.file_type().or_environment(failed)?.is_dir() {
            fs::create_dir_all(&target).or_environment(failed)?;
            link(&entry.path(), &target)?;
        } else {
            if target.symlink_metadata().is_ok() {
                fs::remove_file(&target).or_environment(failed)?;
            }
            symlink(entry.path(), &target).or_environment(failed)?;
        }
    }
    Ok(())
}

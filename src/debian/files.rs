//! Files in a root that no package brings.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::domain::{Result, ResultExt};

use super::alias;
use super::tree::Tree;

/// Writes texts by their absolute paths into a root; one that starts with `#!` can be run. No link is followed, and what
/// is there already is an error.
///
/// # Errors
/// An environment error that names the file.
pub fn write_files(root: &Path, files: &BTreeMap<String, String>) -> Result<()> {
    let mut tree = Tree::open(root)?;
    for (path, text) in files {
        let failed = || format!("cannot write {path}");
        let parts: Vec<OsString> = path.split('/').filter(|part| !part.is_empty()).map(OsString::from).collect();
        let mut file = tree.create(&alias::resolve(parts)).context(failed)?;
        file.write_all(text.as_bytes()).or_environment(failed)?;
        let mode = if text.starts_with("#!") { 0o755 } else { 0o644 };
        file.set_permissions(fs::Permissions::from_mode(mode)).or_environment(failed)?;
    }
    Ok(())
}

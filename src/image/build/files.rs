//! Where COPY takes its files from: the build context, a stage, another image.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use crate::domain::{Error, Result, ResultExt};
use crate::image::glob::{self, DoubleStar, Glob};
use crate::image::layer::Entry;

/// What a name is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    Symlink(PathBuf),
    /// A file, a device, anything else.
    Other,
}

/// A name with no symbolic link in it but perhaps the last part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// Relative to the root.
    pub(super) name: PathBuf,
    pub(super) kind: Kind,
}

impl Found {
    pub(super) fn is_folder(&self) -> bool {
        self.kind == Kind::Directory
    }
}

/// A tree of files to copy from.
pub(super) trait Files {
    /// What a name leads to, every link followed inside the tree.
    fn resolve(&self, name: &Path) -> Result<Option<Found>>;

    /// What is in a folder, sorted, nothing followed.
    fn list(&self, folder: &Found) -> Result<Vec<Found>>;

    /// What a layer says of it.
    fn entry(&self, found: &Found) -> Result<Entry>;

    /// Whether a rule keeps a name out of the tree; a folder is still looked into.
    fn leaves_out(&self, name: &Path) -> bool;

    /// Whether a folder that is left out need not be looked into.
    fn skips(&self, folder: &Path) -> bool;

    /// Says that a name is not there.
    fn missing(&self, name: &Path, source: &str) -> Error;
}

/// Everything below a folder, parents first; folders that are left out are there only for what is in them.
pub(super) fn walk(files: &dyn Files, folder: &Found) -> Result<Vec<Found>> {
    let mut out = Vec::new();
    walk_into(files, folder, &mut out)?;
    Ok(out)
}

fn walk_into(files: &dyn Files, folder: &Found, out: &mut Vec<Found>) -> Result<()> {
    for found in files.list(folder)? {
        if !found.is_folder() {
            out.push(found);
            continue;
        }
        let excluded = files.leaves_out(&found.name);
        if excluded && files.skips(&found.name) {
            continue;
        }
        out.push(found.clone());
        let before = out.len();
        walk_into(files, &found, out)?;
        if excluded && out.len() == before {
            out.pop();
        }
    }
    Ok(())
}

/// The parts of a name; a leading `/` means the tree's root.
pub(super) fn parts(name: &Path) -> Result<Vec<OsString>> {
    let mut parts = Vec::new();
    for component in name.components() {
        match component {
            Component::Normal(part) => parts.push(part.to_owned()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            Component::ParentDir => {
                return Err(Error::usage(format!("'{}' leads out of the build context", name.display()))
                    .hint("list the file in the image's 'files:' under a name of its own, and COPY that"));
            }
        }
    }
    Ok(parts)
}

/// The names that a source stands for, sorted; without a pattern in it, the name itself.
pub(super) fn matches(files: &dyn Files, source: &str) -> Result<Vec<PathBuf>> {
    let parts = parts(Path::new(source))?;
    if !glob::is_pattern(source.as_bytes()) {
        return Ok(vec![parts.iter().collect()]);
    }
    let mut names = vec![PathBuf::new()];
    for part in &parts {
        let mut next = Vec::new();
        for name in &names {
            match_part(files, name, part, &mut next).context(|| format!("the pattern '{source}'"))?;
        }
        names = next;
    }
    let mut there = Vec::new();
    for name in names {
        if files.resolve(&name)?.is_some() {
            there.push(name);
        }
    }
    Ok(there)
}

fn match_part(files: &dyn Files, name: &Path, part: &OsStr, out: &mut Vec<PathBuf>) -> Result<()> {
    if !glob::is_pattern(part.as_bytes()) {
        // What a pattern escapes stands for itself.
        let literal: Vec<u8> = part.as_bytes().iter().copied().filter(|b| *b != b'\\').collect();
        out.push(name.join(OsString::from_vec(literal)));
        return Ok(());
    }
    let glob = Glob::new(part.as_bytes(), DoubleStar::IsStar).map_err(Error::usage)?;
    let Some(folder) = files.resolve(name)?.filter(Found::is_folder) else { return Ok(()) };
    for found in files.list(&folder)? {
        let last = found.name.file_name().unwrap_or_default();
        let empty = || Ok::<_, Error>(files.leaves_out(&found.name) && walk(files, &found)?.is_empty());
        if glob.matches(last.as_bytes()) && !(found.is_folder() && empty()?) {
            out.push(name.join(last));
        }
    }
    Ok(())
}

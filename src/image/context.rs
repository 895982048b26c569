//! The build context: a folder, with files of other places put into it, and nothing outside it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use std::{fs, io};

use super::Ignore;
use super::glob::{self, DoubleStar, Glob};
use crate::domain::{Digest, Error, Result, ResultExt};

/// Symbolic links followed on the way to one file, as the kernel allows.
const MAX_LINKS: usize = 40;

/// Where COPY takes its files from.
pub struct Context<'a> {
    /// The folder.
    pub dir: &'a Path,
    /// Names in the context of files and folders that stand elsewhere, such as programs of `dist/<arch>/`.
    /// They hide what the folder has under the same name, and no rule excludes them.
    pub files: &'a BTreeMap<PathBuf, PathBuf>,
    /// What of the folder is not in the context.
    pub ignore: &'a Ignore,
    /// The digest of a file's content; may remember what it has read.
    pub digest: &'a (dyn Fn(&Path) -> Result<Digest> + Sync),
}

/// What a name of the context is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    File { executable: bool },
    Symlink(PathBuf),
}

/// A name of the context, with no symbolic link in it but perhaps the last part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// The name in the context.
    pub(super) name: PathBuf,
    /// The file on disk.
    pub(super) path: PathBuf,
    pub(super) kind: Kind,
}

/// The parts of a context name; a leading `/` means the context's root.
fn parts(name: &Path) -> Result<Vec<OsString>> {
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

impl Context<'_> {
    /// The file on disk behind a name, and whether it came from `files`.
    fn place(&self, name: &Path) -> (PathBuf, bool) {
        for above in name.ancestors().filter(|above| !above.as_os_str().is_empty()) {
            if let Some(source) = self.files.get(above) {
                let rest = name.strip_prefix(above).unwrap_or(Path::new(""));
                return (if rest.as_os_str().is_empty() { source.clone() } else { source.join(rest) }, true);
            }
        }
        (if name.as_os_str().is_empty() { self.dir.to_owned() } else { self.dir.join(name) }, false)
    }

    /// What a name is, its last part not followed; excluded files are not there, excluded folders still are.
    fn look(&self, name: &Path) -> Result<Option<Found>> {
        let found = |path, kind| Ok(Some(Found { name: name.to_owned(), path, kind }));
        let (path, placed) = self.place(name);
        if !placed && self.files.keys().any(|key| key != name && key.starts_with(name)) {
            return found(path, Kind::Directory);
        }
        // The context's own folder and the files of `files` may be links: who wrote them down meant what they point to.
        let follow = name.as_os_str().is_empty() || self.files.contains_key(name);
        let metadata = if follow { fs::metadata(&path) } else { fs::symlink_metadata(&path) };
        let metadata = match metadata {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) && !follow => {
                return Ok(None);
            }
            other => other.or_usage(|| format!("cannot read {}", path.display()))?,
        };
        let kind = if metadata.is_dir() {
            Kind::Directory
        } else if metadata.is_symlink() {
            Kind::Symlink(fs::read_link(&path).or_usage(|| format!("cannot read {}", path.display()))?)
        } else if metadata.is_file() {
            Kind::File { executable: metadata.permissions().mode() & 0o111 != 0 }
        } else {
            return Err(Error::usage(format!("{} is no file, folder or symbolic link", path.display()))
                .hint("exclude it in .dockerignore"));
        };
        if !placed && kind != Kind::Directory && self.ignore.excludes(name) {
            return Ok(None);
        }
        found(path, kind)
    }

    /// What a name leads to, every link followed inside the context.
    pub(super) fn resolve(&self, name: &Path) -> Result<Option<Found>> {
        let mut todo = parts(name)?;
        todo.reverse();
        let mut current = self.look(Path::new(""))?;
        let mut links = 0;
        while let Some(part) = todo.pop() {
            let here = match &current {
                Some(found) if found.kind == Kind::Directory => found.name.clone(),
                _ => return Ok(None),
            };
            if part == ".." {
                current = self.look(here.parent().unwrap_or(Path::new("")))?;
                continue;
            }
            let next = here.join(&part);
            let Some(found) = self.look(&next)? else { return Ok(None) };
            let Kind::Symlink(target) = &found.kind else {
                current = Some(found);
                continue;
            };
            links += 1;
            if links > MAX_LINKS {
                return Err(Error::usage(format!("'{}': too many symbolic links", name.display())));
            }
            let outside = || {
                let (next, target) = (next.display(), target.display());
                Error::usage(format!("'{next}' is a symbolic link to '{target}', which is outside the build context"))
                    .hint("copy the file into the context, or list it in the image's 'files:'")
            };
            let mut depth = here.components().count();
            for component in target.components() {
                match component {
                    Component::Normal(_) => depth += 1,
                    Component::CurDir => {}
                    Component::ParentDir if depth > 0 => depth -= 1,
                    _ => return Err(outside()),
                }
            }
            let relative = target.components().filter(|part| *part != Component::CurDir);
            todo.extend(relative.rev().map(|part| part.as_os_str().to_owned()));
        }
        Ok(current)
    }

    /// What is in a folder, sorted, nothing followed.
    fn list(&self, folder: &Found) -> Result<Vec<Found>> {
        let mut names: BTreeSet<OsString> = BTreeSet::new();
        match fs::read_dir(&folder.path) {
            Ok(entries) => {
                for entry in entries {
                    names.insert(entry.or_usage(|| format!("cannot read {}", folder.path.display()))?.file_name());
                }
            }
            // A folder that is there only because of a file put into it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).or_usage(|| format!("cannot read {}", folder.path.display())),
        }
        for key in self.files.keys() {
            if let Some(Component::Normal(name)) =
                key.strip_prefix(&folder.name).ok().and_then(|rest| rest.components().next())
            {
                names.insert(name.to_owned());
            }
        }
        names.iter().filter_map(|name| self.look(&folder.name.join(name)).transpose()).collect()
    }

    /// Everything below a folder, parents first, names relative to it.
    pub(super) fn walk(&self, folder: &Found) -> Result<Vec<(PathBuf, Found)>> {
        let mut out = Vec::new();
        self.walk_into(folder, &folder.name, &mut out)?;
        Ok(out)
    }

    fn walk_into(&self, folder: &Found, root: &Path, out: &mut Vec<(PathBuf, Found)>) -> Result<()> {
        for found in self.list(folder)? {
            let relative = found.name.strip_prefix(root).unwrap_or(&found.name).to_owned();
            if found.kind != Kind::Directory {
                out.push((relative, found));
                continue;
            }
            let excluded = self.is_excluded(&found.name);
            if excluded && !self.ignore.has_exceptions() && !self.holds_files(&found.name) {
                continue;
            }
            out.push((relative, found.clone()));
            let before = out.len();
            self.walk_into(&found, root, out)?;
            if excluded && out.len() == before {
                out.pop();
            }
        }
        Ok(())
    }

    fn holds_files(&self, name: &Path) -> bool {
        self.files.keys().any(|key| key.starts_with(name))
    }

    /// Whether a name is excluded, and did not come from `files`.
    pub(super) fn is_excluded(&self, name: &Path) -> bool {
        !name.as_os_str().is_empty() && !self.place(name).1 && self.ignore.excludes(name)
    }

    /// The names that a COPY source stands for, sorted; without a pattern in it, the name itself.
    pub(super) fn matches(&self, source: &str) -> Result<Vec<PathBuf>> {
        let parts = parts(Path::new(source))?;
        if !glob::is_pattern(source.as_bytes()) {
            return Ok(vec![parts.iter().collect()]);
        }
        let mut names = vec![PathBuf::new()];
        for part in &parts {
            let mut next = Vec::new();
            for name in &names {
                self.match_part(name, part, &mut next).context(|| format!("the pattern '{source}'"))?;
            }
            names = next;
        }
        let mut there = Vec::new();
        for name in names {
            if self.resolve(&name)?.is_some() {
                there.push(name);
            }
        }
        Ok(there)
    }

    fn match_part(&self, name: &Path, part: &OsStr, out: &mut Vec<PathBuf>) -> Result<()> {
        if !glob::is_pattern(part.as_bytes()) {
            // What a pattern escapes stands for itself.
            let literal: Vec<u8> = part.as_bytes().iter().copied().filter(|b| *b != b'\\').collect();
            out.push(name.join(OsString::from_vec(literal)));
            return Ok(());
        }
        let glob = Glob::new(part.as_bytes(), DoubleStar::IsStar).map_err(Error::usage)?;
        let Some(folder) = self.resolve(name)?.filter(|found| found.kind == Kind::Directory) else { return Ok(()) };
        for found in self.list(&folder)? {
            let last = found.name.file_name().unwrap_or_default();
            let empty = || Ok::<_, Error>(self.is_excluded(&found.name) && self.walk(&found)?.is_empty());
            if glob.matches(last.as_bytes()) && !(found.kind == Kind::Directory && empty()?) {
                out.push(name.join(last));
            }
        }
        Ok(())
    }
}

//! The build context: a folder, with files of other places put into it, and nothing outside it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use std::{fs, io};

use super::files::{Files, Found, Kind, parts};
use crate::domain::{ContentDigest, Error, Result, ResultExt};
use crate::image::Ignore;
use crate::image::layer::{Content, Entry, Stamp};

/// Whom the files of a context belong to, as Docker has it.
const ROOT: (u32, u32) = (0, 0);

/// Symbolic links followed on the way to one file, as the kernel allows.
pub(super) const MAX_LINKS: usize = 40;

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
    pub digest: &'a (dyn Fn(&Path) -> Result<ContentDigest> + Sync),
    /// The mode that a file, or a folder where the second says so, counts as having, of the one that it has.
    pub mode: &'a (dyn Fn(&Path, bool, u32) -> u32 + Sync),
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
    pub(super) fn look(&self, name: &Path) -> Result<Option<Found>> {
        let found = |kind| Ok(Some(Found { name: name.to_owned(), kind }));
        let (path, placed) = self.place(name);
        if !placed && self.files.keys().any(|key| key != name && key.starts_with(name)) {
            return found(Kind::Directory);
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
            Kind::Other
        } else {
            return Err(Error::usage(format!("{} is no file, folder or symbolic link", path.display()))
                .hint("exclude it in .dockerignore"));
        };
        if !placed && kind != Kind::Directory && self.ignore.excludes(name) {
            return Ok(None);
        }
        found(kind)
    }

    /// Whether a name is, or is above, what was put into the context.
    fn holds_files(&self, name: &Path) -> bool {
        self.files.keys().any(|key| key.starts_with(name))
    }

    /// Whether a name is excluded, and did not come from `files`.
    pub(super) fn is_excluded(&self, name: &Path) -> bool {
        !name.as_os_str().is_empty() && !self.place(name).1 && self.ignore.excludes(name)
    }
}

impl Files for Context<'_> {
    fn resolve(&self, name: &Path) -> Result<Option<Found>> {
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

    fn list(&self, folder: &Found) -> Result<Vec<Found>> {
        let mut names: BTreeSet<OsString> = BTreeSet::new();
        let path = self.place(&folder.name).0;
        match fs::read_dir(&path) {
            Ok(entries) => {
                for entry in entries {
                    names.insert(entry.or_usage(|| format!("cannot read {}", path.display()))?.file_name());
                }
            }
            // A folder that is there only because of a file put into it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).or_usage(|| format!("cannot read {}", path.display())),
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

    fn entry(&self, found: &Found) -> Result<Entry> {
        let path = self.place(&found.name).0;
        let failed = || format!("cannot read {}", path.display());
        match &found.kind {
            Kind::Symlink(target) => Ok(Entry::new(Content::Symlink(target.clone()), 0o777, ROOT)),
            Kind::Directory => {
                // A folder that is there only because of a file put into it has no mode of its own.
                let mode = fs::metadata(&path)
                    .map_or(0o755, |metadata| (self.mode)(&path, true, metadata.permissions().mode() & 0o7777));
                Ok(Entry::new(Content::Directory, mode, ROOT))
            }
            Kind::Other => {
                let source = fs::canonicalize(&path).or_usage(failed)?;
                // Before the digest: a change after it shows.
                let metadata = fs::metadata(&source).or_usage(failed)?;
                let stamp = Stamp::of(&metadata);
                let digest = (self.digest)(&source)?;
                let mode = (self.mode)(&source, false, metadata.permissions().mode() & 0o7777);
                Ok(Entry::new(Content::File { source, digest, stamp }, mode, ROOT))
            }
        }
    }

    fn leaves_out(&self, name: &Path) -> bool {
        self.is_excluded(name)
    }

    fn skips(&self, folder: &Path) -> bool {
        !self.ignore.has_exceptions() && !self.holds_files(folder)
    }

    fn missing(&self, name: &Path, source: &str) -> Error {
        let error = Error::usage(format!("'{}' is not in the build context", name.display()));
        if self.is_excluded(name) {
            error.hint(".dockerignore excludes it")
        } else if source.starts_with('/') {
            error.hint(format!("sources are looked up inside {}, never on the machine", self.dir.display()))
        } else {
            error.hint(format!("looked in {}; 'files:' of the image adds others", self.dir.display()))
        }
    }
}

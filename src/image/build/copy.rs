//! What a COPY or ADD puts into an image, decided as BuildKit's copier does.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::files::{self, Files, Found, Kind};
use super::view::View;
use crate::domain::{Error, Result};
use crate::image::layer::{Content, Entries, Entry, WHITEOUT};
use crate::image::{FileMode, Ignore, glob};

/// Numeric user and group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// A COPY or ADD whose words are expanded.
pub(super) struct CopyRequest {
    /// Absolute; ends in `/` where a folder is meant.
    pub(super) destination: String,
    /// `--chown`; else everything keeps its owner.
    pub(super) owner: Option<Owner>,
    /// `--chmod`, for files and folders alike.
    pub(super) mode: Option<FileMode>,
    /// `--parents`.
    pub(super) parents: bool,
    /// `--exclude`.
    pub(super) excludes: Option<Ignore>,
}

/// An absolute path made lexically plain and relative to the root: `..` never leads above it.
pub(super) fn plain(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => out.push(part),
            Component::ParentDir => drop(out.pop()),
            _ => {}
        }
    }
    out
}

/// Where a destination leads; one that ends in `/` or `.` names a folder.
pub(super) fn destination(workdir: &str, typed: &str) -> String {
    let path = plain(&Path::new("/").join(workdir).join(typed));
    let folder = typed.ends_with('/') || typed == "." || typed.ends_with("/.");
    let slash = if folder && !path.as_os_str().is_empty() { "/" } else { "" };
    format!("/{}{slash}", path.display())
}

/// Puts the entries of a layer together, and keeps the image's view up to date with them.
pub(super) struct Writer<'a> {
    view: &'a mut View,
    layer: View,
}

impl<'a> Writer<'a> {
    pub(super) fn new(view: &'a mut View) -> Writer<'a> {
        Writer { view, layer: View::default() }
    }

    pub(super) fn finish(self) -> Entries {
        self.layer.into_entries()
    }

    pub(super) fn view(&self) -> &View {
        self.view
    }

    pub(super) fn put(&mut self, path: PathBuf, entry: Entry) {
        self.view.put(path.clone(), entry.clone());
        self.layer.put(path, entry);
    }

    /// Where a path leads in the image.
    pub(super) fn follow(&self, path: &Path) -> Result<PathBuf> {
        self.view
            .follow(path)
            .ok_or_else(|| Error::usage(format!("/{}: too many symbolic links in the image", path.display())))
    }

    /// Creates a folder and those above it, where they are missing.
    pub(super) fn folder(&mut self, path: &Path, mode: u32, owner: Owner) -> Result<()> {
        let mut above: Vec<&Path> = path.ancestors().filter(|path| !path.as_os_str().is_empty()).collect();
        above.reverse();
        for folder in above {
            if self.view.is_folder(folder) {
                continue;
            }
            if self.view.get(folder).is_some() {
                return Err(Error::usage(format!("/{} is in the image and no folder", folder.display())));
            }
            self.put(folder.to_owned(), Entry::new(Content::Directory, mode, (owner.uid, owner.gid)));
        }
        Ok(())
    }
}

/// The folder that WORKDIR makes, if it is missing.
pub(super) fn make_folder(path: &str, owner: Owner, view: &mut View) -> Result<Entries> {
    let mut writer = Writer::new(view);
    let path = writer.follow(&plain(Path::new(path)))?;
    writer.folder(&path, 0o755, owner)?;
    Ok(writer.finish())
}

/// A file or folder on its way into the image.
pub(super) struct Copier<'a, 'b> {
    pub(super) request: &'a CopyRequest,
    pub(super) writer: &'a mut Writer<'b>,
}

/// What of a tree is copied, and what was copied so far.
struct Pass<'a> {
    files: &'a dyn Files,
    /// With `--parents`: what is wanted.
    includes: Option<Ignore>,
    /// By the name in the source of files with several: the name in the image of the first.
    links: BTreeMap<PathBuf, PathBuf>,
    /// Source folders that were made in the image.
    made: BTreeSet<PathBuf>,
}

impl Copier<'_, '_> {
    /// Copies everything that a source stands for.
    pub(super) fn source(&mut self, files: &dyn Files, source: &str) -> Result<()> {
        if self.request.parents {
            return self.with_parents(files, source);
        }
        for name in files::matches(files, source)? {
            let found = self.find(files, &name, source)?;
            self.copy(files, &name, &found, None)?;
        }
        Ok(())
    }

    /// What a name is; an error if it is not there, or left out by a rule.
    pub(super) fn find(&self, files: &dyn Files, name: &Path, source: &str) -> Result<Found> {
        let found = files.resolve(name)?;
        let found = match found {
            Some(found) if found.is_folder() && files.leaves_out(&found.name) => {
                let empty = files::walk(files, &found)?.is_empty();
                if empty { None } else { Some(found) }
            }
            found => found,
        };
        found.ok_or_else(|| files.missing(name, source))
    }

    /// With `--parents`, a source is a pattern below a folder: the one before `/./`, else the root.
    fn with_parents(&mut self, files: &dyn Files, source: &str) -> Result<()> {
        let (folder, pattern) = source.split_once("/./").unwrap_or(("", source));
        let pattern = plain(Path::new(pattern));
        if !glob::is_pattern(source.as_bytes()) {
            let whole = plain(Path::new(folder)).join(&pattern);
            self.find(files, &whole, source)?;
        }
        for name in files::matches(files, if folder.is_empty() { "/" } else { folder })? {
            let found = self.find(files, &name, source)?;
            let pattern = if pattern.as_os_str().is_empty() { Path::new("**") } else { &pattern };
            let includes = Ignore::parse(&pattern.to_string_lossy())?;
            self.copy(files, &name, &found, Some(includes))?;
        }
        Ok(())
    }

    pub(super) fn copy(
        &mut self,
        files: &dyn Files,
        name: &Path,
        found: &Found,
        includes: Option<Ignore>,
    ) -> Result<()> {
        let last = name.file_name().unwrap_or_default();
        let target = self.target(found.is_folder(), Path::new(last))?;
        let mut pass = Pass { files, includes, links: BTreeMap::new(), made: BTreeSet::new() };
        if found.is_folder() {
            if !self.writer.view().is_folder(&target) {
                return Err(clash(&found.name, "a folder", &target, "something else"));
            }
            pass.made.insert(PathBuf::new());
            for below in files::walk(files, found)? {
                let relative = below.name.strip_prefix(&found.name).unwrap_or(&below.name).to_owned();
                self.below(&mut pass, found, &target, &relative, &below)?;
            }
            Ok(())
        } else {
            self.put(&mut pass, target, found)
        }
    }

    /// Makes the folders above a destination, and says where something of this name goes.
    pub(super) fn target(&mut self, is_folder: bool, last: &Path) -> Result<PathBuf> {
        let typed = self.request.destination.as_str();
        let owner = self.request.owner.unwrap_or_default();
        // Folders on the way get the mode as mkdir(2) under Docker's umask gives it.
        let mode = self.request.mode.as_ref().and_then(FileMode::fixed).unwrap_or(0o755) & 0o755;
        let path = plain(Path::new(typed));
        let ensured = if typed.ends_with('/') { path.as_path() } else { path.parent().unwrap_or(Path::new("")) };
        let ensured = self.writer.follow(ensured)?;
        self.writer.folder(&ensured, mode, owner)?;
        let mut target = self.writer.follow(&path)?;
        if is_folder {
            if self.writer.view().get(&target).is_none() {
                self.writer.folder(&target, mode, owner)?;
            }
            return Ok(target);
        }
        if self.writer.view().is_folder(&target) {
            target.push(last);
        }
        let parent = target.parent().map(Path::to_owned).unwrap_or_default();
        self.writer.folder(&parent, mode, owner)?;
        Ok(target)
    }

    /// Something in a folder that is copied.
    fn below(
        &mut self,
        pass: &mut Pass<'_>,
        folder: &Found,
        target: &Path,
        relative: &Path,
        found: &Found,
    ) -> Result<()> {
        // Rules match paths below the folder: of the one that is copied itself they say nothing.
        let excluded = self.request.excludes.as_ref().is_some_and(|rules| rules.excludes(relative));
        let included = pass.includes.as_ref().is_none_or(|rules| rules.excludes(relative));
        if excluded || !included {
            return Ok(());
        }
        for above in relative.ancestors().skip(1).collect::<Vec<_>>().into_iter().rev() {
            if pass.made.contains(above) {
                continue;
            }
            let source = Found { name: folder.name.join(above), kind: Kind::Directory };
            self.folder_above(pass, target.join(above), &source)?;
            pass.made.insert(above.to_owned());
        }
        if found.is_folder() {
            pass.made.insert(relative.to_owned());
        }
        self.put(pass, target.join(relative), found)
    }

    /// A folder that is there only because something in it is copied: one that exists keeps its owner.
    fn folder_above(&mut self, pass: &mut Pass<'_>, path: PathBuf, found: &Found) -> Result<()> {
        if !self.writer.view().is_folder(&path) {
            return self.put(pass, path, found);
        }
        let Some(there) = self.writer.view().get(&path) else { return Ok(()) };
        let mode = pass.files.entry(found)?.mode;
        if there.mode != mode {
            let entry = Entry { mode, ..there.clone() };
            self.writer.put(path, entry);
        }
        Ok(())
    }

    fn put(&mut self, pass: &mut Pass<'_>, path: PathBuf, found: &Found) -> Result<()> {
        let mut entry = pass.files.entry(found)?;
        let canonical = match &entry.content {
            Content::HardLink(target) => target.clone(),
            _ => found.name.clone(),
        };
        if let Content::HardLink(target) = &entry.content {
            entry = pass.files.entry(&Found { name: target.clone(), kind: Kind::Other })?;
        }
        if let Content::File { .. } = entry.content {
            match pass.links.get(&canonical) {
                Some(first) => entry.content = Content::HardLink(first.clone()),
                None => _ = pass.links.insert(canonical, path.clone()),
            }
        }
        self.entry(path, entry, &found.name)
    }

    /// Puts an entry of this name in its place, with the owner and the mode that were asked for.
    pub(super) fn entry(&mut self, path: PathBuf, mut entry: Entry, name: &Path) -> Result<()> {
        if path.as_os_str().is_empty() {
            return Err(Error::usage(format!("'{}' would take the place of the image's root", name.display())));
        }
        let folder = entry.content.is_directory();
        if let Some(there) = self.writer.view().get(&path)
            && there.content.is_directory() != folder
        {
            let (what, there) = if folder { ("a folder", "something else") } else { ("a file", "a folder") };
            return Err(clash(name, what, &path, there));
        }
        if path.file_name().is_some_and(|name| name.as_bytes().starts_with(WHITEOUT.as_bytes())) {
            let error = Error::usage(format!("'{}' has the name of a whiteout", name.display()));
            return Err(error.hint("a layer takes names that begin with .wh. for deletions: rename it"));
        }
        if let Some(owner) = self.request.owner {
            (entry.uid, entry.gid) = (owner.uid, owner.gid);
        }
        if let Some(mode) = &self.request.mode
            && !matches!(entry.content, Content::Symlink(_))
        {
            entry.mode = mode.apply(entry.mode, folder);
        }
        self.writer.put(path, entry);
        Ok(())
    }
}

fn clash(name: &Path, what: &str, path: &Path, there: &str) -> Error {
    Error::usage(format!("'{}' is {what}, and /{} is {there} in the image", name.display(), path.display()))
}

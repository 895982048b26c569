//! What an image holds once its layers lie on each other.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use super::files::{Files, Found, Kind};
use crate::domain::{Error, Result};
use crate::image::layer::{Content, Entries, Entry};

/// Symbolic links followed on the way to one file.
const MAX_LINKS: usize = 255;

/// The merged entries of a stack of layers: no deletions, no opaque folders. The root is always there.
#[derive(Debug, Clone, Default)]
pub(super) struct View {
    entries: Entries,
    /// By the name that hard links lead to: they are the same file even when that name goes.
    links: BTreeMap<PathBuf, BTreeSet<PathBuf>>,
}

impl View {
    pub(super) fn get(&self, path: &Path) -> Option<&Entry> {
        self.entries.get(path)
    }

    pub(super) fn is_folder(&self, path: &Path) -> bool {
        path.as_os_str().is_empty() || self.get(path).is_some_and(|entry| entry.content.is_directory())
    }

    /// Everything that is there.
    pub(super) fn into_entries(self) -> Entries {
        self.entries
    }

    /// Lays a layer over what is there.
    pub(super) fn apply(&mut self, layer: &Entries) {
        for (path, entry) in layer {
            match &entry.content {
                Content::Whiteout => self.remove(path),
                Content::OpaqueDirectory => {
                    self.remove_below(path);
                    self.put(path.clone(), Entry { content: Content::Directory, ..entry.clone() });
                }
                _ => self.put(path.clone(), entry.clone()),
            }
        }
    }

    /// Puts something in its place; what was below it is gone unless it is a folder still.
    pub(super) fn put(&mut self, path: PathBuf, entry: Entry) {
        if !entry.content.is_directory() {
            self.remove_below(&path);
        }
        self.forget(&path);
        if let Content::HardLink(target) = &entry.content {
            self.links.entry(target.clone()).or_default().insert(path.clone());
        }
        self.entries.insert(path, entry);
    }

    fn remove(&mut self, path: &Path) {
        self.remove_below(path);
        self.forget(path);
        self.entries.remove(path);
    }

    fn remove_below(&mut self, path: &Path) {
        if self.get(path).is_some_and(|entry| !entry.content.is_directory()) {
            return;
        }
        let below: Vec<PathBuf> = self.below(path).map(|(name, _)| name.clone()).collect();
        for name in below.iter().rev() {
            self.forget(name);
            self.entries.remove(name);
        }
    }

    /// Everything below a folder, parents first.
    pub(super) fn below<'a>(&'a self, folder: &'a Path) -> impl Iterator<Item = (&'a PathBuf, &'a Entry)> {
        self.entries
            .range(folder.to_owned()..)
            .take_while(move |(name, _)| name.starts_with(folder))
            .filter(move |(name, _)| name.as_path() != folder)
    }

    /// Says that a name will no longer be what it was: its hard links go on without it.
    fn forget(&mut self, path: &Path) {
        let Some(old) = self.entries.get(path) else { return };
        if let Content::HardLink(target) = &old.content {
            if let Some(links) = self.links.get_mut(target) {
                links.remove(path);
            }
            return;
        }
        let Some(mut links) = self.links.remove(path) else { return };
        let file = old.content.clone();
        let Some(first) = links.pop_first() else { return };
        for link in &links {
            if let Some(entry) = self.entries.get_mut(link) {
                entry.content = Content::HardLink(first.clone());
            }
        }
        if let Some(entry) = self.entries.get_mut(&first) {
            entry.content = file;
        }
        if !links.is_empty() {
            self.links.insert(first, links);
        }
    }

    /// Where a path leads once every link on it is followed, inside the image; what does not exist stays as it is.
    /// `None` for links in a circle.
    pub(super) fn follow(&self, path: &Path) -> Option<PathBuf> {
        self.walk(Path::new(""), path, |_| Some(()))
    }

    /// The same for a path below a folder that takes the root's place. `None` also for links that lead out of it.
    pub(super) fn follow_below(&self, root: &Path, path: &Path) -> Option<PathBuf> {
        self.walk(root, path, |done| (done != root).then_some(()))
    }

    /// Follows a path; `climb` says whether `..` is allowed where it stands.
    fn walk(&self, root: &Path, path: &Path, climb: impl Fn(&Path) -> Option<()>) -> Option<PathBuf> {
        let reversed = |path: &Path| -> Vec<OsString> {
            let parts = path.components().rev().filter(|part| *part != Component::CurDir);
            parts.map(|part| part.as_os_str().to_owned()).collect()
        };
        let mut todo = reversed(path);
        let mut done = root.to_owned();
        let mut links = 0;
        while let Some(part) = todo.pop() {
            if part == ".." {
                climb(&done)?;
                done.pop();
            } else if part == "/" {
                done = root.to_owned();
            } else {
                done.push(&part);
                if let Some(Entry { content: Content::Symlink(target), .. }) = self.get(&done) {
                    links += 1;
                    if links > MAX_LINKS {
                        return None;
                    }
                    done.pop();
                    todo.extend(reversed(target));
                }
            }
        }
        Some(done)
    }

    /// The bytes of a file, links followed; `None` if there is none.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(super) fn read(&self, path: &Path) -> Result<Option<Vec<u8>>> {
        use crate::domain::ResultExt;
        let Some(path) = self.follow(path) else { return Ok(None) };
        match self.get(&path).map(|entry| &entry.content) {
            Some(Content::HardLink(target)) => self.read(target),
            Some(Content::File { source, .. }) => {
                std::fs::read(source).map(Some).or_environment(|| format!("cannot read {}", source.display()))
            }
            _ => Ok(None),
        }
    }

    fn found(&self, name: PathBuf) -> Option<Found> {
        if name.as_os_str().is_empty() {
            return Some(Found { name, kind: Kind::Directory });
        }
        let kind = match &self.get(&name)?.content {
            content if content.is_directory() => Kind::Directory,
            Content::Symlink(target) => Kind::Symlink(target.clone()),
            _ => Kind::Other,
        };
        Some(Found { name, kind })
    }
}

impl Files for View {
    fn resolve(&self, name: &Path) -> Result<Option<Found>> {
        let name = self
            .follow(name)
            .ok_or_else(|| Error::usage(format!("/{}: too many symbolic links in the image", name.display())))?;
        Ok(self.found(name))
    }

    fn list(&self, folder: &Found) -> Result<Vec<Found>> {
        let depth = folder.name.components().count() + 1;
        let names = self.below(&folder.name).map(|(name, _)| name);
        Ok(names
            .filter(|name| name.components().count() == depth)
            .filter_map(|name| self.found(name.clone()))
            .collect())
    }

    fn entry(&self, found: &Found) -> Result<Entry> {
        match self.get(&found.name) {
            Some(entry) => Ok(entry.clone()),
            None if found.name.as_os_str().is_empty() => Ok(Entry::new(Content::Directory, 0o755, (0, 0))),
            None => Err(Error::bug(format!("/{} is gone", found.name.display()))),
        }
    }

    fn leaves_out(&self, _: &Path) -> bool {
        false
    }

    fn skips(&self, _: &Path) -> bool {
        false
    }

    fn missing(&self, name: &Path, _: &str) -> Error {
        Error::usage(format!("/{} is not there", name.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(content: Content) -> Entry {
        Entry::new(content, 0o755, (0, 0))
    }

    fn view(entries: &[(&str, Content)]) -> View {
        let mut view = View::default();
        for (path, content) in entries {
            view.put(path.into(), entry(content.clone()));
        }
        view
    }

    #[test]
    fn links_are_followed_inside_the_image() {
        let links = [("bin", "usr/bin"), ("a/up", "../../../etc"), ("abs", "/usr/lib"), ("x", "y"), ("y", "x")];
        let view = view(&links.map(|(path, target)| (path, Content::Symlink(target.into()))));
        for (path, resolved) in
            [("bin/sh", "usr/bin/sh"), ("a/up/passwd", "etc/passwd"), ("abs/x", "usr/lib/x"), ("/", "")]
        {
            assert_eq!(view.follow(Path::new(path)), Some(resolved.into()), "{path}");
        }
        assert_eq!(view.follow(Path::new("x/z")), None);
        assert_eq!(view.follow_below(Path::new("usr"), Path::new("x")), Some("usr/x".into()));
        assert_eq!(view.follow_below(Path::new("a"), Path::new("up/passwd")), None);
        assert_eq!(view.follow_below(Path::new(""), Path::new("abs/x")), Some("usr/lib/x".into()));
    }

    #[test]
    fn a_file_in_place_of_a_folder_hides_what_was_below() {
        let view =
            view(&[("a", Content::Directory), ("a/b", Content::Fifo), ("ab", Content::Fifo), ("a", Content::Fifo)]);
        assert_eq!(view.get(Path::new("a/b")), None);
        assert!(view.get(Path::new("ab")).is_some());
    }

    #[test]
    fn deletions_take_away_and_hard_links_survive_them() {
        let mut view = view(&[
            ("d", Content::Directory),
            ("d/x", Content::Fifo),
            ("e", Content::Directory),
            ("e/x", Content::Fifo),
            ("f", Content::Symlink("target".into())),
            ("g", Content::HardLink("f".into())),
            ("h", Content::HardLink("f".into())),
        ]);
        view.apply(&Entries::from([
            ("d".into(), entry(Content::OpaqueDirectory)),
            ("d/new".into(), entry(Content::Fifo)),
            ("e".into(), Entry::whiteout()),
            ("f".into(), Entry::whiteout()),
        ]));
        let names: Vec<&str> = view.entries.keys().filter_map(|path| path.to_str()).collect();
        assert_eq!(names, ["d", "d/new", "g", "h"]);
        assert_eq!(view.get(Path::new("g")).unwrap().content, Content::Symlink("target".into()));
        assert_eq!(view.get(Path::new("h")).unwrap().content, Content::HardLink("g".into()));
    }
}

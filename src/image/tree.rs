//! What stands where in an image, as far as COPY must know it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

/// What a path of an image is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    Directory,
    Symlink(PathBuf),
    /// A file, a device, anything else.
    Other,
}

/// The names of an image, relative to its root, which is always there.
#[derive(Debug, Clone, Default)]
pub(super) struct ImageTree(BTreeMap<PathBuf, Node>);

impl ImageTree {
    pub(super) fn get(&self, path: &Path) -> Option<&Node> {
        if path.as_os_str().is_empty() { Some(&Node::Directory) } else { self.0.get(path) }
    }

    /// Puts something in its place; what was below it is gone unless it is a folder still.
    pub(super) fn insert(&mut self, path: PathBuf, node: Node) {
        let was_folder = self.0.get(&path) == Some(&Node::Directory);
        if was_folder && node != Node::Directory {
            self.remove_below(&path);
        }
        self.0.insert(path, node);
    }

    /// Takes a name and all below it away.
    pub(super) fn remove(&mut self, path: &Path) {
        self.remove_below(path);
        self.0.remove(path);
    }

    /// Takes away what is in a folder.
    pub(super) fn remove_below(&mut self, path: &Path) {
        let below: Vec<PathBuf> = self
            .0
            .range(path.to_owned()..)
            .map(|(name, _)| name)
            .take_while(|name| name.starts_with(path))
            .cloned()
            .collect();
        for name in below.iter().filter(|name| *name != path) {
            self.0.remove(name);
        }
    }

    /// Where a path leads once every link on it is followed, inside the image; what does not exist stays as it is.
    /// `None` for links in a circle.
    pub(super) fn resolve(&self, path: &Path) -> Option<PathBuf> {
        let reversed = |path: &Path| -> Vec<OsString> {
            path.components()
                .rev()
                .filter(|part| *part != Component::CurDir)
                .map(|part| part.as_os_str().to_owned())
                .collect()
        };
        let mut todo = reversed(path);
        let mut done = PathBuf::new();
        let mut links = 0;
        while let Some(part) = todo.pop() {
            if part == ".." {
                done.pop();
            } else if part == "/" {
                done = PathBuf::new();
            } else if let Some(Node::Symlink(target)) = self.get(&done.join(&part)) {
                links += 1;
                if links > 255 {
                    return None;
                }
                todo.extend(reversed(target));
            } else {
                done.push(part);
            }
        }
        Some(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_inside_the_image() {
        let mut tree = ImageTree::default();
        for (path, target) in
            [("bin", "usr/bin"), ("a/up", "../../../etc"), ("abs", "/usr/lib"), ("x", "y"), ("y", "x")]
        {
            tree.insert(path.into(), Node::Symlink(target.into()));
        }
        for (path, resolved) in
            [("bin/sh", "usr/bin/sh"), ("a/up/passwd", "etc/passwd"), ("abs/x", "usr/lib/x"), ("/", "")]
        {
            assert_eq!(tree.resolve(Path::new(path)), Some(resolved.into()), "{path}");
        }
        assert_eq!(tree.resolve(Path::new("x/z")), None);
    }

    #[test]
    fn a_file_in_place_of_a_folder_hides_what_was_below() {
        let mut tree = ImageTree::default();
        tree.insert("a".into(), Node::Directory);
        tree.insert("a/b".into(), Node::Other);
        tree.insert("ab".into(), Node::Other);
        tree.insert("a".into(), Node::Other);
        assert_eq!(tree.get(Path::new("a/b")), None);
        assert_eq!(tree.get(Path::new("ab")), Some(&Node::Other));
    }
}

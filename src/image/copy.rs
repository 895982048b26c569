//! What a COPY or ADD puts into an image.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::context::{Found, Kind};
use super::layer::{Content, Entries, Entry, Stamp};
use super::tree::{ImageTree, Node};
use super::{Context, CopyKind};
use crate::domain::{Error, Result, ResultExt};

/// Numeric user and group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// A COPY or ADD whose words are expanded.
pub(super) struct CopyRequest<'a> {
    pub(super) kind: CopyKind,
    pub(super) sources: Vec<String>,
    pub(super) destination: String,
    /// What a relative destination is relative to.
    pub(super) workdir: &'a str,
    pub(super) owner: Owner,
    /// `--chmod`, for files and copied folders alike.
    pub(super) mode: Option<u32>,
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

/// Puts entries together, and keeps the image's tree up to date with them.
struct Writer<'a> {
    tree: &'a mut ImageTree,
    entries: Entries,
}

impl Writer<'_> {
    fn put(&mut self, path: PathBuf, entry: Entry) {
        let node = match &entry.content {
            Content::Directory => Node::Directory,
            Content::Symlink(target) => Node::Symlink(target.clone()),
            Content::File { .. } => Node::Other,
        };
        self.tree.insert(path.clone(), node);
        self.entries.insert(path, entry);
    }

    /// Creates a folder and those above it, where they are missing.
    fn folder(&mut self, path: &Path, owner: Owner) -> Result<()> {
        let mut above: Vec<&Path> = path.ancestors().collect();
        above.reverse();
        for folder in above {
            match self.tree.get(folder) {
                Some(Node::Directory) => {}
                None => self.put(folder.to_owned(), entry(Content::Directory, 0o755, owner)),
                Some(_) => return Err(Error::usage(format!("/{} is in the image and no folder", folder.display()))),
            }
        }
        Ok(())
    }
}

fn entry(content: Content, mode: u32, owner: Owner) -> Entry {
    Entry { mode, uid: owner.uid, gid: owner.gid, content }
}

/// The folder that WORKDIR makes, if it is missing.
pub(super) fn make_folder(path: &str, owner: Owner, tree: &mut ImageTree) -> Result<Entries> {
    let path = resolve(tree, &plain(Path::new(path)))?;
    let mut writer = Writer { tree, entries: Entries::new() };
    writer.folder(&path, owner)?;
    Ok(writer.entries)
}

fn resolve(tree: &ImageTree, path: &Path) -> Result<PathBuf> {
    tree.resolve(path).ok_or_else(|| Error::usage(format!("/{}: too many symbolic links in the image", path.display())))
}

/// The entries of a COPY or ADD.
pub(super) fn copy(request: &CopyRequest<'_>, context: &Context<'_>, tree: &mut ImageTree) -> Result<Entries> {
    let keyword = request.kind.keyword();
    let mut found = Vec::new();
    for source in &request.sources {
        if request.kind == CopyKind::Add && (source.contains("://") || source.starts_with("git@")) {
            return Err(Error::usage(format!("ADD of a URL is not supported yet: '{source}'"))
                .hint("give it to 'binaries:' as 'source: {url, sha256}', and COPY what comes of it"));
        }
        for name in context.matches(source)? {
            let there = context.resolve(&name)?;
            let hidden = there.is_none() && context.is_excluded(&name);
            let there = match there {
                Some(there) if there.kind == Kind::Directory && context.is_excluded(&there.name) => {
                    let empty = context.walk(&there)?.is_empty();
                    if empty { None } else { Some(there) }
                }
                there => there,
            };
            let Some(there) = there else {
                let error = Error::usage(format!("'{}' is not in the build context", name.display()));
                return Err(if hidden || context.is_excluded(&name) {
                    error.hint(".dockerignore excludes it")
                } else if source.starts_with('/') {
                    error.hint(format!("sources are looked up inside {}, never on the machine", context.dir.display()))
                } else {
                    error.hint(format!("looked in {}; 'files:' of the image adds others", context.dir.display()))
                });
            };
            found.push((name, there));
        }
    }
    if found.is_empty() {
        return Err(Error::usage(format!("{keyword}: no file matches {}", request.sources.join(" "))));
    }

    let typed = &request.destination;
    let slash =
        typed.ends_with('/') || typed == "." || typed.ends_with("/.") || typed.ends_with("/..") || typed == "..";
    let destination = resolve(tree, &plain(&Path::new(request.workdir).join(typed)))?;
    let folder = slash || tree.get(&destination) == Some(&Node::Directory);
    if found.len() > 1 && !folder {
        return Err(Error::usage(format!("{keyword} of {} sources to '{typed}', which is no folder", found.len()))
            .hint(format!("end it in a slash: {typed}/")));
    }
    let mut writer = Writer { tree, entries: Entries::new() };
    for (name, there) in &found {
        if there.kind == Kind::Directory {
            writer.folder(&destination, request.owner)?;
            for (relative, found) in context.walk(there)? {
                add(request, context, &mut writer, destination.join(relative), &found)?;
            }
        } else {
            let last = name.file_name().unwrap_or_default();
            let path = if folder { destination.join(last) } else { destination.clone() };
            if path.as_os_str().is_empty() {
                return Err(Error::usage(format!("{keyword} of a file over the image's root")));
            }
            let parent = path.parent().map(Path::to_owned).unwrap_or_default();
            writer.folder(&parent, request.owner)?;
            if request.kind == CopyKind::Add {
                refuse_archive(&there.path)?;
            }
            add(request, context, &mut writer, path, there)?;
        }
    }
    Ok(writer.entries)
}

fn add(
    request: &CopyRequest<'_>,
    context: &Context<'_>,
    writer: &mut Writer<'_>,
    path: PathBuf,
    found: &Found,
) -> Result<()> {
    let replaced = writer.tree.get(&path);
    let folder = found.kind == Kind::Directory;
    if replaced.is_some_and(|node| (*node == Node::Directory) != folder) {
        let (what, there) = if folder { ("a folder", "something else") } else { ("a file", "a folder") };
        let name = found.name.display();
        return Err(Error::usage(format!("'{name}' is {what}, and /{} is {there} in the image", path.display())));
    }
    if path.file_name().is_some_and(|name| name.as_bytes().starts_with(b".wh.")) {
        let error = Error::usage(format!("'{}' has the name of a whiteout", found.name.display()));
        return Err(error.hint("a layer takes names that begin with .wh. for deletions: rename it"));
    }
    let (content, mode) = match &found.kind {
        Kind::Directory => (Content::Directory, request.mode.unwrap_or(0o755)),
        Kind::Symlink(target) => (Content::Symlink(target.clone()), 0o777),
        Kind::File { executable } => {
            // Before the digest: a change after it shows.
            let failed = || format!("cannot read {}", found.path.display());
            let source = fs::canonicalize(&found.path).or_usage(failed)?;
            let stamp = Stamp::of(&fs::metadata(&source).or_usage(failed)?);
            let digest = (context.digest)(&source)?;
            let mode = request.mode.unwrap_or(if *executable { 0o755 } else { 0o644 });
            (Content::File { source, digest, stamp }, mode)
        }
    };
    writer.put(path, entry(content, mode, request.owner));
    Ok(())
}

/// ADD unpacks archives; xbuild does not yet, and must not copy them as they are either.
fn refuse_archive(path: &Path) -> Result<()> {
    let mut start = Vec::new();
    let file = File::open(path).or_usage(|| format!("cannot read {}", path.display()))?;
    file.take(512).read_to_end(&mut start).or_usage(|| format!("cannot read {}", path.display()))?;
    let magic: [&[u8]; 4] = [b"\x1f\x8b\x08", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"];
    if magic.iter().any(|magic| start.starts_with(magic)) || start.get(257..262) == Some(b"ustar") {
        return Err(Error::usage(format!("ADD of {} unpacks archives: not supported yet", path.display()))
            .hint("COPY takes it as it is; unpack it before, and COPY the folder, for its contents"));
    }
    Ok(())
}

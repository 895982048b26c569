//! The entries of an archive, each checked, written and remembered.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::FileType;

use super::super::archive::{Archive, Kind, Member};
use super::super::layer::{Content, Device, Entries, Entry, OPAQUE, Stamp, WHITEOUT, Xattrs};
use super::Limits;
use super::root::{Metadata, Root};
use crate::domain::{ContentDigest, Error, Result, ResultExt};

/// The longest target of a link that the kernel takes.
const MAX_TARGET: usize = 4095;

/// Names that AUFS made for itself, in images of old.
const AUFS: &[u8] = b".wh..wh.";

/// What overlay file systems tell themselves; an archive must not tell them.
const OVERLAY: [&[u8]; 2] = [b"user.overlay.", b"trusted.overlay."];

/// Unpacks the archive of a layer into a folder that is empty, or is made.
///
/// Owners are set as far as this process may, and so are devices and attributes; the entries say in any case what the
/// archive says. What stands twice counts as the last; deletions count for the layers below, never for this one.
/// On an error the folder is of no use.
///
/// # Errors
/// An archive that is damaged or larger than the limits; an entry that leads out of the folder, lies below something
/// that is no folder, or is a link that leads out; a folder that cannot be written.
pub fn unpack(reader: impl Read, into: &Path, limits: &Limits) -> Result<Entries> {
    let failed = || format!("cannot make {}", into.display());
    fs::create_dir_all(into).or_environment(failed)?;
    if fs::read_dir(into).or_environment(failed)?.next().is_some() {
        return Err(Error::environment(format!("{} is not empty", into.display())));
    }
    let root = Root::open(into)?;
    let mut unpacker = Unpacker { root, slots: BTreeMap::new(), files: Vec::new() };
    let mut archive = Archive::new(reader, limits.unpacked);
    let mut count = 0;
    while let Some(member) = archive.next()? {
        count += 1;
        if count > limits.entries {
            return Err(Error::environment(format!("it has more than {} entries, which is the limit", limits.entries)));
        }
        let shown = member.path.to_string_lossy().escape_debug().to_string();
        unpacker.take(member, &mut archive).context(|| format!("the entry '{shown}'"))?;
    }
    unpacker.finish()
}

/// A file, under all the names that it has.
struct LinkedFile {
    names: BTreeSet<PathBuf>,
    entry: Entry,
    digest: ContentDigest,
}

/// What stands under a name.
enum Slot {
    Entry(Entry),
    /// One of the names of a file.
    File(usize),
}

struct Unpacker {
    root: Root,
    slots: BTreeMap<PathBuf, Slot>,
    files: Vec<LinkedFile>,
}

/// What the name of an entry asks for.
enum Wish {
    Entry,
    Delete(PathBuf),
    Opaque(PathBuf),
    Nothing,
}

fn wish(path: &Path) -> Result<Wish> {
    let mut names = path.components().map(|component| component.as_os_str().as_bytes()).peekable();
    if names.peek().is_some_and(|first| first.starts_with(AUFS) && *first != [WHITEOUT, OPAQUE].concat().as_bytes()) {
        return Ok(Wish::Nothing);
    }
    while let Some(name) = names.next() {
        let Some(hidden) = name.strip_prefix(WHITEOUT.as_bytes()) else { continue };
        let parent = path.parent().unwrap_or(Path::new(""));
        return match hidden {
            _ if names.peek().is_some() => Err(Error::environment("it lies below the name of a deletion")),
            b"" | b"." | b".." => Err(Error::environment("it deletes no name")),
            _ if hidden == OPAQUE.as_bytes() => Ok(Wish::Opaque(parent.to_owned())),
            _ if hidden.starts_with(WHITEOUT.as_bytes()) => Err(Error::environment("it deletes a deletion")),
            _ => Ok(Wish::Delete(parent.join(OsStr::from_bytes(hidden)))),
        };
    }
    Ok(Wish::Entry)
}

/// A relative link must not climb out of the image; an absolute one starts at the image's root.
fn check_target(path: &Path, target: &[u8]) -> Result<()> {
    let shown = || String::from_utf8_lossy(target).escape_debug().to_string();
    if target.is_empty() || target.len() > MAX_TARGET || target.contains(&0) {
        return Err(Error::environment(format!("it is a symbolic link to '{}'", shown())));
    }
    let mut depth = path.components().count().saturating_sub(1);
    for component in Path::new(OsStr::from_bytes(target)).components() {
        match component {
            Component::RootDir => return Ok(()),
            Component::Normal(_) => depth += 1,
            Component::ParentDir if depth == 0 => {
                return Err(Error::environment(format!(
                    "it is a symbolic link to '{}', which leads out of the image",
                    shown()
                )));
            }
            Component::ParentDir => depth -= 1,
            _ => {}
        }
    }
    Ok(())
}

impl Unpacker {
    fn take<R: Read>(&mut self, member: Member, archive: &mut Archive<R>) -> Result<()> {
        match wish(&member.path)? {
            Wish::Nothing => Ok(()),
            Wish::Opaque(folder) => {
                self.folders(&folder)?;
                self.make_opaque(&folder);
                Ok(())
            }
            Wish::Delete(path) => self.delete(path),
            Wish::Entry => self.entry(member, archive),
        }
    }

    fn is_folder(&self, path: &Path) -> bool {
        matches!(self.slots.get(path), Some(Slot::Entry(entry)) if entry.content.is_directory())
    }

    fn is_whiteout(&self, path: &Path) -> bool {
        matches!(self.slots.get(path), Some(Slot::Entry(entry)) if entry.content == Content::Whiteout)
    }

    fn make_opaque(&mut self, path: &Path) {
        let implied = || Slot::Entry(Entry::new(Content::OpaqueDirectory, 0o755, (0, 0)));
        if let Slot::Entry(entry) = self.slots.entry(path.to_owned()).or_insert_with(implied) {
            entry.content = Content::OpaqueDirectory;
        }
    }

    /// Makes a folder and those above it where they are missing, as container engines do.
    fn folders(&mut self, path: &Path) -> Result<()> {
        if path.as_os_str().is_empty() || self.is_folder(path) {
            return Ok(());
        }
        self.folders(path.parent().unwrap_or(Path::new("")))?;
        match self.slots.get(path) {
            Some(_) if !self.is_whiteout(path) => {
                let what = match self.slots.get(path) {
                    Some(Slot::Entry(Entry { content: Content::Symlink(_), .. })) => "a symbolic link",
                    _ => "no folder",
                };
                return Err(Error::environment(format!("it lies below '{}', which is {what}", path.display())));
            }
            _ => {}
        }
        self.folder(path, Entry::new(Content::Directory, 0o755, (0, 0)))
    }

    /// Puts a folder in the place of what is there; another folder keeps what is in it.
    fn folder(&mut self, path: &Path, mut entry: Entry) -> Result<()> {
        if path.as_os_str().is_empty() || self.is_folder(path) {
            let opaque =
                matches!(self.slots.get(path), Some(Slot::Entry(there)) if there.content == Content::OpaqueDirectory);
            if opaque {
                entry.content = Content::OpaqueDirectory;
            }
        } else {
            if self.is_whiteout(path) {
                entry.content = Content::OpaqueDirectory;
            }
            self.remove(path)?;
            self.root.folder(path)?;
        }
        self.slots.insert(path.to_owned(), Slot::Entry(entry));
        Ok(())
    }

    fn delete(&mut self, path: PathBuf) -> Result<()> {
        self.folders(path.parent().unwrap_or(Path::new("")))?;
        if self.is_folder(&path) {
            self.make_opaque(&path);
        } else if !self.slots.contains_key(&path) {
            self.root.whiteout(&path)?;
            self.slots.insert(path, Slot::Entry(Entry::whiteout()));
        }
        Ok(())
    }

    /// Takes a name and all below it away. A file that has another name stays under that.
    fn remove(&mut self, path: &Path) -> Result<()> {
        let below: Vec<PathBuf> = self
            .slots
            .range(path.to_owned()..)
            .map(|(name, _)| name)
            .take_while(|name| name.starts_with(path))
            .cloned()
            .collect();
        for name in below.iter().rev() {
            self.root.remove(name, self.is_folder(name))?;
            if let Some(Slot::File(number)) = self.slots.remove(name) {
                self.files[number].names.remove(name);
            }
        }
        Ok(())
    }

    fn entry<R: Read>(&mut self, member: Member, archive: &mut Archive<R>) -> Result<()> {
        let Member { path, kind, mode, uid, gid, mtime, xattrs } = member;
        check_xattrs(&xattrs)?;
        let metadata = Metadata { mode, uid, gid, mtime };
        let mut entry = Entry { mode, uid, gid, mtime: Some(mtime), xattrs, content: Content::Directory };
        if kind == Kind::Directory {
            self.folders(path.parent().unwrap_or(Path::new("")))?;
            return self.folder(&path, entry);
        }
        let Some(parent) = path.parent() else {
            return Err(Error::environment("it stands for the root and is no folder"));
        };
        self.folders(parent)?;
        if let Kind::HardLink(target) = kind {
            return self.hard_link(&path, &target);
        }
        self.remove(&path)?;
        match kind {
            Kind::Directory | Kind::HardLink(_) => {}
            Kind::File { size, pieces } => {
                let data = &mut archive.data();
                let digest = self.root.file(&path, size, &pieces, data, &metadata, &entry.xattrs)?;
                let names = BTreeSet::from([path.clone()]);
                self.slots.insert(path, Slot::File(self.files.len()));
                self.files.push(LinkedFile { names, entry, digest });
                return Ok(());
            }
            Kind::Symlink(target) => {
                check_target(&path, &target)?;
                self.root.symlink(&path, &target, &metadata)?;
                // A link's own permissions are nothing: all are the same.
                entry.mode = 0o777;
                entry.content = Content::Symlink(PathBuf::from(OsStr::from_bytes(&target)));
            }
            Kind::CharDevice(Device { major: 0, minor: 0 }) => {
                return Err(Error::environment("it is the character device 0:0, which stands for a deletion"));
            }
            Kind::CharDevice(device) => {
                self.root.node(&path, FileType::CharacterDevice, device, &metadata)?;
                entry.content = Content::CharDevice(device);
            }
            Kind::BlockDevice(device) => {
                self.root.node(&path, FileType::BlockDevice, device, &metadata)?;
                entry.content = Content::BlockDevice(device);
            }
            Kind::Fifo => {
                self.root.node(&path, FileType::Fifo, Device { major: 0, minor: 0 }, &metadata)?;
                entry.content = Content::Fifo;
            }
        }
        self.slots.insert(path, Slot::Entry(entry));
        Ok(())
    }

    fn hard_link(&mut self, path: &Path, target: &Path) -> Result<()> {
        if path == target {
            return Err(Error::environment("it is a hard link to itself"));
        }
        match self.slots.get(target) {
            Some(Slot::File(number)) => {
                let number = *number;
                self.remove(path)?;
                self.root.hard_link(path, target)?;
                self.files[number].names.insert(path.to_owned());
                self.slots.insert(path.to_owned(), Slot::File(number));
                Ok(())
            }
            Some(Slot::Entry(Entry { content: Content::Whiteout, .. })) | None => {
                let text = format!("it is a hard link to '{}', which is not there before it", target.display());
                Err(Error::environment(text))
            }
            Some(Slot::Entry(entry)) if entry.content.is_directory() => {
                Err(Error::environment(format!("it is a hard link to the folder '{}'", target.display())))
            }
            Some(Slot::Entry(entry)) => {
                // A second name of a link or a device is as good as a second one.
                let entry = entry.clone();
                self.remove(path)?;
                self.root.hard_link(path, target)?;
                self.slots.insert(path.to_owned(), Slot::Entry(entry));
                Ok(())
            }
        }
    }

    /// Gives folders what they are to have at last, deepest first: a folder's own mode may forbid to enter it.
    fn finish(mut self) -> Result<Entries> {
        let mut entries = Entries::new();
        for (path, slot) in self.slots {
            let entry = match slot {
                Slot::Entry(entry) => entry,
                Slot::File(number) => {
                    let LinkedFile { names, entry, digest } = &self.files[number];
                    // Whatever the order in the archive was: links lead to the first name.
                    let content = match names.first() {
                        Some(first) if *first != path => Content::HardLink(first.clone()),
                        _ => {
                            let source = self.root.place_of(&path);
                            let failed = || format!("cannot read {}", source.display());
                            let stamp = Stamp::of(&fs::symlink_metadata(&source).or_environment(failed)?);
                            Content::File { source, digest: *digest, stamp }
                        }
                    };
                    Entry { content, ..entry.clone() }
                }
            };
            entries.insert(path, entry);
        }
        // Without an entry of its own the root is as usual; the process's mask must not show.
        if !entries.contains_key(Path::new("")) {
            let usual = Metadata { mode: 0o755, uid: 0, gid: 0, mtime: 0 };
            self.root.finish_folder(Path::new(""), false, &usual, &Xattrs::new())?;
        }
        for (path, entry) in entries.iter().rev().filter(|(_, entry)| entry.content.is_directory()) {
            let mtime = entry.mtime.unwrap_or_default();
            let metadata = Metadata { mode: entry.mode, uid: entry.uid, gid: entry.gid, mtime };
            let opaque = entry.content == Content::OpaqueDirectory;
            let finished = self.root.finish_folder(path, opaque, &metadata, &entry.xattrs);
            finished.context(|| format!("the entry '{}'", path.display()))?;
        }
        Ok(entries)
    }
}

fn check_xattrs(xattrs: &Xattrs) -> Result<()> {
    match xattrs.keys().find(|name| OVERLAY.iter().any(|prefix| name.as_bytes().starts_with(prefix))) {
        Some(name) => Err(Error::environment(format!("it has the attribute {}", name.display()))
            .hint("overlay file systems keep such attributes for themselves")),
        None => Ok(()),
    }
}

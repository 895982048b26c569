//! What a command left in the upper folder of its overlay, as the entries of a layer.

use std::collections::{BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
use rustix::io::Errno;

use super::folders::Ownership;
use super::view::View;
use crate::domain::{Error, Result, ResultExt};
use crate::image::layer::{Content, Device, Entries, Entry, Stamp, Xattrs, is_whiteout};
use crate::store::{content_digest, remove_tree};

/// What overlay file systems keep for themselves.
const OVERLAY: &[u8] = b"user.overlay.";

/// How an upper folder is read.
pub(super) struct Scan<'a> {
    /// The upper folder.
    pub(super) upper: &'a Path,
    /// What is below it.
    pub(super) below: &'a View,
    /// When the command started, in seconds since 1970: files that are newer have the time of their layer.
    pub(super) started: i64,
    /// Paths that are there only because something was mounted on them.
    pub(super) stubs: &'a BTreeSet<PathBuf>,
    /// Whether owners on disk are the image's.
    pub(super) ownership: Ownership,
    /// The time of entries without one of their own.
    pub(super) mtime: u64,
}

impl Scan<'_> {
    /// The entries of the layer.
    ///
    /// # Errors
    /// What cannot be read.
    pub(super) fn entries(&self) -> Result<Entries> {
        let mut entries = Entries::new();
        let mut links = HashMap::new();
        self.folder(Path::new(""), &mut entries, &mut links)?;
        Ok(entries)
    }

    /// Reads a folder; whether it holds any entry.
    fn folder(&self, folder: &Path, out: &mut Entries, links: &mut HashMap<u64, PathBuf>) -> Result<bool> {
        let on_disk = self.upper.join(folder);
        let failed = || format!("cannot read {}", on_disk.display());
        let mut names: Vec<OsString> = Vec::new();
        for entry in fs::read_dir(&on_disk).or_environment(failed)? {
            names.push(entry.or_environment(failed)?.file_name());
        }
        names.sort();
        let before = out.len();
        for name in names {
            let path = folder.join(name);
            let on_disk = self.upper.join(&path);
            let failed = || format!("cannot read {}", on_disk.display());
            let metadata = fs::symlink_metadata(&on_disk).or_environment(failed)?;
            let kind = metadata.file_type();
            // A socket is nothing without the process behind it.
            if kind.is_socket() {
                continue;
            }
            if self.is_stub(&path, &on_disk, &metadata)? {
                // Later commands would see it.
                remove_tree(&on_disk)?;
                continue;
            }
            if is_whiteout(&metadata) {
                // What was both made and deleted has no need of a deletion.
                if self.below.get(&path).is_some() {
                    out.insert(path, Entry::whiteout());
                }
                continue;
            }
            let (xattrs, opaque) = attributes(&on_disk).context(failed)?;
            let entry = self.entry(&path, &on_disk, &metadata, xattrs, opaque, links)?;
            if !kind.is_dir() {
                out.insert(path, entry);
                continue;
            }
            let same = !opaque && self.below.get(&path).is_some_and(|there| is_same_folder(there, &entry));
            out.insert(path.clone(), entry);
            // A folder that was copied up for something that is gone again says nothing.
            if !self.folder(&path, out, links)? && same {
                out.remove(&path);
            }
        }
        Ok(out.len() > before)
    }

    /// What a mount needed to be there: an empty file or folder that the image does not have.
    fn is_stub(&self, path: &Path, on_disk: &Path, metadata: &Metadata) -> Result<bool> {
        if !self.stubs.contains(path) {
            return Ok(false);
        }
        if !metadata.is_dir() {
            return Ok(metadata.len() == 0);
        }
        let failed = || format!("cannot read {}", on_disk.display());
        for entry in fs::read_dir(on_disk).or_environment(failed)? {
            let entry = entry.or_environment(failed)?;
            let inner = path.join(entry.file_name());
            if !self.is_stub(&inner, &entry.path(), &entry.metadata().or_environment(failed)?)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn entry(
        &self,
        path: &Path,
        on_disk: &Path,
        metadata: &Metadata,
        xattrs: Xattrs,
        opaque: bool,
        links: &mut HashMap<u64, PathBuf>,
    ) -> Result<Entry> {
        let kind = metadata.file_type();
        let number = || {
            let device = metadata.rdev();
            Device { major: rustix::fs::major(device), minor: rustix::fs::minor(device) }
        };
        let content = if kind.is_dir() {
            // One that takes the place of something else hides nothing that is still there.
            if opaque && self.below.is_folder(path) { Content::OpaqueDirectory } else { Content::Directory }
        } else if kind.is_symlink() {
            let target = fs::read_link(on_disk).or_environment(|| format!("cannot read {}", on_disk.display()))?;
            Content::Symlink(target)
        } else if let Some(first) = links.get(&metadata.ino()) {
            Content::HardLink(first.clone())
        } else {
            if metadata.nlink() > 1 {
                links.insert(metadata.ino(), path.to_owned());
            }
            if kind.is_file() {
                let digest = content_digest(on_disk)?;
                Content::File { source: on_disk.to_owned(), digest, stamp: Stamp::kept(metadata.len()) }
            } else if kind.is_fifo() {
                Content::Fifo
            } else if kind.is_char_device() {
                Content::CharDevice(number())
            } else if kind.is_block_device() {
                Content::BlockDevice(number())
            } else {
                return Err(Error::build(format!("/{} is of no kind that a layer can hold", path.display())));
            }
        };
        let (uid, gid) = match (self.ownership, self.below.get(path)) {
            (Ownership::Real, _) => (metadata.uid(), metadata.gid()),
            (Ownership::Listed, Some(there)) => (there.uid, there.gid),
            (Ownership::Listed, None) => (0, 0),
        };
        let mode = if kind.is_symlink() { 0o777 } else { metadata.mode() & 0o7777 };
        let old = u64::try_from(metadata.mtime()).ok().filter(|_| metadata.mtime() < self.started);
        if old.is_none() {
            // A later command may copy or move it: the time of this build must not get into that one's layer.
            self.take_time(on_disk).or_environment(|| format!("cannot change {}", on_disk.display()))?;
        }
        let mtime = old.filter(|time| *time != self.mtime);
        Ok(Entry { mode, uid, gid, mtime, xattrs, content })
    }
}

impl Scan<'_> {
    /// Gives a file the time that its layer says.
    fn take_time(&self, path: &Path) -> std::io::Result<()> {
        let time = Timespec { tv_sec: i64::try_from(self.mtime).unwrap_or_default(), tv_nsec: 0 };
        let times = Timestamps { last_access: time, last_modification: time };
        match utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW) {
            // Outside of the sandbox, an ordinary user has no power over files of others.
            Err(Errno::PERM) => Ok(()),
            other => Ok(other?),
        }
    }
}

fn is_same_folder(there: &Entry, entry: &Entry) -> bool {
    there.content.is_directory()
        && (there.mode, there.uid, there.gid, &there.xattrs) == (entry.mode, entry.uid, entry.gid, &entry.xattrs)
}

/// The extended attributes of a file, and whether the overlay says that it hides what is below.
fn attributes(path: &Path) -> Result<(Xattrs, bool)> {
    let failed = || "cannot read its attributes".to_owned();
    let mut names = vec![0; 1 << 16];
    let length = match rustix::fs::llistxattr(path, &mut names[..]) {
        Err(rustix::io::Errno::NOTSUP) => 0,
        other => other.map_err(std::io::Error::from).or_environment(failed)?,
    };
    let (mut xattrs, mut opaque) = (Xattrs::new(), false);
    for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let key = OsStr::from_bytes(name);
        let mut value = vec![0; 1 << 16];
        let length = rustix::fs::lgetxattr(path, key, &mut value[..]).map_err(std::io::Error::from);
        value.truncate(length.or_environment(failed)?);
        match name.strip_prefix(OVERLAY) {
            Some(own) => opaque |= own == b"opaque" && value == b"y",
            // The machine's own labels are nothing of the image's.
            None if name == b"security.selinux" => {}
            None => _ = xattrs.insert(OsString::from_vec(name.to_vec()), value),
        }
    }
    Ok((xattrs, opaque))
}

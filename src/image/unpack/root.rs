//! A folder that is written through handles, so that no link in it leads anywhere else.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags, chmodat, chownat, fsetxattr,
    linkat, makedev, mkdirat, mknodat, openat, symlinkat, unlinkat, utimensat,
};
use rustix::io::Errno;

use super::super::archive::Piece;
use super::super::layer::{Device, Xattrs};
use crate::domain::{ContentDigest, ContentWriter, Error, Result, ResultExt};

const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Says of a folder in the upper layer of an overlay that it hides the one below.
const OPAQUE: &str = "user.overlay.opaque";

/// Owner, permissions and time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Metadata {
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mtime: u64,
}

/// The folder, and the one in it that was last written to.
pub(super) struct Root {
    handle: OwnedFd,
    path: PathBuf,
    last: Option<(PathBuf, OwnedFd)>,
    buffer: Vec<u8>,
}

fn cannot(path: &Path) -> impl Fn(Errno) -> Error + '_ {
    move |errno| Error::environment(format!("cannot make '/{}'", path.display())).because(io::Error::from(errno))
}

/// A refusal that an ordinary user, or the root of a user namespace, has to live with.
fn without_right(errno: Errno) -> bool {
    matches!(errno, Errno::PERM | Errno::INVAL | Errno::ACCESS | Errno::NOTSUP)
}

impl Root {
    pub(super) fn open(path: &Path) -> Result<Root> {
        // The folder's own path may have links in it: it is the caller's.
        let handle = openat(CWD, path, FOLDER - OFlags::NOFOLLOW, Mode::empty());
        let handle = handle.or_environment(|| format!("cannot open {}", path.display()))?;
        Ok(Root { handle, path: path.to_owned(), last: None, buffer: vec![0; 1 << 17] })
    }

    /// Where an entry stands on the machine.
    pub(super) fn place_of(&self, path: &Path) -> PathBuf {
        self.path.join(path)
    }

    /// A handle on a folder, opened one component at a time and never through a link.
    fn enter(&mut self, path: &Path) -> Result<BorrowedFd<'_>> {
        if path.as_os_str().is_empty() {
            return Ok(self.handle.as_fd());
        }
        let (mut opened, mut handle) = match self.last.take() {
            Some((last, handle)) if path.starts_with(&last) => (last, Some(handle)),
            _ => (PathBuf::new(), None),
        };
        for name in path.strip_prefix(&opened).unwrap_or(path).components() {
            opened.push(name);
            let parent = handle.as_ref().map_or(self.handle.as_fd(), AsFd::as_fd);
            handle = Some(openat(parent, name.as_os_str(), FOLDER, Mode::empty()).map_err(cannot(&opened))?);
        }
        let handle = handle.ok_or_else(|| Error::bug("a folder without a name"))?;
        let last = self.last.insert((opened, handle));
        Ok(last.1.as_fd())
    }

    /// A handle on the folder that something lies in, and its name there.
    fn place<'a>(&mut self, path: &'a Path) -> Result<(BorrowedFd<'_>, &'a OsStr)> {
        match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => Ok((self.enter(parent)?, name)),
            _ => Ok((self.handle.as_fd(), OsStr::new("."))),
        }
    }

    /// A new folder that only this process may write to for now.
    pub(super) fn folder(&mut self, path: &Path) -> Result<()> {
        let (folder, name) = self.place(path)?;
        mkdirat(folder, name, Mode::RWXU).map_err(cannot(path))
    }

    /// A new file with the bytes of a reader in its pieces, and zeros elsewhere; their digest.
    pub(super) fn file(
        &mut self,
        path: &Path,
        size: u64,
        pieces: &[Piece],
        data: &mut impl Read,
        metadata: &Metadata,
        xattrs: &Xattrs,
    ) -> Result<ContentDigest> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let (folder, name) = self.place(path)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(folder, name, flags, Mode::RUSR | Mode::WUSR).map_err(cannot(path))?;
        let mut file = File::from(file);
        let digest = fill(&mut file, size, pieces, data, &mut buffer)
            .or_environment(|| format!("cannot write '/{}'", path.display()))?;
        self.buffer = buffer;
        self.owner_and_mode(path, metadata)?;
        for (name, value) in xattrs {
            // After the owner: a change of that takes capabilities away.
            bearable(fsetxattr(&file, name, value, XattrFlags::empty())).map_err(cannot(path))?;
        }
        self.time(path, metadata.mtime)?;
        Ok(digest)
    }

    pub(super) fn symlink(&mut self, path: &Path, target: &[u8], metadata: &Metadata) -> Result<()> {
        let (folder, name) = self.place(path)?;
        symlinkat(OsStr::from_bytes(target), folder, name).map_err(cannot(path))?;
        self.owner(path, metadata)?;
        self.time(path, metadata.mtime)
    }

    /// A further name of a file that this process has made.
    pub(super) fn hard_link(&mut self, path: &Path, target: &Path) -> Result<()> {
        let (folder, name) = self.place(target)?;
        let from = openat(folder, ".", FOLDER, Mode::empty()).map_err(cannot(target))?;
        let (folder, new) = self.place(path)?;
        linkat(&from, name, folder, new, AtFlags::empty()).map_err(cannot(path))
    }

    /// A device or a pipe. Devices are refused to ordinary users; the entry says what would be there.
    pub(super) fn node(&mut self, path: &Path, kind: FileType, device: Device, metadata: &Metadata) -> Result<()> {
        let (folder, name) = self.place(path)?;
        match mknodat(folder, name, kind, Mode::RUSR | Mode::WUSR, makedev(device.major, device.minor)) {
            Err(errno) if kind != FileType::Fifo && without_right(errno) => return Ok(()),
            other => other.map_err(cannot(path))?,
        }
        self.owner_and_mode(path, metadata)?;
        self.time(path, metadata.mtime)
    }

    /// A character device 0/0: everybody may make one, for it is nothing.
    pub(super) fn whiteout(&mut self, path: &Path) -> Result<()> {
        let (folder, name) = self.place(path)?;
        mknodat(folder, name, FileType::CharacterDevice, Mode::empty(), makedev(0, 0)).map_err(cannot(path))?;
        self.time(path, 0)
    }

    /// Takes something away that this process has made; what it could not make is not there.
    pub(super) fn remove(&mut self, path: &Path, is_folder: bool) -> Result<()> {
        if self.last.as_ref().is_some_and(|(last, _)| last.starts_with(path)) {
            self.last = None;
        }
        let (folder, name) = self.place(path)?;
        let flags = if is_folder { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        match unlinkat(folder, name, flags) {
            Err(Errno::NOENT) => Ok(()),
            other => other.map_err(cannot(path)),
        }
    }

    /// Gives a folder what it is to have at last.
    pub(super) fn finish_folder(
        &mut self,
        path: &Path,
        opaque: bool,
        metadata: &Metadata,
        xattrs: &Xattrs,
    ) -> Result<()> {
        self.owner(path, metadata)?;
        let (folder, name) = self.place(path)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let handle = openat(folder, name, flags, Mode::empty()).map_err(cannot(path))?;
        for (name, value) in xattrs {
            bearable(fsetxattr(&handle, name, value, XattrFlags::empty())).map_err(cannot(path))?;
        }
        if opaque {
            fsetxattr(&handle, OPAQUE, b"y", XattrFlags::empty()).map_err(|errno| {
                cannot(path)(errno).hint("the store's file system must take extended attributes of users")
            })?;
        }
        self.mode(path, metadata.mode)?;
        self.time(path, metadata.mtime)
    }

    fn owner(&mut self, path: &Path, metadata: &Metadata) -> Result<bool> {
        let (folder, name) = self.place(path)?;
        let (uid, gid) = (Uid::from_raw(metadata.uid), Gid::from_raw(metadata.gid));
        match chownat(folder, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW) {
            Err(errno) if without_right(errno) => Ok(false),
            other => other.map(|()| true).map_err(cannot(path)),
        }
    }

    /// Only for what this process has made itself and knows to be no link.
    fn mode(&mut self, path: &Path, mode: u32) -> Result<()> {
        let (folder, name) = self.place(path)?;
        chmodat(folder, name, Mode::from_raw_mode(mode), AtFlags::empty()).map_err(cannot(path))
    }

    fn owner_and_mode(&mut self, path: &Path, metadata: &Metadata) -> Result<()> {
        let owned = self.owner(path, metadata)?;
        // A program that runs as its owner must not do so as another than it is meant for.
        self.mode(path, if owned { metadata.mode } else { metadata.mode & 0o1777 })
    }

    fn time(&mut self, path: &Path, mtime: u64) -> Result<()> {
        let (folder, name) = self.place(path)?;
        let seconds = i64::try_from(mtime).or_bug(|| "a time that was checked".into())?;
        let time = Timespec { tv_sec: seconds, tv_nsec: 0 };
        let times = Timestamps { last_access: time, last_modification: time };
        utimensat(folder, name, &times, AtFlags::SYMLINK_NOFOLLOW).map_err(cannot(path))
    }
}

/// What this process may not set, the entry still says.
fn bearable(result: Result<(), Errno>) -> Result<(), Errno> {
    match result {
        Err(errno) if without_right(errno) => Ok(()),
        other => other,
    }
}

/// Writes a file, with holes where no piece is.
fn fill(
    file: &mut File,
    size: u64,
    pieces: &[Piece],
    data: &mut impl Read,
    buffer: &mut [u8],
) -> io::Result<ContentDigest> {
    let mut digest = ContentWriter::default();
    let mut end = 0;
    for piece in pieces {
        io::copy(&mut io::repeat(0).take(piece.offset - end), &mut digest)?;
        file.seek(SeekFrom::Start(piece.offset))?;
        let mut left = piece.length;
        while left > 0 {
            let wanted = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let count = data.read(&mut buffer[..wanted])?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            file.write_all(&buffer[..count])?;
            digest.write_all(&buffer[..count])?;
            left -= count as u64;
        }
        end = piece.offset + piece.length;
    }
    io::copy(&mut io::repeat(0).take(size - end), &mut digest)?;
    // Neither does a hole at the end write anything, nor a piece of no bytes behind it.
    file.set_len(size)?;
    Ok(digest.finish())
}

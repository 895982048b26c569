//! An entry of an archive, its header and all that stood before it taken together.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::super::layer::{Device, Xattrs};
use super::pax::Pax;
use super::sparse::Piece;
use crate::domain::{Error, Result, ResultExt};

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Directory,
    /// A file of so many bytes, in pieces with zeros between and after them.
    File {
        size: u64,
        pieces: Vec<Piece>,
    },
    /// With the target as it is written.
    Symlink(Vec<u8>),
    /// With the name of another entry.
    HardLink(PathBuf),
    CharDevice(Device),
    BlockDevice(Device),
    Fifo,
}

/// An entry of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    /// Relative to the root, with no `.` or `..` in it; empty for the root itself.
    pub(crate) path: PathBuf,
    pub(crate) kind: Kind,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Seconds since 1970.
    pub(crate) mtime: u64,
    pub(crate) xattrs: Xattrs,
}

/// The path of an entry, relative to the root.
///
/// # Errors
/// One that is absolute, or has `..` in it, or a NUL.
pub(crate) fn entry_path(bytes: &[u8]) -> Result<PathBuf> {
    let shown = || String::from_utf8_lossy(bytes).escape_debug().to_string();
    let mut path = PathBuf::new();
    if bytes.contains(&0) {
        return Err(Error::environment(format!("the name '{}' has a NUL byte in it", shown())));
    }
    for component in Path::new(OsStr::from_bytes(bytes)).components() {
        match component {
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            _ => return Err(Error::environment(format!("the entry '{}' leads out of the image", shown()))),
        }
    }
    Ok(path)
}

/// What the header itself and the headers before it say of names.
pub(super) struct Names {
    pub(super) path: Vec<u8>,
    pub(super) link: Vec<u8>,
}

fn id(number: u64, what: &str) -> Result<u32> {
    // The highest number means "none" to the kernel.
    let id = u32::try_from(number).ok().filter(|id| *id != u32::MAX);
    id.ok_or_else(|| Error::environment(format!("its {what} is {number}")))
}

/// A field that somebody left empty is zero, as it is for other readers.
fn field<T: Default>(bytes: &[u8], read: impl FnOnce() -> io::Result<T>) -> Result<T> {
    if bytes.iter().all(|byte| matches!(byte, 0 | b' ')) {
        return Ok(T::default());
    }
    read().or_environment(|| "its header is broken".into())
}

/// A negative time in the binary form counts as 1970, and so does what no file system keeps.
fn mtime(header: &tar::Header) -> Result<u64> {
    if header.as_old().mtime[0] == 0xff {
        return Ok(0);
    }
    field(&header.as_old().mtime, || header.mtime())
}

/// What a header without data is; its size must say so. `None` for a file.
pub(super) fn without_data(header: &tar::Header, names: &Names, size: u64) -> Result<Option<Kind>> {
    let device = || {
        let broken = || "its device number is broken".to_owned();
        let major = header.device_major().or_environment(broken)?.unwrap_or_default();
        let minor = header.device_minor().or_environment(broken)?.unwrap_or_default();
        Ok::<_, Error>(Device { major, minor })
    };
    let kind = match header.entry_type().as_byte() {
        // In the first archives a slash told a folder from a file.
        b'\0' if names.path.ends_with(b"/") => Kind::Directory,
        b'\0' | b'0' | b'7' | b'S' => return Ok(None),
        b'1' => Kind::HardLink(entry_path(&names.link).context(|| "it links".into())?),
        b'2' => Kind::Symlink(names.link.clone()),
        b'3' => Kind::CharDevice(device()?),
        b'4' => Kind::BlockDevice(device()?),
        b'5' => Kind::Directory,
        b'6' => Kind::Fifo,
        other => {
            return Err(Error::environment(format!(
                "it is of the unknown type '{}'",
                char::from(other).escape_debug()
            )));
        }
    };
    if size != 0 {
        return Err(Error::environment(format!("it is no file, but has {size} bytes of data")));
    }
    Ok(Some(kind))
}

/// Everything but the kind.
pub(super) fn member(header: &tar::Header, path: PathBuf, kind: Kind, pax: Pax) -> Result<Member> {
    let old = header.as_old();
    let uid = pax.uid.map_or_else(|| field(&old.uid, || header.uid()), Ok)?;
    let gid = pax.gid.map_or_else(|| field(&old.gid, || header.gid()), Ok)?;
    let mtime = pax.mtime.map_or_else(|| mtime(header), Ok)?;
    if i64::try_from(mtime).is_err() {
        return Err(Error::environment(format!("its time is {mtime}")));
    }
    Ok(Member {
        path,
        kind,
        mode: field(&old.mode, || header.mode())? & 0o7777,
        uid: id(uid, "user")?,
        gid: id(gid, "group")?,
        mtime,
        xattrs: pax.xattrs,
    })
}

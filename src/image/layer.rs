//! Layers: deterministic tar archives, and the key that names one before it is written.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::domain::{ContentDigest, Digest, DigestWriter, Error, Result, ResultExt};

/// What an entry of a layer holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A folder.
    Directory,
    /// A folder that hides what the layers below have in it.
    OpaqueDirectory,
    /// A file, and where its bytes are.
    File {
        /// The file on disk.
        source: PathBuf,
        /// Of its bytes.
        digest: ContentDigest,
        /// What it was when the digest was taken.
        stamp: Stamp,
    },
    /// A symbolic link.
    Symlink(PathBuf),
    /// Another name of a file of the same layer, which sorts before it.
    HardLink(PathBuf),
    /// A character device.
    CharDevice(Device),
    /// A block device.
    BlockDevice(Device),
    /// A named pipe.
    Fifo,
    /// What the layers below have under the name is gone. It has no mode, owner or time.
    Whiteout,
}

impl Content {
    /// Whether other entries may lie below it.
    pub fn is_directory(&self) -> bool {
        matches!(self, Content::Directory | Content::OpaqueDirectory)
    }
}

/// Whether it stands in an unpacked layer for something of those below that is gone: a device without a number, as overlay
/// file systems have it.
pub fn is_whiteout(metadata: &Metadata) -> bool {
    metadata.file_type().is_char_device() && metadata.rdev() == 0
}

/// The number of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device {
    /// Which driver.
    pub major: u32,
    /// Which of its devices.
    pub minor: u32,
}

/// Extended attributes by their whole names, such as `security.capability`.
pub type Xattrs = BTreeMap<OsString, Vec<u8>>;

/// An entry of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Permission bits, with setuid, setgid and sticky.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Its own modification time, in seconds since 1970; else it has the one of its layer.
    pub mtime: Option<u64>,
    /// Its extended attributes.
    pub xattrs: Xattrs,
    /// The rest.
    pub content: Content,
}

impl Entry {
    /// An entry with the time of its layer and without extended attributes.
    pub fn new(content: Content, mode: u32, (uid, gid): (u32, u32)) -> Entry {
        Entry { mode, uid, gid, mtime: None, xattrs: Xattrs::new(), content }
    }

    /// What stands for nothing.
    pub fn whiteout() -> Entry {
        Entry::new(Content::Whiteout, 0, (0, 0))
    }
}

/// Entries by path, which is relative to the image's root; parents sort before what they hold.
pub type Entries = BTreeMap<PathBuf, Entry>;

/// By what a file is known to have stayed the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    size: u64,
    /// `None` for a file of the store: it never changes.
    state: Option<State>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    inode: (u64, u64),
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// The stamp of a file of the user's.
    pub(super) fn of(metadata: &Metadata) -> Stamp {
        let state = State {
            inode: (metadata.dev(), metadata.ino()),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        };
        Stamp { size: metadata.size(), state: Some(state) }
    }

    /// The stamp of a file of the store.
    pub(super) fn kept(size: u64) -> Stamp {
        Stamp { size, state: None }
    }

    /// Bytes of the file.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    fn fits(&self, metadata: &Metadata) -> bool {
        let now = Stamp::of(metadata);
        now.size == self.size && (self.state.is_none() || now.state == self.state)
    }
}

/// Stands for what is in a layer: every byte of its archive follows from it, the time of its entries, and the compressor.
pub(super) fn identity(entries: &Entries) -> Digest {
    let mut writer = DigestWriter::new(io::sink());
    // Lengths before texts: no two layers may run together to the same bytes.
    let mut text = |bytes: &[u8]| {
        let length = (bytes.len() as u64).to_be_bytes();
        writer.write_all(&length).and_then(|()| writer.write_all(bytes)).expect("a sink takes everything");
    };
    text(b"layer-v3");
    for (path, entry) in entries {
        text(path.as_os_str().as_bytes());
        text(&[entry.mode.to_be_bytes(), entry.uid.to_be_bytes(), entry.gid.to_be_bytes()].concat());
        text(&entry.mtime.map_or(Vec::new(), |time| time.to_be_bytes().to_vec()));
        text(&(entry.xattrs.len() as u64).to_be_bytes());
        for (name, value) in &entry.xattrs {
            text(name.as_bytes());
            text(value);
        }
        match &entry.content {
            Content::Directory => text(b"directory"),
            Content::OpaqueDirectory => text(b"opaque"),
            Content::File { digest, .. } => text(digest.to_string().as_bytes()),
            Content::Symlink(target) => {
                text(b"symlink");
                text(target.as_os_str().as_bytes());
            }
            Content::HardLink(target) => {
                text(b"hard-link");
                text(target.as_os_str().as_bytes());
            }
            Content::CharDevice(device) => text(format!("char {}:{}", device.major, device.minor).as_bytes()),
            Content::BlockDevice(device) => text(format!("block {}:{}", device.major, device.minor).as_bytes()),
            Content::Fifo => text(b"fifo"),
            Content::Whiteout => text(b"whiteout"),
        }
    }
    writer.finish().0
}

/// The digest of everything that decides a layer's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerKey(Digest);

impl LayerKey {
    /// The key of a layer by its identity, with one modification time for entries without their own, and a compressor.
    pub fn of(identity: Digest, mtime: u64, compressor: &str) -> LayerKey {
        LayerKey(Digest::of_json(&(identity, mtime, compressor)))
    }

    /// The 64 digits of it.
    pub fn hex(&self) -> String {
        self.0.hex()
    }
}

/// Fails where a file ends before its size is reached.
struct Exactly<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Exactly<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let count = self.inner.read(&mut buffer[..wanted])?;
        if count == 0 && wanted > 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it became shorter"));
        }
        self.left -= count as u64;
        Ok(count)
    }
}

fn open(source: &Path) -> io::Result<File> {
    // No link may have taken the file's place, and a pipe must not hang the build.
    OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(source)
}

/// Writes the entries as a tar archive in GNU format, which takes names of any bytes and length.
///
/// # Errors
/// A file that cannot be read, or that is no longer what its digest was taken of.
pub(super) fn write_tar(entries: &Entries, mtime: u64, writer: impl Write) -> Result<()> {
    let mut builder = tar::Builder::new(writer);
    for (path, entry) in entries {
        write_entry(&mut builder, path, entry, mtime)
            .context(|| format!("cannot put {} into the layer", path.display()))?;
    }
    builder.finish().or_environment(|| "cannot write the layer".into())
}

/// The name of what is deleted comes after it.
pub(super) const WHITEOUT: &str = ".wh.";

/// After [`WHITEOUT`]: everything in the folder is.
pub(super) const OPAQUE: &str = ".wh..opq";

/// What an extended attribute's name comes after in a record.
pub(super) const XATTR: &str = "SCHILY.xattr.";

/// The entry that holds extended attributes is called so; nobody reads it.
const XATTR_NAME: &[u8] = b"././@PaxHeader";

/// An entry whose name or link does not fit into its header comes behind one of this name that holds it.
const LONG: &[u8] = b"././@LongLink";

fn append(builder: &mut tar::Builder<impl Write>, header: &mut tar::Header, data: impl Read) -> io::Result<()> {
    header.set_cksum();
    builder.append(header, data)
}

/// Copies what fits, and writes an entry of its own for the whole if it does not.
fn long_text(
    builder: &mut tar::Builder<impl Write>,
    kind: tar::EntryType,
    text: &[u8],
    field: &mut [u8; 100],
) -> io::Result<()> {
    let fits = text.len().min(field.len());
    field[..fits].copy_from_slice(&text[..fits]);
    if text.len() == fits {
        return Ok(());
    }
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..LONG.len()].copy_from_slice(LONG);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_entry_type(kind);
    // The NUL that ends it counts.
    header.set_size(text.len() as u64 + 1);
    append(builder, &mut header, text.chain(&[0][..]))
}

/// The name of an entry in the archive: a folder's ends in a slash, as Docker writes it; a deletion's begins with `.wh.`.
fn archive_name(path: &Path, content: &Content) -> PathBuf {
    match content {
        _ if path.as_os_str().is_empty() => PathBuf::from("./"),
        Content::Directory | Content::OpaqueDirectory => path.join(""),
        Content::Whiteout => {
            let mut name = OsString::from(WHITEOUT);
            name.push(path.file_name().unwrap_or_default());
            path.with_file_name(name)
        }
        _ => path.to_owned(),
    }
}

/// An entry of its own with what has no place in a header, in the format of POSIX.
fn extended_attributes(builder: &mut tar::Builder<impl Write>, xattrs: &Xattrs) -> io::Result<()> {
    let mut records = Vec::new();
    for (name, value) in xattrs {
        let text = [b" ", XATTR.as_bytes(), name.as_bytes(), b"=", value, b"\n"].concat();
        // A record begins with its length, whose digits count.
        let mut length = text.len();
        while length != text.len() + length.to_string().len() {
            length = text.len() + length.to_string().len();
        }
        records.extend(length.to_string().into_bytes());
        records.extend(text);
    }
    let mut header = tar::Header::new_ustar();
    header.as_old_mut().name[..XATTR_NAME.len()].copy_from_slice(XATTR_NAME);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_entry_type(tar::EntryType::XHeader);
    header.set_size(records.len() as u64);
    append(builder, &mut header, records.as_slice())
}

fn write_entry(builder: &mut tar::Builder<impl Write>, path: &Path, entry: &Entry, mtime: u64) -> Result<()> {
    let failed = || "cannot write it".to_owned();
    let mut header = tar::Header::new_gnu();
    header.set_mode(entry.mode);
    header.set_uid(entry.uid.into());
    header.set_gid(entry.gid.into());
    header.set_mtime(entry.mtime.unwrap_or(mtime));
    header.set_size(0);
    if !entry.xattrs.is_empty() {
        extended_attributes(builder, &entry.xattrs).or_environment(failed)?;
    }
    if let Content::Symlink(target) | Content::HardLink(target) = &entry.content {
        let field = &mut header.as_old_mut().linkname;
        let kind = tar::EntryType::GNULongLink;
        long_text(builder, kind, target.as_os_str().as_bytes(), field).or_environment(failed)?;
    }
    let name = archive_name(path, &entry.content);
    let field = &mut header.as_old_mut().name;
    long_text(builder, tar::EntryType::GNULongName, name.as_os_str().as_bytes(), field).or_environment(failed)?;
    let device = |header: &mut tar::Header, device: &Device| {
        header.set_device_major(device.major).and_then(|()| header.set_device_minor(device.minor))
    };
    let kind = match &entry.content {
        Content::Directory | Content::OpaqueDirectory => tar::EntryType::Directory,
        Content::Symlink(_) => tar::EntryType::Symlink,
        Content::HardLink(_) => tar::EntryType::Link,
        Content::Fifo => tar::EntryType::Fifo,
        Content::CharDevice(number) => {
            device(&mut header, number).or_environment(failed)?;
            tar::EntryType::Char
        }
        Content::BlockDevice(number) => {
            device(&mut header, number).or_environment(failed)?;
            tar::EntryType::Block
        }
        Content::File { .. } | Content::Whiteout => tar::EntryType::Regular,
    };
    header.set_entry_type(kind);
    if let Content::File { source, stamp, .. } = &entry.content {
        return write_file(builder, &mut header, source, stamp);
    }
    append(builder, &mut header, io::empty()).or_environment(failed)?;
    if entry.content == Content::OpaqueDirectory {
        // The marker `.wh..wh..opq` has the form of a deletion in the folder.
        return write_entry(builder, &path.join(OPAQUE), &Entry::whiteout(), mtime);
    }
    Ok(())
}

fn write_file(
    builder: &mut tar::Builder<impl Write>,
    header: &mut tar::Header,
    source: &Path,
    stamp: &Stamp,
) -> Result<()> {
    let failed = || "cannot write it".to_owned();
    let changed = || {
        Error::build(format!("{} changed while it was packaged", source.display()))
            .hint("run the command again once nothing writes to it")
    };
    let file = open(source).map_err(|error| changed().because(error))?;
    let same = || Ok::<_, Error>(stamp.fits(&file.metadata().or_environment(failed)?));
    if !same()? {
        return Err(changed());
    }
    header.set_size(stamp.size);
    append(builder, header, Exactly { inner: &file, left: stamp.size }).or_environment(failed)?;
    if same()? { Ok(()) } else { Err(changed()) }
}

//! Layers: deterministic tar archives, and the key that names one before it is written.

use std::collections::BTreeMap;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::domain::{Digest, DigestWriter, Error, Result, ResultExt};

/// What an entry of a layer holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A folder.
    Directory,
    /// A file, and where its bytes are.
    File {
        /// The file on disk.
        source: PathBuf,
        /// Of its bytes.
        digest: Digest,
        /// What it was when the digest was taken.
        stamp: Stamp,
    },
    /// A symbolic link.
    Symlink(PathBuf),
}

/// An entry of a layer. There are no times: a layer has one for all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// The rest.
    pub content: Content,
}

/// Entries by path, which is relative to the image's root; parents sort before what they hold.
pub type Entries = BTreeMap<PathBuf, Entry>;

/// By what a file is known to have stayed the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    size: u64,
    inode: (u64, u64),
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// The stamp of a file.
    pub(super) fn of(metadata: &Metadata) -> Stamp {
        Stamp {
            size: metadata.size(),
            inode: (metadata.dev(), metadata.ino()),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// The digest of everything that decides a layer's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerKey(Digest);

impl LayerKey {
    /// The key of a layer with these entries, one modification time, and a compressor.
    pub fn of(entries: &Entries, mtime: u64, compressor: &str) -> LayerKey {
        let mut writer = DigestWriter::new(io::sink());
        // Lengths before texts: no two layers may run together to the same bytes.
        let mut text = |bytes: &[u8]| {
            let length = (bytes.len() as u64).to_be_bytes();
            writer.write_all(&length).and_then(|()| writer.write_all(bytes)).expect("a sink takes everything");
        };
        text(b"layer-v1");
        text(compressor.as_bytes());
        text(&mtime.to_be_bytes());
        for (path, entry) in entries {
            text(path.as_os_str().as_bytes());
            text(&[entry.mode.to_be_bytes(), entry.uid.to_be_bytes(), entry.gid.to_be_bytes()].concat());
            match &entry.content {
                Content::Directory => text(b"directory"),
                Content::File { digest, .. } => text(digest.to_string().as_bytes()),
                Content::Symlink(target) => {
                    text(b"symlink");
                    text(target.as_os_str().as_bytes());
                }
            }
        }
        LayerKey(writer.finish().0)
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

fn write_entry(builder: &mut tar::Builder<impl Write>, path: &Path, entry: &Entry, mtime: u64) -> Result<()> {
    let failed = || "cannot write it".to_owned();
    let mut header = tar::Header::new_gnu();
    header.set_mode(entry.mode);
    header.set_uid(entry.uid.into());
    header.set_gid(entry.gid.into());
    header.set_mtime(mtime);
    header.set_size(0);
    if let Content::Symlink(target) = &entry.content {
        let field = &mut header.as_old_mut().linkname;
        let kind = tar::EntryType::GNULongLink;
        long_text(builder, kind, target.as_os_str().as_bytes(), field).or_environment(failed)?;
    }
    // A folder's name ends in a slash, as Docker writes it.
    let path = if entry.content == Content::Directory { path.join("") } else { path.to_owned() };
    let field = &mut header.as_old_mut().name;
    long_text(builder, tar::EntryType::GNULongName, path.as_os_str().as_bytes(), field).or_environment(failed)?;
    match &entry.content {
        Content::Directory => {
            header.set_entry_type(tar::EntryType::Directory);
            append(builder, &mut header, io::empty()).or_environment(failed)
        }
        Content::Symlink(_) => {
            header.set_entry_type(tar::EntryType::Symlink);
            append(builder, &mut header, io::empty()).or_environment(failed)
        }
        Content::File { source, stamp, .. } => {
            let changed = || {
                Error::build(format!("{} changed while it was packaged", source.display()))
                    .hint("run the command again once nothing writes to it")
            };
            let file = open(source).map_err(|error| changed().because(error))?;
            let same = || Ok::<_, Error>(Stamp::of(&file.metadata().or_environment(failed)?) == *stamp);
            if !same()? {
                return Err(changed());
            }
            header.set_entry_type(tar::EntryType::Regular);
            header.set_size(stamp.size);
            append(builder, &mut header, Exactly { inner: &file, left: stamp.size }).or_environment(failed)?;
            if same()? { Ok(()) } else { Err(changed()) }
        }
    }
}

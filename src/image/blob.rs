//! A blob on its way into a layout.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::domain::{Digest, DigestWriter, Error, Result, ResultExt};

/// A blob that is being written; it is not there before [`BlobWriter::complete`].
pub struct BlobWriter {
    writer: DigestWriter<BufWriter<NamedTempFile>>,
    blobs: PathBuf,
}

/// What stands under a blob's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Present {
    /// The blob.
    Whole,
    /// Nothing, or a file of another size: what a crash leaves.
    Missing,
}

/// Looks at a blob's place.
pub(super) fn look(path: &Path, size: u64) -> Result<Present> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_file() && metadata.len() == size => Ok(Present::Whole),
        Ok(metadata) if metadata.is_file() => Ok(Present::Missing),
        Ok(_) => Err(Error::environment(format!("{} is no plain file: somebody planted it", path.display()))
            .hint(format!("look at it, then remove it: rm {}", path.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Present::Missing),
        Err(error) => Err(error).or_environment(|| format!("cannot read {}", path.display())),
    }
}

impl BlobWriter {
    /// Starts a blob; the temporary file stands in `temporary`, on the file system of `blobs`.
    pub(super) fn new(temporary: &Path, blobs: &Path) -> Result<BlobWriter> {
        let file = temporary_file(temporary)?;
        let writer = DigestWriter::new(BufWriter::with_capacity(1 << 18, file));
        Ok(BlobWriter { writer, blobs: blobs.to_owned() })
    }

    /// How many bytes were written.
    pub fn written(&self) -> u64 {
        self.writer.written()
    }

    /// Puts the blob in its place if it is the one that was to come.
    ///
    /// # Errors
    /// As [`BlobWriter::complete`], and for any other bytes: then nothing is kept.
    pub fn expect(self, digest: Digest) -> Result<u64> {
        match self.writer.digest() {
            found if found == digest => self.complete().map(|(_, size)| size),
            found => Err(Error::environment(format!("expected {digest}, found {found}"))),
        }
    }

    /// Puts the blob in its place.
    ///
    /// # Errors
    /// A full disk, or something under the blob's name that is no plain file.
    pub fn complete(self) -> Result<(Digest, u64)> {
        let (digest, size, writer) = self.writer.finish();
        let path = self.blobs.join(digest.hex());
        let failed = || format!("cannot write {}", path.display());
        let file = writer.into_inner().map_err(io::IntoInnerError::into_error).or_environment(failed)?;
        if look(&path, size)? == Present::Missing {
            file.as_file().sync_all().or_environment(failed)?;
            file.persist(&path).map_err(|error| error.error).or_environment(failed)?;
        }
        Ok((digest, size))
    }
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// A temporary file that everybody may read once it has its name, as far as the umask allows.
pub(super) fn temporary_file(dir: &Path) -> Result<NamedTempFile> {
    use std::os::unix::fs::PermissionsExt;
    tempfile::Builder::new()
        .prefix(".tmp-")
        .permissions(fs::Permissions::from_mode(0o644))
        .tempfile_in(dir)
        .or_environment(|| format!("cannot write to {}", dir.display()))
}

/// Replaces a file in one step, for good.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = || format!("cannot write {}", path.display());
    let file = written(path, bytes)?;
    file.as_file().sync_all().or_environment(failed)?;
    file.persist(path).map_err(|error| error.error).or_environment(failed)?;
    Ok(())
}

/// Replaces a file in one step. Should the machine crash it may be damaged, so it is for what can be made again; the
/// disk is not waited for, which takes longer than packing a small layer.
pub(super) fn note(path: &Path, bytes: &[u8]) -> Result<()> {
    let file = written(path, bytes)?;
    file.persist(path).map_err(|error| error.error).or_environment(|| format!("cannot write {}", path.display()))?;
    Ok(())
}

/// A temporary file beside the one that it is to become.
fn written(path: &Path, bytes: &[u8]) -> Result<NamedTempFile> {
    let mut file = temporary_file(path.parent().unwrap_or(Path::new(".")))?;
    file.write_all(bytes).or_environment(|| format!("cannot write {}", path.display()))?;
    Ok(file)
}

/// Opens a lock file, following no link.
pub(super) fn lock_file(path: &Path) -> Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create(true).custom_flags(libc::O_NOFOLLOW);
    options.open(path).or_environment(|| format!("cannot open the lock {}", path.display()))
}

//! A root file system on disk as a layer: what bootstrapping made.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::cache::{BuiltLayer, Origin};
use super::gzip::ParallelGzip;
use super::layer::{WHITEOUT, is_whiteout};
use super::{Descriptor, Layout, media_type};
use crate::domain::{DigestWriter, Error, Result, ResultExt};

/// User and group by number.
type Owner = (u32, u32);

/// A folder whose whole content becomes a layer, with the modes and times that it has there.
pub struct RootLayer<'a> {
    /// The folder.
    pub folder: &'a Path,
    /// User and group of a path below it, from those that are found.
    pub owner: &'a dyn Fn(&Path, Owner) -> Owner,
    /// How many processors compress; the bytes do not depend on it.
    pub threads: usize,
}

impl RootLayer<'_> {
    /// Writes the layer.
    ///
    /// # Errors
    /// An environment error that names the path that cannot be read, or is of a kind that no image holds.
    pub fn write(&self, layout: &Layout) -> Result<BuiltLayer> {
        let failed = || format!("cannot write a layer to {}", layout.dir().display());
        let gzip = ParallelGzip::new(layout.blob_writer()?, self.threads).or_environment(failed)?;
        let (diff_id, _, gzip) = self.pack(DigestWriter::new(gzip))?.finish();
        let (digest, size) = gzip.finish().or_environment(failed)?.complete()?;
        let descriptor = Descriptor::new(media_type::LAYER_GZIP, digest, size);
        Ok(BuiltLayer { descriptor, diff_id, origin: Origin::Written })
    }

    /// Writes the archive as it is, and gives the writer back.
    ///
    /// # Errors
    /// As for [`RootLayer::write`].
    pub fn pack<W: Write>(&self, writer: W) -> Result<W> {
        let mut builder = tar::Builder::new(writer);
        self.append(&mut builder, Path::new(""), &mut HashMap::new())?;
        builder.into_inner().or_environment(|| "cannot write a layer".into())
    }

    fn append(
        &self,
        builder: &mut tar::Builder<impl Write>,
        folder: &Path,
        linked: &mut HashMap<(u64, u64), PathBuf>,
    ) -> Result<()> {
        let failed = || format!("cannot read {}", self.folder.join(folder).display());
        let entries = fs::read_dir(self.folder.join(folder)).or_environment(failed)?;
        let mut names =
            entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>().or_environment(failed)?;
        names.sort();
        for name in names {
            let path = folder.join(name);
            let failed = || format!("cannot pack {}", path.display());
            let metadata = fs::symlink_metadata(self.folder.join(&path)).or_environment(failed)?;
            self.entry(builder, &path, &metadata, linked).or_environment(failed)?;
            if metadata.is_dir() {
                self.append(builder, &path, linked)?;
            }
        }
        Ok(())
    }

    fn entry(
        &self,
        builder: &mut tar::Builder<impl Write>,
        path: &Path,
        metadata: &Metadata,
        linked: &mut HashMap<(u64, u64), PathBuf>,
    ) -> io::Result<()> {
        let mut header = tar::Header::new_gnu();
        let (uid, gid) = (self.owner)(path, (metadata.uid(), metadata.gid()));
        header.set_uid(uid.into());
        header.set_gid(gid.into());
        header.set_mode(metadata.mode() & 0o7777);
        header.set_mtime(u64::try_from(metadata.mtime()).unwrap_or_default());
        header.set_size(0);
        let kind = metadata.file_type();
        if kind.is_dir() {
            header.set_entry_type(tar::EntryType::Directory);
            return builder.append_data(&mut header, path.join(""), io::empty());
        }
        if kind.is_symlink() {
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_mode(0o777);
            return builder.append_link(&mut header, path, fs::read_link(self.folder.join(path))?);
        }
        if metadata.nlink() > 1 {
            let first = linked.entry((metadata.dev(), metadata.ino())).or_insert_with(|| path.to_owned());
            if first != path {
                header.set_entry_type(tar::EntryType::Link);
                return builder.append_link(&mut header, path, first);
            }
        }
        if kind.is_file() {
            header.set_entry_type(tar::EntryType::Regular);
            header.set_size(metadata.len());
            let file = File::open(self.folder.join(path))?;
            return builder.append_data(&mut header, path, file.take(metadata.len()));
        }
        if is_whiteout(metadata) {
            // How an overlay file system says that what lies below is gone.
            header.set_entry_type(tar::EntryType::Regular);
            let name = path.file_name().unwrap_or_default();
            let hidden = [WHITEOUT.as_bytes(), name.as_bytes()].concat();
            return builder.append_data(&mut header, path.with_file_name(OsStr::from_bytes(&hidden)), io::empty());
        }
        let shown = String::from_utf8_lossy(path.as_os_str().as_bytes()).into_owned();
        let what = if kind.is_fifo() { "pipe" } else { "device or socket" };
        Err(io::Error::other(Error::environment(format!("{shown} is a {what}"))))
    }
}

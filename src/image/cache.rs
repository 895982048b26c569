//! Layers by the key of their inputs: one whose inputs did not change is not written again.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use serde::{Deserialize, Serialize};

use super::gzip::{COMPRESSOR, ParallelGzip};
use super::layer::{self, Entries, LayerKey};
use super::{Descriptor, Layout, blob, media_type};
use crate::domain::{Digest, DigestWriter, Error, Result, ResultExt};

/// What is known of a layer that was written once; one file `<key>` for each.
pub struct LayerCache {
    dir: PathBuf,
    threads: usize,
}

/// A layer in a layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltLayer {
    /// The blob.
    pub descriptor: Descriptor,
    /// The digest of the uncompressed tar archive.
    pub diff_id: Digest,
    /// Whether it had to be written.
    pub origin: Origin,
}

/// Where a layer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Written now.
    Written,
    /// It was there: its inputs did not change.
    Reused,
    /// It belongs to the base image.
    Base,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    diff_id: Digest,
    blob: Digest,
    size: u64,
}

impl LayerCache {
    /// A cache in a folder that is created if need be; compresses on all processors.
    pub fn open(dir: &Path) -> Result<LayerCache> {
        fs::create_dir_all(dir).or_environment(|| format!("cannot create {}", dir.display()))?;
        Ok(LayerCache { dir: dir.to_owned(), threads: thread::available_parallelism().map_or(1, usize::from) })
    }

    /// The same, compressing on so many threads; the bytes do not depend on it.
    pub fn with_threads(self, threads: usize) -> LayerCache {
        LayerCache { threads, ..self }
    }

    /// A layer that is an archive already, which another builder has made; `archive` is not compressed.
    ///
    /// # Errors
    /// An archive that cannot be read, or whose bytes do not have the digest; a layout that cannot be written.
    pub(super) fn archive(&self, diff_id: Digest, mut archive: impl Read, layout: &Layout) -> Result<BuiltLayer> {
        let failed = || format!("cannot write the layer {diff_id} to {}", layout.dir().display());
        let gzip = ParallelGzip::new(layout.blob_writer()?, self.threads).or_environment(failed)?;
        let mut tar = DigestWriter::new(gzip);
        std::io::copy(&mut archive, &mut tar).or_environment(failed)?;
        let (found, _, gzip) = tar.finish();
        if found != diff_id {
            return Err(Error::environment(failed()).because(format!("its bytes have the digest {found}")));
        }
        let (blob, size) = gzip.finish().or_environment(failed)?.complete()?;
        Ok(built(&Record { diff_id, blob, size }, Origin::Written))
    }

    /// The layer of an identity, written into the layout unless it is there; `entries` gives what is in it.
    pub(super) fn layer(
        &self,
        identity: Digest,
        entries: impl FnOnce() -> Result<Arc<Entries>>,
        mtime: u64,
        layout: &Layout,
    ) -> Result<BuiltLayer> {
        let record_path = self.dir.join(LayerKey::of(identity, mtime, COMPRESSOR).hex());
        if let Some(record) = read(&record_path)
            && layout.has_blob(&record.blob, record.size)?
        {
            return Ok(built(&record, Origin::Reused));
        }
        let failed = || format!("cannot write a layer to {}", layout.dir().display());
        let gzip = ParallelGzip::new(layout.blob_writer()?, self.threads).or_environment(failed)?;
        let mut tar = DigestWriter::new(gzip);
        layer::write_tar(&*entries()?, mtime, &mut tar)?;
        let (diff_id, _, gzip) = tar.finish();
        let (blob, size) = gzip.finish().or_environment(failed)?.complete()?;
        let record = Record { diff_id, blob, size };
        let text = serde_json::to_vec(&record).or_bug(|| "cannot write JSON".into())?;
        blob::note(&record_path, &text)?;
        Ok(built(&record, Origin::Written))
    }
}

/// A record that is damaged is no record.
fn read(path: &Path) -> Option<Record> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

fn built(record: &Record, origin: Origin) -> BuiltLayer {
    let descriptor = Descriptor::new(media_type::LAYER_GZIP, record.blob, record.size);
    BuiltLayer { descriptor, diff_id: record.diff_id, origin }
}

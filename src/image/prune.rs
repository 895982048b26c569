//! Removing what no name of a layout leads to any more.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

use super::{Descriptor, Index, Layout, Manifest};
use crate::domain::{Digest, DigestReader, Result, ResultExt};

/// What pruning did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pruned {
    /// Nothing: somebody else is at work in the layout.
    Busy,
    /// So many files, of so many bytes together.
    Removed {
        /// Files.
        files: u64,
        /// Bytes.
        bytes: u64,
    },
}

impl Layout {
    /// Removes blobs that nothing references, and the leavings of killed processes.
    ///
    /// # Errors
    /// A document that cannot be read: then nothing is removed.
    pub fn prune(self) -> Result<Pruned> {
        if self.in_use().try_lock().is_err() {
            return Ok(Pruned::Busy);
        }
        let mut used = BTreeSet::new();
        for entry in self.index()?.manifests {
            self.mark(&entry, &mut used, 0)?;
        }
        let (mut files, mut bytes) = (0, 0);
        for dir in [self.blobs(), self.dir()] {
            let failed = || format!("cannot clean {}", dir.display());
            for entry in fs::read_dir(dir).or_environment(failed)? {
                let entry = entry.or_environment(failed)?;
                let name = entry.file_name();
                let text = name.to_string_lossy();
                let digest = text.parse::<Digest>().ok().filter(|_| dir == self.blobs());
                if text.starts_with(".tmp-") || digest.is_some_and(|digest| !used.contains(&digest)) {
                    let size = entry.metadata().or_environment(failed)?.len();
                    fs::remove_file(entry.path()).or_environment(failed)?;
                    files += 1;
                    bytes += size;
                }
            }
        }
        Ok(Pruned::Removed { files, bytes })
    }

    /// Blobs whose bytes do not have the digest of their name, and what they have.
    ///
    /// # Errors
    /// A blob that cannot be read.
    pub fn damaged(&self) -> Result<Vec<(PathBuf, Digest)>> {
        let mut damaged = Vec::new();
        let failed = || format!("cannot list {}", self.blobs().display());
        for entry in fs::read_dir(self.blobs()).or_environment(failed)? {
            let path = entry.or_environment(failed)?.path();
            let failed = || format!("cannot read {}", path.display());
            let mut reader = DigestReader::new(File::open(&path).or_environment(failed)?);
            io::copy(&mut reader, &mut io::sink()).or_environment(failed)?;
            let (found, _) = reader.finish();
            if path.file_name().is_none_or(|name| name.to_string_lossy() != found.hex()) {
                damaged.push((path, found));
            }
        }
        damaged.sort();
        Ok(damaged)
    }

    fn mark(&self, descriptor: &Descriptor, used: &mut BTreeSet<Digest>, depth: usize) -> Result<()> {
        // An index in an index in an index has no use.
        if !used.insert(descriptor.digest) || depth > 4 {
            return Ok(());
        }
        if descriptor.is_index() {
            for entry in self.read_json::<Index>(descriptor)?.manifests {
                // Of an index, a layout need not have every platform.
                if self.has_blob(&entry.digest, entry.size)? {
                    self.mark(&entry, used, depth + 1)?;
                }
            }
        } else if descriptor.is_manifest() {
            let manifest: Manifest = self.read_json(descriptor)?;
            used.extend([manifest.config].iter().chain(&manifest.layers).map(|blob| blob.digest));
        }
        Ok(())
    }
}

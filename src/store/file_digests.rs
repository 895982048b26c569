//! Digests of files, computed again only when a file's size, times or inode differ.

use std::collections::HashMap;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::{Bucket, Store};
use crate::domain::{ContentDigest, Digest, Result, ResultExt};

/// A file that changed this recently could change again without its times showing it.
const SETTLED_SECONDS: i64 = 2;

/// What tells one state of a file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStamp {
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    inode: u64,
}

impl FileStamp {
    /// The stamp of a file.
    pub fn of(metadata: &fs::Metadata) -> FileStamp {
        FileStamp {
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
        }
    }
}

/// The digest of a file's bytes.
///
/// # Errors
/// An environment error when it cannot be read.
pub fn content_digest(path: &Path) -> Result<ContentDigest> {
    let failed = || format!("cannot read {}", path.display());
    ContentDigest::of_reader(File::open(path).or_environment(failed)?).or_environment(failed)
}

/// The known digests of files below one folder. Kept in the store by [`FileDigests::save`].
#[derive(Debug)]
pub struct FileDigests {
    key: Digest,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    files: HashMap<PathBuf, (FileStamp, ContentDigest)>,
    changed: bool,
}

impl FileDigests {
    /// What is known of a folder's files.
    pub fn load(store: &Store, folder: &Path) -> FileDigests {
        let key = Digest::of(folder.as_os_str().as_encoded_bytes());
        let files: Vec<(PathBuf, FileStamp, ContentDigest)> = store.read_json(Bucket::Files, &key).unwrap_or_default();
        let files = files.into_iter().map(|(path, stamp, digest)| (path, (stamp, digest))).collect();
        FileDigests { key, known: Mutex::new(Known { files, changed: false }) }
    }

    /// The digest of a file's bytes; `metadata` is the file's own.
    ///
    /// # Errors
    /// An environment error when the file cannot be read.
    pub fn digest(&self, path: &Path, metadata: &fs::Metadata) -> Result<ContentDigest> {
        let stamp = FileStamp::of(metadata);
        if let Some((known, digest)) = self.lock().files.get(path)
            && *known == stamp
        {
            return Ok(*digest);
        }
        let digest = content_digest(path)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs() as i64);
        if stamp.changed.0.max(stamp.modified.0) + SETTLED_SECONDS < now {
            let mut known = self.lock();
            known.files.insert(path.to_owned(), (stamp, digest));
            known.changed = true;
        }
        Ok(digest)
    }

    /// Remembers a digest that is known from elsewhere, for instance of a file just written.
    pub fn remember(&self, path: &Path, metadata: &fs::Metadata, digest: ContentDigest) {
        let mut known = self.lock();
        known.files.insert(path.to_owned(), (FileStamp::of(metadata), digest));
        known.changed = true;
    }

    /// Writes what is known to the store, if it is more than before.
    ///
    /// # Errors
    /// An environment error.
    pub fn save(&self, store: &Store) -> Result<()> {
        let known = self.lock();
        if !known.changed {
            return Ok(());
        }
        let mut files: Vec<_> = known.files.iter().map(|(path, (stamp, digest))| (path, stamp, digest)).collect();
        files.retain(|(path, ..)| path.symlink_metadata().is_ok());
        files.sort_by_key(|(path, ..)| *path);
        store.save_json(Bucket::Files, &self.key, &files)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_has_a_new_digest_even_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        let digests = FileDigests::load(&store, folder.path());
        let path = folder.path().join("file");
        for content in ["one", "two", "six"] {
            fs::write(&path, content).unwrap();
            assert_eq!(digests.digest(&path, &path.metadata().unwrap()).unwrap(), ContentDigest::of(content));
        }
    }
}

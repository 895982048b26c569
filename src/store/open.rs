//! Opens the cache, and moves finished things into it in one step.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::locks::Patience;
use super::{Bucket, Record, Scratch, seal};
use crate::domain::{Digest, Error, Result, ResultExt};

/// How often a use is written down.
const MARK_EVERY: Duration = Duration::from_secs(24 * 3600);

const TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n# Everything here can be made again by xbuild.\n";

/// The cache, held open with a shared lock so that no `gc` runs meanwhile.
pub struct Store {
    root: PathBuf,
    pub(super) lock: File,
    pub(super) patience: Patience,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Store").field(&self.root).finish()
    }
}

impl Store {
    /// Where the cache is: `$XBUILD_STORE`, else `$XDG_CACHE_HOME/xbuild`, else `~/.cache/xbuild`.
    ///
    /// # Errors
    /// An environment error when there is no home folder either.
    pub fn location() -> Result<PathBuf> {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        set("XBUILD_STORE")
            .or_else(|| set("XDG_CACHE_HOME").map(|folder| folder.join("xbuild")))
            .or_else(|| set("HOME").map(|folder| folder.join(".cache/xbuild")))
            .ok_or_else(|| Error::environment("there is no place for the store").hint("set XBUILD_STORE to a folder"))
            .and_then(|path| std::path::absolute(&path).or_environment(|| format!("cannot find {}", path.display())))
    }

    /// Opens the cache for use, making it when it is not there. Waits for a `gc` that runs.
    ///
    /// # Errors
    /// An environment error when the folder cannot be written.
    pub fn open(root: &Path) -> Result<Store> {
        let unusable = || format!("cannot use the store {}", root.display());
        let hint = |error: Error| error.hint("set XBUILD_STORE to a folder that you may write");
        fs::create_dir_all(root).or_environment(unusable).map_err(hint)?;
        for bucket in Bucket::ALL {
            fs::create_dir_all(root.join(bucket.folder())).or_environment(unusable).map_err(hint)?;
        }
        let tag = root.join("CACHEDIR.TAG");
        if !tag.exists() {
            write_atomically(&tag, TAG.as_bytes()).map_err(hint)?;
        }
        let lock = File::create(root.join("lock")).or_environment(unusable).map_err(hint)?;
        lock.lock_shared().or_environment(unusable)?;
        // Canonical, because the sandbox reaches it from another root.
        let root = root.canonicalize().or_environment(unusable)?;
        Ok(Store { root, lock, patience: Box::new(|| Ok(())) })
    }

    /// The store's own folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A bucket's folder.
    pub fn bucket(&self, bucket: Bucket) -> PathBuf {
        self.root.join(bucket.folder())
    }

    /// What is in a bucket, by name.
    ///
    /// # Errors
    /// An environment error when it cannot be listed.
    pub fn entries(&self, bucket: Bucket) -> Result<Vec<PathBuf>> {
        let folder = self.bucket(bucket);
        let failed = || format!("cannot list {}", folder.display());
        let entries = fs::read_dir(&folder).or_environment(failed)?;
        let mut paths = entries.map(|entry| Ok(entry.or_environment(failed)?.path())).collect::<Result<Vec<_>>>()?;
        paths.sort();
        Ok(paths)
    }

    /// A place in a bucket for something with a key.
    pub fn place(&self, bucket: Bucket, key: &Digest) -> PathBuf {
        self.bucket(bucket).join(key.hex())
    }

    /// A new empty folder for work in progress, removed when dropped.
    ///
    /// # Errors
    /// An environment error, for instance on a full disk.
    pub fn scratch(&self) -> Result<Scratch> {
        Scratch::new(&self.bucket(Bucket::Temporary))
    }

    /// The same for a short session, with the empty folders of the last one.
    ///
    /// # Errors
    /// An environment error, for instance on a full disk.
    pub fn scratch_of_session(&self) -> Result<Scratch> {
        Scratch::again(&self.bucket(Bucket::Temporary), "spare")
    }

    /// Moves a finished folder or file to its place. What is there already is kept: it has the same key.
    ///
    /// # Errors
    /// An environment error.
    pub fn keep(&self, finished: &Path, place: &Path) -> Result<()> {
        match fs::rename(finished, place) {
            Ok(()) => Ok(()),
            Err(_) if place.exists() => Ok(()),
            Err(cause) => Err(cause).or_environment(|| format!("cannot move a finished step to {}", place.display())),
        }
    }

    /// Moves a finished folder or file to its place, and what may be there already out of it. For who holds the step's lock and
    /// knows that what is there is not whole.
    ///
    /// # Errors
    /// An environment error.
    pub fn replace(&self, finished: &Path, place: &Path) -> Result<()> {
        let failed = || format!("cannot move a finished step to {}", place.display());
        let mut damaged = None;
        if place.symlink_metadata().is_ok() {
            let scratch = self.scratch()?;
            fs::rename(place, scratch.path().join("damaged")).or_environment(failed)?;
            damaged = Some(scratch);
        }
        fs::rename(finished, place).or_environment(failed)?;
        drop(damaged);
        Ok(())
    }

    /// The record of a finished step. One that cannot be read counts as absent, since the step can be made again.
    pub fn record(&self, key: &Digest) -> Option<Record> {
        self.read_json(Bucket::Records, key)
    }

    /// Writes a step's record, after everything that it speaks of, and remembers it as the step's last.
    ///
    /// # Errors
    /// An environment error.
    pub fn save_record(&self, scope: &str, record: &Record) -> Result<()> {
        let text = seal::sealed(record)?;
        write_atomically(&self.json(Bucket::Records, &record.key), &text)?;
        self.save_json(Bucket::Steps, &last_of(scope, &record.step), &record.key)
    }

    /// The last record of a step of a project, whatever its key.
    pub fn last_record(&self, scope: &str, step: &str) -> Option<Record> {
        let key: Digest = self.read_json(Bucket::Steps, &last_of(scope, step))?;
        self.record(&key)
    }

    /// A value kept as JSON, if it is there and can be read.
    pub fn read_json<T: DeserializeOwned>(&self, bucket: Bucket, key: &Digest) -> Option<T> {
        let path = self.json(bucket, key);
        let value = serde_json::from_slice(&fs::read(&path).ok()?).ok()?;
        mark_used(&path);
        Some(value)
    }

    /// Keeps a value as JSON.
    ///
    /// # Errors
    /// An environment error.
    pub fn save_json<T: Serialize>(&self, bucket: Bucket, key: &Digest, value: &T) -> Result<()> {
        let text = serde_json::to_vec(value).or_bug(|| "cannot write a record".into())?;
        write_atomically(&self.json(bucket, key), &text)
    }

    fn json(&self, bucket: Bucket, key: &Digest) -> PathBuf {
        self.bucket(bucket).join(format!("{}.json", key.hex()))
    }
}

/// Says that something is still needed, by its modification time; `cache gc` goes by that. Once a day is enough, and
/// where it cannot be said, the thing is only made again.
pub fn mark_used(path: &Path) {
    let fresh = |metadata: fs::Metadata| metadata.modified().ok()?.elapsed().ok();
    if fs::metadata(path).ok().and_then(fresh).is_some_and(|age| age > MARK_EVERY) {
        let _ = File::open(path).and_then(|file| file.set_modified(SystemTime::now()));
    }
}

fn last_of(scope: &str, step: &str) -> Digest {
    Digest::of_json(&(scope, step))
}

/// Writes a file so that it is there whole or not at all, whatever happens.
///
/// # Errors
/// An environment error that names the file.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = || format!("cannot write {}", path.display());
    let folder = path.parent().ok_or_else(|| Error::bug(format!("{} has no folder", path.display())))?;
    let mut file = tempfile::Builder::new().prefix(".").tempfile_in(folder).or_environment(failed)?;
    file.write_all(bytes).or_environment(failed)?;
    file.as_file().sync_all().or_environment(failed)?;
    // Temporary files are private; what is kept has the usual mode.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    file.as_file().set_permissions(mode).or_environment(failed)?;
    file.persist(path).or_environment(failed)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_whole_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let place = store.place(Bucket::Outputs, &Digest::of("key"));
        fs::create_dir(&place).unwrap();
        fs::write(place.join("half"), "").unwrap();
        let scratch = store.scratch().unwrap();
        let finished = scratch.folder("finished").unwrap();
        fs::write(finished.join("whole"), "all").unwrap();
        store.replace(&finished, &place).unwrap();
        assert_eq!(fs::read(place.join("whole")).unwrap(), b"all");
        assert!(!place.join("half").exists());
    }

    #[test]
    fn half_a_record_is_no_record() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let key = Digest::of("key");
        fs::write(store.json(Bucket::Records, &key), "{\"key\": \"sha").unwrap();
        assert!(store.record(&key).is_none());
    }
}

//! Who may do what, where several processes share the cache.

use std::fs::File;
use std::time::Duration;

use super::{Bucket, Store};
use crate::domain::{Digest, Result, ResultExt};

/// How often it is looked whether a lock has become free.
const LOOK: Duration = Duration::from_millis(20);

/// Whether to go on waiting for another process.
pub(super) type Patience = Box<dyn Fn() -> Result<()> + Send + Sync>;

/// The right to make one step; given up when dropped.
#[derive(Debug)]
pub struct KeyLock {
    _file: File,
}

impl Store {
    /// Has everybody who waits for something ask, again and again, whether to go on.
    pub fn wait_while(&mut self, patience: impl Fn() -> Result<()> + Send + Sync + 'static) {
        self.patience = Box::new(patience);
    }

    /// Whether to go on waiting for something.
    ///
    /// # Errors
    /// What was given to [`Store::wait_while`] says no.
    pub fn go_on(&self) -> Result<()> {
        (self.patience)()
    }

    /// Changes the shared lock for an exclusive one; false when another process is at work.
    ///
    /// # Errors
    /// An environment error when the file system has no locks.
    pub fn lock_exclusively(&self) -> Result<bool> {
        self.lock.unlock().or_environment(|| "cannot unlock the store".into())?;
        match self.lock.try_lock() {
            Ok(()) => Ok(true),
            Err(std::fs::TryLockError::WouldBlock) => {
                self.lock.lock_shared().or_environment(|| "cannot lock the store".into())?;
                Ok(false)
            }
            Err(std::fs::TryLockError::Error(cause)) => Err(cause).or_environment(|| "cannot lock the store".into()),
        }
    }

    /// Waits until no other process makes the step with this key.
    ///
    /// # Errors
    /// An environment error when the lock cannot be made; that of [`Store::wait_while`].
    pub fn lock(&self, key: &Digest) -> Result<KeyLock> {
        loop {
            if let Some(lock) = self.try_lock(key)? {
                return Ok(lock);
            }
            // Not by sleeping in the kernel, which nothing but a signal would end.
            self.go_on()?;
            std::thread::sleep(LOOK);
        }
    }

    /// The same without waiting; `None` if somebody else has it.
    ///
    /// # Errors
    /// An environment error when the lock cannot be made.
    pub fn try_lock(&self, key: &Digest) -> Result<Option<KeyLock>> {
        let path = self.place(Bucket::Locks, key);
        let failed = || format!("cannot lock {}", path.display());
        let file = File::create(&path).or_environment(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(KeyLock { _file: file })),
            Err(std::fs::TryLockError::WouldBlock) => Ok(None),
            Err(std::fs::TryLockError::Error(cause)) => Err(cause).or_environment(failed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Error;

    #[test]
    fn two_may_use_a_store_and_neither_may_clean_it() {
        let folder = tempfile::tempdir().unwrap();
        let first = Store::open(folder.path()).unwrap();
        let second = Store::open(folder.path()).unwrap();
        assert!(!first.lock_exclusively().unwrap());
        drop(second);
        assert!(first.lock_exclusively().unwrap());
    }

    #[test]
    fn who_waits_for_a_lock_may_give_up() {
        let folder = tempfile::tempdir().unwrap();
        let (first, mut second) = (Store::open(folder.path()).unwrap(), Store::open(folder.path()).unwrap());
        let asked = std::sync::atomic::AtomicU32::new(0);
        second.wait_while(move || match asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 => Ok(()),
            _ => Err(Error::interrupted()),
        });
        let key = Digest::of("key");
        let held = first.lock(&key).unwrap();
        assert_eq!(second.lock(&key).unwrap_err().kind(), crate::domain::ErrorKind::Interrupted);
        drop(held);
        second.lock(&key).unwrap();
    }
}

//! Stores: a warm one per user, prepared once and shared by all tests, and fresh ones.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Identity, host};

/// A store for a test.
#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
    owner: Identity,
    cold: bool,
}

impl Store {
    /// The user's warm store, with builders of trixie for the host and for s390x.
    pub(crate) fn warm(owner: Identity) -> Store {
        let store = Store { path: place(owner).join("warm"), owner, cold: false };
        store.make();
        let path = store.path.with_extension("lock");
        let lock = File::create(&path).unwrap_or_else(|error| panic!("cannot lock {}: {error}", path.display()));
        lock.lock().expect("a lock");
        let done = store.path.with_extension("done");
        let program = super::run::program(owner);
        let prepared_by = format!("{:?}", fs::metadata(&program).and_then(|metadata| metadata.modified()));
        if fs::read_to_string(&done).ok().as_deref() != Some(&prepared_by) {
            let arches = format!("{},s390x", host());
            let mut command = Command::new(program);
            super::run::become_user(&mut command, owner);
            command.args(["toolchain", "debian-trixie", "--arch", &arches]).env("XBUILD_STORE", &store.path);
            let output = command.current_dir("/").stdin(Stdio::null()).output().expect("xbuild can be run");
            let words = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "the warm store cannot be prepared:\n{words}");
            fs::write(&done, prepared_by).expect("a note that the store is warm");
        }
        store
    }

    /// An empty store, removed at the end.
    pub(crate) fn cold(owner: Identity) -> Store {
        let folder = place(owner);
        fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("cannot make {}: {error}", folder.display()));
        let folder = tempfile::Builder::new().prefix("cold-").tempdir_in(folder).expect("a folder for a store");
        let store = Store { path: folder.keep(), owner, cold: true };
        store.make();
        store
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn make(&self) {
        fs::create_dir_all(&self.path).unwrap_or_else(|error| panic!("cannot make {}: {error}", self.path.display()));
        if let Some(user) = self.owner.user() {
            std::os::unix::fs::chown(&self.path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).expect("root may");
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if !self.cold {
            return;
        }
        // Files of subordinate users are beyond an ordinary user; xbuild itself can remove them.
        let mut command = Command::new(super::run::program(self.owner));
        super::run::become_user(&mut command, self.owner);
        command.args(["cache", "gc", "--unused", "0"]).env("XBUILD_STORE", &self.path);
        let _ = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Where a user's stores are. Other users may not be able to reach the checkout, so theirs are at home.
pub(super) fn place(owner: Identity) -> PathBuf {
    if owner != Identity::Own {
        return owner.home().join("xbuild-test-store");
    }
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../test-store");
    std::env::var_os("XBUILD_TEST_STORE").map_or(target, PathBuf::from)
}

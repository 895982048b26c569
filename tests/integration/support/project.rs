//! A project in a folder of its own.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::{Identity, Run, Store};

/// A base of Debian's packages, for each architecture, as an entry of `bases`. Of a release that changes no more:
/// of others, mirrors may have an index for an architecture before they have its packages.
pub(crate) const DEBIAN: &str = "  \"debian:bookworm-slim\": { bootstrap: { suite: bookworm, updates: false } }\n";

/// A project, who builds it, and with which store.
pub(crate) struct Test {
    temporary: tempfile::TempDir,
    folder: PathBuf,
    identity: Identity,
    store: OnceCell<Store>,
}

impl Test {
    /// An empty project, built with the warm store of whoever runs the tests.
    pub(crate) fn new() -> Test {
        let folder = tempfile::Builder::new().prefix("xbuild test ").tempdir().expect("a temporary folder");
        // The usual mode of a folder: other users can look in.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("its owner may");
        write_salt(folder.path());
        Test { folder: folder.path().to_owned(), temporary: folder, identity: Identity::Own, store: OnceCell::new() }
    }

    /// The project is in a folder of this name.
    pub(crate) fn below(mut self, name: &str) -> Test {
        self.folder = self.folder.join(name);
        fs::create_dir(&self.folder).expect("a folder");
        write_salt(&self.folder);
        self
    }

    /// A copy of an example in git.
    pub(crate) fn example(name: &str) -> Test {
        let test = Test::new();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
        for entry in ignore::WalkBuilder::new(&source).hidden(false).require_git(false).build() {
            let entry = entry.expect("the example can be read");
            let target = test.path().join(entry.path().strip_prefix(&source).expect("it is below"));
            if entry.path().is_dir() {
                fs::create_dir_all(&target).expect("a folder");
            } else {
                fs::copy(entry.path(), &target).expect("a copy");
            }
        }
        test.git()
    }

    /// The project belongs to this user, who also runs xbuild.
    pub(crate) fn identity(&self) -> Identity {
        self.identity
    }

    /// Gives the project to a user.
    pub(crate) fn user(mut self, identity: Identity) -> Test {
        identity.own(self.path());
        self.identity = identity;
        self
    }

    /// Uses a store of its own.
    pub(crate) fn cold(self) -> Test {
        let store = Store::cold(self.identity);
        assert!(self.store.set(store).is_ok(), "a test has one store");
        self
    }

    /// The store; the warm one unless another was asked for.
    pub(crate) fn store(&self) -> &Store {
        self.store.get_or_init(|| Store::warm(self.identity))
    }

    /// Uses a store of its own that stays empty: for what builds nothing.
    pub(crate) fn without_builders(self) -> Test {
        self.cold()
    }

    /// Writes a file of the project.
    pub(crate) fn file(self, path: &str, contents: impl AsRef<[u8]>) -> Test {
        self.write(path, contents);
        self
    }

    /// Writes a file of the project later on.
    pub(crate) fn write(&self, path: &str, contents: impl AsRef<[u8]>) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, contents).unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
        self.identity.own(self.path());
    }

    /// Commits everything, at a fixed time.
    pub(crate) fn git(self) -> Test {
        for arguments in [&["init", "-q"][..], &["add", "-A"], &["commit", "-q", "-m", "a test"]] {
            let status = Command::new(super::tool("git"))
                .args(["-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "safe.directory=*"])
                .args(arguments)
                .current_dir(self.path())
                .env("GIT_AUTHOR_DATE", "2024-01-02T03:04:05Z")
                .env("GIT_COMMITTER_DATE", "2024-01-02T03:04:05Z")
                .env("GIT_CONFIG_GLOBAL", "/dev/null")
                .status()
                .expect("git can be run");
            assert!(status.success(), "git {arguments:?}");
        }
        self.identity.own(self.path());
        self
    }

    /// Where the last run that was started writes its messages.
    pub(super) fn log(&self) -> PathBuf {
        self.temporary.path().with_extension("log")
    }

    /// What the last run that was started has said.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }

    /// The project's folder.
    pub(crate) fn path(&self) -> &Path {
        &self.folder
    }

    /// A path in `dist`.
    pub(crate) fn dist(&self, path: &str) -> PathBuf {
        self.path().join("dist").join(path)
    }

    /// The text of a file in `dist`.
    pub(crate) fn read(&self, path: &str) -> String {
        let path = self.dist(path);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
    }

    /// `dist/build.json`.
    pub(crate) fn build_record(&self) -> serde_json::Value {
        serde_json::from_str(&self.read("build.json")).expect("build.json is JSON")
    }

    /// A run of xbuild in the project.
    pub(crate) fn xbuild<const N: usize>(&self, arguments: [&str; N]) -> Run<'_> {
        self.xbuild_with(&arguments)
    }

    /// The same with any number of arguments.
    pub(crate) fn xbuild_with(&self, arguments: &[&str]) -> Run<'_> {
        Run::new(self, arguments.iter().map(|&argument| argument.to_owned()).collect())
    }

    /// Everything below a folder of the project: mode, size, time, inode, by path; folders' own sizes and times not.
    pub(crate) fn snapshot(&self, folder: &str) -> BTreeMap<PathBuf, String> {
        let mut found = BTreeMap::new();
        let root = self.path().join(folder);
        for entry in ignore::WalkBuilder::new(&root).standard_filters(false).build() {
            let entry = entry.expect("the project can be read");
            let metadata = fs::symlink_metadata(entry.path()).expect("it is there");
            let line = if metadata.is_dir() {
                format!("{:o}", metadata.mode())
            } else {
                let time = (metadata.mtime(), metadata.mtime_nsec());
                format!("{:o} {} bytes {time:?} inode {}", metadata.mode(), metadata.len(), metadata.ino())
            };
            found.insert(entry.path().to_owned(), line);
        }
        assert!(found.len() > 1, "nothing in {}", root.display());
        found
    }
}

/// A file that differs from run to run of the tests: what an earlier run has built must not stand in for this one.
fn write_salt(folder: &Path) {
    static SALT: OnceLock<String> = OnceLock::new();
    let salt = SALT.get_or_init(|| format!("{:?} {}", std::time::SystemTime::now(), std::process::id()));
    fs::write(folder.join(".salt"), salt).expect("a file");
}

impl Drop for Test {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.log());
    }
}

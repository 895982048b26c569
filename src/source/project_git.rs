//! The program `git`, asked about a project.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Answers what git knows of one project. Nobody else starts git there.
pub struct ProjectGit {
    folder: PathBuf,
    root: Option<PathBuf>,
    missing: Option<&'static str>,
    /// Once somebody asks.
    tracked: OnceLock<Vec<PathBuf>>,
}

/// Why there is nothing to ask.
pub(super) const NO_COMMIT: &str = "the project is not in a git repository with a commit";

impl ProjectGit {
    /// That of a project, whose folder is canonical. Starts nothing.
    pub fn new(folder: &Path) -> ProjectGit {
        let root = folder.ancestors().find(|folder| folder.join(".git").symlink_metadata().is_ok());
        let missing = if !may_be_in_repository(folder) {
            Some(NO_COMMIT)
        } else if which::which("git").is_err() {
            Some("the program git is not installed")
        } else {
            None
        };
        ProjectGit { folder: folder.to_owned(), root: root.map(Path::to_owned), missing, tracked: OnceLock::new() }
    }

    /// The project's folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder of the repository that the project is in, or in a part of.
    pub(super) fn root(&self) -> Option<&Path> {
        self.root.as_deref()
    }

    /// Why git is not asked.
    pub(super) fn missing(&self) -> Option<&'static str> {
        self.missing
    }

    /// The project's files that git tracks, those of submodules too, relative to its folder; of a submodule that is not
    /// checked out, its folder. None where git cannot tell.
    pub(super) fn tracked(&self) -> &[PathBuf] {
        self.tracked.get_or_init(|| {
            let listed = self.bytes(&["ls-files", "-z", "--cached", "--recurse-submodules"]).unwrap_or_default();
            let names = listed.split(|byte| *byte == 0).filter(|name| !name.is_empty());
            names.map(|name| PathBuf::from(OsString::from_vec(name.to_vec()))).collect()
        })
    }

    /// What git prints, without white space at its ends, if it succeeds and that is anything.
    pub(super) fn text(&self, arguments: &[&str]) -> Option<String> {
        let text = String::from_utf8(self.bytes(arguments)?).ok()?;
        (!text.trim().is_empty()).then(|| text.trim().to_owned())
    }

    fn bytes(&self, arguments: &[&str]) -> Option<Vec<u8>> {
        if self.missing.is_some() {
            return None;
        }
        let output = Command::new("git")
            // The tree may belong to somebody else; nothing of it is run.
            .args(["-c", "safe.directory=*", "-c", "core.fsmonitor=false"])
            .arg("-C")
            .arg(&self.folder)
            .args(arguments)
            .output()
            .ok()?;
        output.status.success().then_some(output.stdout)
    }
}

/// Whether git could find a repository: where it looks for one, without starting it.
fn may_be_in_repository(folder: &Path) -> bool {
    let bare = |folder: &Path| folder.join("HEAD").exists() && folder.join("objects").exists();
    std::env::var_os("GIT_DIR").is_some()
        || folder.ancestors().any(|folder| folder.join(".git").symlink_metadata().is_ok() || bare(folder))
}

//! The program `git`, asked about a project. It runs nothing that the repository names.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// What git would run, or write, on the way to an answer.
const SETTINGS: [&str; 9] = [
    "--no-optional-locks",
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "log.showSignature=false",
    "-c",
    // A clone brings no settings, but it may bring a folder that git takes for a repository with some.
    "safe.bareRepository=explicit",
];

/// A repository of which objects are missing names who is asked for them, and how.
const NO_FETCHING: [(&str, &str); 2] = [("GIT_NO_LAZY_FETCH", "1"), ("GIT_ALLOW_PROTOCOL", "")];

/// Answers what git knows of one project. Nobody else starts git there.
///
/// Whose a repository is, git itself judges, by its owner and by `safe.directory`. In the caller's own, filters for the
/// contents of files run, as with each of the caller's own commands: without those of git-lfs, for instance, files that they
/// made would count as changed. In anybody else's none run, not even the caller's, which may look into the repository for
/// what to run. There, a file that was filtered counts as changed once its times or owner are not those in the index;
/// whoever trusts the repository tells git so.
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
        let missing = if root.is_none() && std::env::var_os("GIT_DIR").is_none() {
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
    pub fn missing(&self) -> Option<&'static str> {
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
        text(self.bytes(arguments)?)
    }

    fn bytes(&self, arguments: &[&str]) -> Option<Vec<u8>> {
        self.own(arguments).or_else(|| self.foreign(arguments))
    }

    /// The commit by the nearest tag, as `git describe --long` tells it, with `-dirty` for a changed tree.
    pub(super) fn described(&self) -> Option<String> {
        const DESCRIBE: [&str; 5] = ["describe", "--tags", "--always", "--long", "--abbrev=12"];
        const STATUS: [&str; 5] =
            ["status", "--porcelain", "--untracked-files=no", "--no-renames", "--ignore-submodules=dirty"];
        if let Some(described) = self.own(&[&DESCRIBE[..], &["--dirty"]].concat()) {
            return text(described);
        }
        let described = text(self.foreign(&DESCRIBE)?)?;
        // `describe --dirty` would write the index, and ask another git in each submodule, which has filters of its own.
        let filters = self.without_filters()?;
        let filters: Vec<&str> = filters.iter().flat_map(|setting| ["-c", setting]).collect();
        let changes = self.foreign(&[&filters[..], &STATUS].concat())?;
        Some(if changes.is_empty() { described } else { described + "-dirty" })
    }

    /// Settings that take the commands from all filters; `None` where that cannot be done.
    fn without_filters(&self) -> Option<Vec<String>> {
        let names = String::from_utf8(self.foreign(&["config", "-z", "--name-only", "--list"])?).ok()?;
        let names = names.split('\0').filter(|name| name.starts_with("filter."));
        // git would take a name with this sign for another name and a value.
        names.map(|name| (!name.contains('=')).then(|| format!("{name}="))).collect()
    }

    /// What git answers in a repository of the caller's own.
    fn own(&self, arguments: &[&str]) -> Option<Vec<u8>> {
        self.run(Command::new("git").args(SETTINGS), arguments)
    }

    /// What git answers whosever the repository is.
    fn foreign(&self, arguments: &[&str]) -> Option<Vec<u8>> {
        self.run(Command::new("git").args(SETTINGS).args(["-c", "safe.directory=*"]).envs(NO_FETCHING), arguments)
    }

    fn run(&self, git: &mut Command, arguments: &[&str]) -> Option<Vec<u8>> {
        if self.missing.is_some() {
            return None;
        }
        let output = git.arg("-C").arg(&self.folder).args(arguments).output().ok()?;
        output.status.success().then_some(output.stdout)
    }
}

/// Without white space at its ends; `None` where nothing is left.
fn text(bytes: Vec<u8>) -> Option<String> {
    let text = String::from_utf8(bytes).ok()?;
    (!text.trim().is_empty()).then(|| text.trim().to_owned())
}

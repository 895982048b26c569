//! What git knows of a project.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Facts of the commit that is checked out.
#[derive(Debug, Clone, Default)]
pub struct GitFacts {
    /// The tag that the commit has, else `git-<first 12 digits>`; with `-dirty` for a changed tree.
    pub version: Option<String>,
    /// The commit.
    pub revision: Option<String>,
    /// When it was made, in seconds since 1970.
    pub time: Option<u64>,
    /// Folders that the repository's `.git` file points to, outside the project: those of a worktree.
    pub folders: Vec<PathBuf>,
    /// Why there are no facts.
    pub missing: Option<String>,
}

impl GitFacts {
    /// Asks the `git` program. A project without git, or a machine without it, has no facts.
    ///
    /// The version costs a look at every file of the project, so it is only found out where it is wanted.
    pub fn read(folder: &Path, with_version: bool) -> GitFacts {
        let missing = |reason: &str| GitFacts { missing: Some(reason.to_owned()), ..GitFacts::default() };
        if which::which("git").is_err() {
            return missing("the program git is not installed");
        }
        // One process at a time waits for the disk, the other for the index.
        let (commit, described) = std::thread::scope(|scope| {
            let described = scope.spawn(|| {
                if !with_version {
                    return None;
                }
                git(folder, &["describe", "--tags", "--exact-match", "--dirty"])
                    .or_else(|| git(folder, &["describe", "--always", "--abbrev=12", "--dirty", "--exclude=*"]))
            });
            let commit = git(folder, &["log", "-1", "--format=%H %ct"]);
            (commit, described.join().ok().flatten())
        });
        let Some(commit) = commit else { return missing("the project is not in a git repository with a commit") };
        let (revision, time) = commit.split_once(' ').unwrap_or((&commit, ""));
        let version = described.map(|text| {
            let hash = text.strip_suffix("-dirty").unwrap_or(&text);
            if revision.starts_with(hash) { format!("git-{text}") } else { text }
        });
        GitFacts {
            version,
            revision: Some(revision.to_owned()),
            time: time.parse().ok(),
            folders: outside_folders(folder),
            missing: None,
        }
    }
}

/// Where the metadata of a worktree or submodule is, when `.git` is a file in the project.
fn outside_folders(folder: &Path) -> Vec<PathBuf> {
    if !folder.join(".git").is_file() {
        return Vec::new();
    }
    let answer = git(folder, &["rev-parse", "--path-format=absolute", "--git-common-dir"]);
    answer.map(PathBuf::from).into_iter().filter(|path| !path.starts_with(folder)).collect()
}

fn git(folder: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        // The tree may belong to somebody else; nothing of it is run.
        .args(["-c", "safe.directory=*", "-c", "core.fsmonitor=false"])
        .arg("-C")
        .arg(folder)
        .args(arguments)
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}

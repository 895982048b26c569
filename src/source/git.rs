//! What git knows of a project.

use std::path::PathBuf;

use super::ProjectGit;
use super::project_git::NO_COMMIT;

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
    /// Asks git. A project without it, or a machine without the program, has no facts.
    ///
    /// The version costs a look at every file of the project, so it is only found out where it is wanted.
    pub fn read(git: &ProjectGit, with_version: bool) -> GitFacts {
        let missing = |reason: &str| GitFacts { missing: Some(reason.to_owned()), ..GitFacts::default() };
        if let Some(reason) = git.missing() {
            return missing(reason);
        }
        // One process at a time waits for the disk, the other for the index.
        let (commit, described) = std::thread::scope(|scope| {
            let described = with_version.then(|| scope.spawn(|| git.described()));
            let commit = git.text(&["log", "-1", "--format=%H %ct"]);
            (commit, described.and_then(|described| described.join().ok().flatten()))
        });
        let Some(commit) = commit else { return missing(NO_COMMIT) };
        let (revision, time) = commit.split_once(' ').unwrap_or((&commit, ""));
        let version = described.map(|text| version(&text, revision));
        GitFacts {
            version,
            revision: Some(revision.to_owned()),
            time: time.parse().ok(),
            folders: outside_folders(git),
            missing: None,
        }
    }
}

/// A version from the answer of `git describe --long`, as in `v1.0-0-g<hash>-dirty`, or the hash alone where there is
/// no tag.
fn version(described: &str, revision: &str) -> String {
    let (clean, dirty) = match described.strip_suffix("-dirty") {
        Some(clean) => (clean, "-dirty"),
        None => (described, ""),
    };
    let tag = clean.rsplit_once("-g").and_then(|(before, _)| before.strip_suffix("-0"));
    match tag {
        Some(tag) => format!("{tag}{dirty}"),
        None => format!("git-{}{dirty}", &revision[..revision.len().min(12)]),
    }
}

/// Where the metadata of a worktree or submodule is, when `.git` is a file in the project.
fn outside_folders(git: &ProjectGit) -> Vec<PathBuf> {
    if !git.folder().join(".git").is_file() {
        return Vec::new();
    }
    let answer = git.text(&["rev-parse", "--path-format=absolute", "--git-common-dir"]);
    answer.map(PathBuf::from).into_iter().filter(|path| !path.starts_with(git.folder())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_the_tag_of_the_commit_or_its_hash() {
        let revision = "0123456789abcdef0123456789abcdef01234567";
        for (described, expected) in [
            ("v1.0-0-g0123456789ab", "v1.0"),
            ("v1.0-0-g0123456789ab-dirty", "v1.0-dirty"),
            ("release-g2-0-g0123456789ab", "release-g2"),
            ("v1.0-3-g0123456789ab", "git-0123456789ab"),
            ("0123456789ab", "git-0123456789ab"),
            ("0123456789ab-dirty", "git-0123456789ab-dirty"),
        ] {
            assert_eq!(version(described, revision), expected, "{described}");
        }
    }
}

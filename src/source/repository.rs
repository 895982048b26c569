//! Checks git repositories out: what `git` fetches, kept by its commit.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::patient;
use crate::domain::{Digest, Error, GitReference, Result, ResultExt, without_password, without_passwords};
use crate::store::{Bucket, Damage, Store, mark_used, remove_tree, tree_digest, write_atomically};

/// What git must know that it could learn from nobody else; each value holds for the programs that it starts too.
const SETTINGS: [(&str, &str); 13] = [
    // No transport that runs a program of the repository's choice, or reads this machine's files.
    ("protocol.allow", "never"),
    ("protocol.http.allow", "always"),
    ("protocol.https.allow", "always"),
    ("protocol.ssh.allow", "always"),
    ("protocol.git.allow", "always"),
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.autocrlf", "false"),
    ("init.defaultBranch", "main"),
    // Objects one by one: how a server packs them must not show.
    ("transfer.unpackLimit", "2147483647"),
    ("gc.auto", "0"),
    // A server that sends less than this for so many seconds is gone.
    ("http.lowSpeedLimit", "100"),
    ("http.lowSpeedTime", "30"),
];

/// Nobody is asked for anything, and nothing of the user's own settings is run.
const SSH: &str = "ssh -F none -o BatchMode=yes -o StrictHostKeyChecking=yes -o ConnectTimeout=10 \
                   -o ServerAliveInterval=15";

/// What of this process's environment git sees: programs, proxies, certificates.
const ENVIRONMENT: [&str; 12] = [
    "PATH",
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// The files of a commit, in its folder in the store.
const TREE: &str = "tree";

/// The digest of all of them, beside them.
const DIGEST: &str = "digest";

/// What of a repository is wanted, and how.
pub struct Checkout<'a> {
    /// Keeps what was fetched.
    pub store: &'a Store,
    /// The repository.
    pub reference: &'a GitReference,
    /// What the commit must be, or begin with.
    pub checksum: Option<&'a str>,
    /// Whether `.git` stays.
    pub keep_git: bool,
    /// The socket of an SSH agent.
    pub agent: Option<PathBuf>,
    /// Nothing may be fetched.
    pub offline: bool,
}

/// A commit's files in the store; they never change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedOut {
    /// The files.
    pub folder: PathBuf,
    /// The whole hash.
    pub commit: String,
}

impl Checkout<'_> {
    /// The files of the commit that the reference stands for, from the store if they are there.
    ///
    /// # Errors
    /// An environment error: no git, a server that does not answer, a reference that it does not have, another commit
    /// than the one that is wanted.
    pub fn take(&self) -> Result<CheckedOut> {
        // A whole commit, or one that the answer must be, needs no question.
        for commit in self.reference.commit().into_iter().chain(self.checksum) {
            let place = self.place(commit);
            if place.is_dir() && self.reference.commit().is_none_or(|known| self.fits(&[known])) {
                mark_used(&place);
                return Ok(CheckedOut { folder: place.join(TREE), commit: commit.to_owned() });
            }
        }
        if self.offline {
            return Err(Error::environment(format!("{} is to be fetched, and --offline forbids it", self.reference))
                .hint("a reference that is a whole commit is taken from the store once it is there"));
        }
        if which::which("git").is_err() {
            return Err(Error::environment("there is no program git to fetch a repository with")
                .hint("install it: apt-get install git"));
        }
        let (commit, tag) = match self.reference.commit() {
            Some(commit) => (commit.to_owned(), None),
            None => self.ask()?,
        };
        let found: Vec<&str> = [Some(commit.as_str()), tag.as_deref()].into_iter().flatten().collect();
        if !self.fits(&found) {
            let wanted = self.checksum.unwrap_or_default();
            return Err(Error::environment(format!("{} is the commit {commit}, wanted is {wanted}", self.reference)));
        }
        let place = self.place(&commit);
        let _lock = self.store.lock(&self.key(&commit))?;
        if !place.is_dir() {
            self.fetch(&commit, &place).context(|| self.reference.to_string())?;
        }
        mark_used(&place);
        Ok(CheckedOut { folder: place.join(TREE), commit })
    }

    fn key(&self, commit: &str) -> Digest {
        Digest::of_json(&("git checkout 1", &self.reference.remote, commit, self.keep_git))
    }

    fn place(&self, commit: &str) -> PathBuf {
        self.store.place(Bucket::Repositories, &self.key(commit))
    }

    fn fits(&self, found: &[&str]) -> bool {
        self.checksum.is_none_or(|wanted| found.iter().any(|hash| hash.starts_with(wanted)))
    }

    /// Asks the server what the reference stands for: the commit, and the tag's own hash if it has one.
    fn ask(&self) -> Result<(String, Option<String>)> {
        let remote = &self.reference.remote;
        let name = self.reference.reference.as_deref().unwrap_or("HEAD");
        let peeled = format!("{name}^{{}}");
        let answer = self.git(Path::new("/"), ["ls-remote", "--", remote, name, &peeled])?;
        choose(&answer, name).ok_or_else(|| {
            let remote = without_password(remote);
            let error = Error::environment(format!("{remote} has no branch or tag '{name}'"));
            let short = name.len() >= 4 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
            if short { error.hint("a commit is named by all of its 40 digits") } else { error }
        })
    }

    fn fetch(&self, commit: &str, place: &Path) -> Result<()> {
        let scratch = self.store.scratch()?;
        let whole = scratch.folder("commit")?;
        let tree = scratch.folder(&format!("commit/{TREE}"))?;
        let remote = &self.reference.remote;
        self.git(&tree, ["init", "--quiet", "--template="])?;
        // Submodules may be named relative to it.
        self.git(&tree, ["remote", "add", "--", "origin", remote])?;
        let shallow = self.git(&tree, ["fetch", "--quiet", "--depth=1", "--no-tags", "origin", commit]);
        if shallow.is_err() {
            // Not every server gives commits by their hash, nor a part of the history.
            let everything = ["+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"];
            self.git(&tree, [&["fetch", "--quiet", "origin"], &everything[..]].concat())?;
        }
        self.git(&tree, ["checkout", "--quiet", "--detach", commit])?;
        if tree.join(".gitmodules").symlink_metadata().is_ok() {
            self.git(&tree, ["submodule", "--quiet", "update", "--init", "--recursive", "--depth=1"])?;
        }
        if self.keep_git {
            // Without the times and numbers of files that the index remembers of this machine.
            self.git(&tree, ["read-tree", commit])?;
            for name in ["FETCH_HEAD", "ORIG_HEAD", "logs", "hooks", "branches", "description"] {
                remove_tree(&tree.join(".git").join(name))?;
            }
        }
        tidy(&tree, !self.keep_git)?;
        write_atomically(&whole.join(DIGEST), tree_digest(&tree)?.to_string().as_bytes())?;
        self.store.keep(&whole, place)
    }

    fn git<S: AsRef<OsStr>>(&self, folder: &Path, arguments: impl IntoIterator<Item = S>) -> Result<String> {
        let mut command = Command::new("git");
        command.args(arguments).current_dir(folder).stdin(Stdio::null()).env_clear();
        for name in ENVIRONMENT {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.envs([("GIT_CONFIG_NOSYSTEM", "1"), ("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_ATTR_NOSYSTEM", "1")]);
        command.envs([
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_ASKPASS", "true"),
            ("GIT_SSH_COMMAND", SSH),
            ("LC_ALL", "C"),
        ]);
        command.env("GIT_CEILING_DIRECTORIES", folder.parent().unwrap_or(folder));
        command.env("GIT_CONFIG_COUNT", SETTINGS.len().to_string());
        for (number, (name, value)) in SETTINGS.iter().enumerate() {
            command.env(format!("GIT_CONFIG_KEY_{number}"), name).env(format!("GIT_CONFIG_VALUE_{number}"), value);
        }
        if let Some(agent) = &self.agent {
            command.env("SSH_AUTH_SOCK", agent);
        }
        let output = patient::output(&mut command, &|| self.store.go_on())?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = without_passwords(&String::from_utf8_lossy(&output.stderr));
        let lines = said.lines().filter(|line| !line.trim().is_empty()).take(5);
        let said: Vec<String> = lines.map(|line| line.trim().escape_debug().to_string()).collect();
        let error = Error::environment(format!("git cannot fetch it: {}", said.join("; ")));
        let private = ["Permission denied (", "Host key verification failed", "could not read Username"];
        Err(match said.iter().any(|line| private.iter().any(|sign| line.contains(sign))) {
            true => error.hint("for a private repository: --ssh default, with its host in ~/.ssh/known_hosts"),
            false => error,
        })
    }
}

/// Reads all commits in the store, and lists those that are not what was fetched.
///
/// # Errors
/// An environment error when the store cannot be listed.
pub fn check_repositories(store: &Store) -> Result<Vec<Damage>> {
    let mut damages = Vec::new();
    for path in store.entries(Bucket::Repositories)? {
        let expected = fs::read_to_string(path.join(DIGEST)).unwrap_or_default();
        let problem = match tree_digest(&path.join(TREE)) {
            Ok(found) if found.to_string() == expected => continue,
            Ok(found) => format!("has digest {found}, when it was fetched it had '{expected}'"),
            Err(error) => error.to_string(),
        };
        damages.push(Damage { path, problem });
    }
    Ok(damages)
}

/// What a name stands for among the lines of `ls-remote`, as BuildKit has it: a branch comes before a tag. Of an annotated
/// tag, the commit and the tag's own hash.
fn choose(answer: &str, name: &str) -> Option<(String, Option<String>)> {
    let find = |wanted: &str| {
        let lines = answer.lines().filter_map(|line| line.split_once('\t'));
        lines
            .filter(|(hash, _)| GitReference::is_commit(hash))
            .find(|(_, name)| *name == wanted)
            .map(|(hash, _)| hash.to_owned())
    };
    let short = name.strip_prefix("refs/").unwrap_or(name);
    let full = [format!("refs/{short}"), format!("refs/heads/{short}"), format!("refs/tags/{short}")];
    let names = if name == "HEAD" { vec!["HEAD".to_owned()] } else { full.to_vec() };
    names.iter().find_map(|name| {
        let found = find(name)?;
        Some(match find(&format!("{name}^{{}}")) {
            Some(commit) => (commit, Some(found)),
            None => (found, None),
        })
    })
}

/// Gives every file the mode that the repository says, whatever this process's mask is, and takes git's own files away.
fn tidy(folder: &Path, without_git: bool) -> Result<()> {
    let failed = || format!("cannot read {}", folder.display());
    for entry in fs::read_dir(folder).or_environment(failed)? {
        let entry = entry.or_environment(failed)?;
        let path = entry.path();
        if without_git && entry.file_name() == ".git" {
            remove_tree(&path)?;
            continue;
        }
        let metadata = entry.metadata().or_environment(failed)?;
        if metadata.is_dir() {
            tidy(&path, without_git)?;
        }
        let mode = match metadata.permissions().mode() {
            _ if metadata.is_symlink() => continue,
            mode if mode & 0o100 != 0 => 0o755,
            mode if mode & 0o200 != 0 => 0o644,
            _ => 0o444,
        };
        let change = fs::set_permissions(&path, fs::Permissions::from_mode(mode));
        change.or_environment(|| format!("cannot change {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_branch_before_it_is_a_tag() {
        let hash = |digit: char| digit.to_string().repeat(40);
        let answer = [
            ('a', "HEAD"),
            ('b', "refs/heads/main"),
            ('c', "refs/heads/both"),
            ('d', "refs/tags/both"),
            ('e', "refs/tags/v1"),
            ('f', "refs/tags/v1^{}"),
            ('0', "refs/pull/1/head"),
        ];
        let lines = answer.map(|(digit, name)| format!("{}\t{name}", hash(digit)));
        let answer = format!("a warning\n-x\trefs/heads/bad\n{}", lines.join("\n"));
        for (name, wanted) in [
            ("HEAD", Some((hash('a'), None))),
            ("main", Some((hash('b'), None))),
            ("refs/heads/main", Some((hash('b'), None))),
            ("both", Some((hash('c'), None))),
            ("v1", Some((hash('f'), Some(hash('e'))))),
            ("tags/v1", Some((hash('f'), Some(hash('e'))))),
            ("pull/1/head", Some((hash('0'), None))),
            ("bad", None),
            ("nothing", None),
        ] {
            assert_eq!(choose(&answer, name), wanted, "{name}");
        }
    }
}

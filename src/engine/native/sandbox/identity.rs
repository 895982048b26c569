//! How user and group ids inside a sandbox relate to those of the machine.

use std::fs;
use std::process::Command;

use nix::unistd::{Gid, Pid, Uid};
use serde::{Deserialize, Serialize};

use crate::domain::{Error, Result, ResultExt};

/// The id map of the sandbox's user namespace. Inside, commands always run as uid 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Identity {
    /// xbuild runs as root: every id is itself. The namespace is still needed for the private binfmt_misc.
    Root,
    /// Root inside is the caller, the other ids are the caller's subordinate range.
    Range {
        /// First subordinate uid, and how many.
        uids: (u32, u32),
        /// First subordinate gid, and how many.
        gids: (u32, u32),
    },
    /// Root inside is the caller, and there are no other ids; calls that would use one succeed without effect.
    Single,
}

impl Identity {
    /// The best that the machine offers this user: [`Identity::Range`] wants `newuidmap` and entries in
    /// `/etc/subuid` and `/etc/subgid`.
    pub fn detect() -> Identity {
        if Uid::effective().is_root() {
            // Root of a user namespace that has no other id can do no more than the user that it is.
            let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
            return if is_single(&map) { Identity::Single } else { Identity::Root };
        }
        let helpers = which::which("newuidmap").is_ok() && which::which("newgidmap").is_ok();
        let user = nix::unistd::User::from_uid(Uid::effective()).ok().flatten().map(|user| user.name);
        let range = |file| subordinate(&fs::read_to_string(file).ok()?, user.as_deref(), Uid::effective().as_raw());
        match (helpers, range("/etc/subuid"), range("/etc/subgid")) {
            (true, Some(uids), Some(gids)) => Identity::Range { uids, gids },
            _ => Identity::Single,
        }
    }

    /// Whether this process is root, be it of a user namespace alone.
    pub fn is_root() -> bool {
        Uid::effective().is_root()
    }

    /// Writes the id map of a child that is in a new user namespace; called by its parent.
    pub(super) fn map(&self, child: Pid) -> Result<()> {
        match self {
            Identity::Root => {
                for file in ["uid_map", "gid_map"] {
                    let own = format!("/proc/self/{file}");
                    let own = fs::read_to_string(&own).or_environment(|| format!("cannot read {own}"))?;
                    let path = format!("/proc/{child}/{file}");
                    fs::write(&path, same_ids(&own)).or_environment(|| format!("cannot write {path}"))?;
                }
                Ok(())
            }
            Identity::Range { uids, gids } => {
                map_with("newuidmap", child, Uid::effective().as_raw(), *uids)?;
                map_with("newgidmap", child, Gid::effective().as_raw(), *gids)
            }
            Identity::Single => {
                let write = |file: &str, text: String| {
                    let path = format!("/proc/{child}/{file}");
                    fs::write(&path, text).or_environment(|| format!("cannot write {path}"))
                };
                write("setgroups", "deny".into())?;
                write("uid_map", format!("0 {} 1", Uid::effective()))?;
                write("gid_map", format!("0 {} 1", Gid::effective()))
            }
        }
    }
}

/// Whether a map has one id.
fn is_single(map: &str) -> bool {
    let mut lines = map.lines();
    let count = lines.next().and_then(|line| line.split_whitespace().nth(2));
    count == Some("1") && lines.next().is_none()
}

/// A map of every id that this process knows to itself, from the process's own map.
fn same_ids(own: &str) -> String {
    let mut map = String::new();
    for line in own.lines() {
        let mut fields = line.split_whitespace();
        if let (Some(inside), _, Some(count)) = (fields.next(), fields.next(), fields.next()) {
            map.push_str(&format!("{inside} {inside} {count}\n"));
        }
    }
    map
}

/// The first range of a user in the text of `/etc/subuid`: lines of `name-or-uid:first:count`.
fn subordinate(text: &str, user: Option<&str>, uid: u32) -> Option<(u32, u32)> {
    text.lines().find_map(|line| {
        let mut fields = line.trim().split(':');
        let owner = fields.next()?;
        let first = fields.next()?.parse().ok()?;
        let count = fields.next()?.parse().ok().filter(|count| *count > 0)?;
        (Some(owner) == user || owner == uid.to_string()).then_some((first, count))
    })
}

fn map_with(program: &str, child: Pid, own: u32, (first, count): (u32, u32)) -> Result<()> {
    let output = Command::new(program)
        .arg(child.to_string())
        .args([0, own, 1, 1, first, count].map(|number| number.to_string()))
        .output()
        .or_environment(|| format!("cannot run {program}"))?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(Error::environment(format!("{program} refused the range {first}:{count}: {}", words.trim()))
        .hint("look at /etc/subuid and /etc/subgid, or remove your lines there to do without a range"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_belongs_to_its_user() {
        let text = "root:1:2\n# note\nalice:100000:65536\n1001:200000:0\n1001:300000:10\n";
        assert_eq!(subordinate(text, Some("alice"), 1000), Some((100_000, 65536)));
        assert_eq!(subordinate(text, Some("bob"), 1001), Some((300_000, 10)));
        assert_eq!(subordinate(text, None, 1002), None);
    }

    #[test]
    fn root_in_a_container_maps_what_it_has() {
        assert_eq!(same_ids("         0     100000      65536\n"), "0 0 65536\n");
        assert!(!is_single("         0     100000      65536\n") && !is_single("0 1000 1\n1 100000 65536\n"));
        assert!(is_single("         0       1000          1\n"));
    }
}

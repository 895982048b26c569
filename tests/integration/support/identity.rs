//! Who runs xbuild: the three ways in which a sandbox maps ids.

use std::path::PathBuf;

use nix::unistd::{Uid, User};

use super::skip;

/// A user that xbuild is run as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Identity {
    /// Whoever runs the tests; root in CI.
    Own,
    /// An ordinary user with a range in `/etc/subuid`.
    Range,
    /// An ordinary user without one.
    Single,
}

impl Identity {
    /// The name of the user, unless it is whoever runs the tests.
    fn name(self) -> Option<&'static str> {
        match self {
            Identity::Own => None,
            Identity::Range => Some("xbuild-test"),
            Identity::Single => Some("xbuild-test-plain"),
        }
    }

    /// Whether tests can become this user; only root can become others. A skipped test is told of.
    pub(crate) fn possible(self) -> bool {
        if self == Identity::Own || Uid::effective().is_root() {
            return true;
        }
        skip("only root can run xbuild as other users");
        false
    }

    /// The user, unless it is whoever runs the tests.
    pub(crate) fn user(self) -> Option<User> {
        let name = self.name()?;
        let user = User::from_name(name).expect("the user database can be read");
        let user = user.unwrap_or_else(|| panic!("there is no user {name}; scripts/test makes it"));
        let ranges = std::fs::read_to_string("/etc/subuid").unwrap_or_default();
        let has_range = ranges.lines().any(|line| line.split(':').next() == Some(name));
        assert_eq!(has_range, self == Identity::Range, "the user {name} and its lines in /etc/subuid");
        if has_range {
            super::tool("newuidmap");
        }
        Some(user)
    }

    /// The user's home folder.
    pub(crate) fn home(self) -> PathBuf {
        match self.user() {
            Some(user) => user.dir,
            None => std::env::var_os("HOME").map_or_else(|| "/".into(), PathBuf::from),
        }
    }

    /// Gives a path, with all that is in it, to the user.
    pub(crate) fn own(self, path: &std::path::Path) {
        let Some(user) = self.user() else { return };
        for entry in ignore::WalkBuilder::new(path).standard_filters(false).build().flatten() {
            let path = entry.path();
            let before = std::fs::symlink_metadata(path).expect("it is there");
            std::os::unix::fs::lchown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).expect("root may");
            // Another owner takes setuid bits away.
            if !before.is_symlink() {
                std::fs::set_permissions(path, before.permissions()).expect("root may");
            }
        }
    }
}

//! One thing that a machine can or cannot do.

use serde::{Deserialize, Serialize};

/// How well something works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// As well as xbuild can use it.
    Works,
    /// It can be used, with less comfort or speed.
    Limited,
    /// It cannot be used.
    Missing,
}

/// The answer of one probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at; the same on every machine, and no two are equal.
    pub name: &'static str,
    /// How well it works.
    pub state: State,
    /// What was seen, in words.
    pub detail: String,
    /// The command, or the deed, that makes it work.
    pub mend: Option<String>,
    /// What does not work without it.
    pub needed_for: &'static str,
}

/// Needed for every step that the native engine takes.
pub(super) const NATIVE: &str = "the native engine";
/// Needed where a builder or a base is made of packages, and not there yet.
pub(super) const BUILDERS: &str = "making builders from Debian packages";
/// Needed to run what was built for another architecture.
pub(super) const EMULATION: &str = "test and run for other architectures";
/// Needed for the Docker engine alone.
pub(super) const DOCKER: &str = "--engine docker";
/// Needed for the host engine alone.
pub(super) const HOST: &str = "--engine host";
/// Needed for the version and the files of a project in git.
pub(super) const GIT: &str = "versions and file lists from git";
/// Of interest to whoever reads a report.
pub(super) const INFORMATION: &str = "information";

impl Finding {
    pub(super) fn works(name: &'static str, needed_for: &'static str, detail: impl Into<String>) -> Finding {
        Finding { name, state: State::Works, detail: detail.into(), mend: None, needed_for }
    }

    pub(super) fn limited(name: &'static str, needed_for: &'static str, detail: impl Into<String>) -> Finding {
        Finding { state: State::Limited, ..Finding::works(name, needed_for, detail) }
    }

    pub(super) fn missing(name: &'static str, needed_for: &'static str, detail: impl Into<String>) -> Finding {
        Finding { state: State::Missing, ..Finding::works(name, needed_for, detail) }
    }

    /// The finding of something that cannot be tried, since what it stands on is missing.
    pub(super) fn without(name: &'static str, needed_for: &'static str, other: &Finding) -> Option<Finding> {
        let detail = format!("it needs '{}', which is missing", other.name);
        let finding = Finding { mend: other.mend.clone(), ..Finding::missing(name, needed_for, detail) };
        (other.state == State::Missing).then_some(finding)
    }

    pub(super) fn mend(mut self, mend: impl Into<String>) -> Finding {
        self.mend = Some(mend.into());
        self
    }
}

/// A command that wants root, as this user must type it.
pub(super) fn as_root(command: &str) -> String {
    if nix::unistd::Uid::effective().is_root() { command.to_owned() } else { format!("sudo {command}") }
}

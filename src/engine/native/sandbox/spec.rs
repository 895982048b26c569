//! What a sandbox consists of, as data that crosses to the child process.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Identity;
use crate::domain::{Arch, Mount};

/// Everything that the child needs to know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Spec {
    /// How ids inside relate to ids outside.
    pub identity: Identity,
    /// The root file system; without one, commands see the machine's own (for chores in the user namespace).
    pub root: Option<Root>,
    /// Mounted in this order, after the root.
    pub mounts: Vec<Mount>,
    /// Whether the machine's network is there.
    pub network: Network,
    /// Emulators to register for foreign programs, in this sandbox alone.
    pub emulators: Vec<Emulator>,
    /// How many processors the commands may use together.
    pub processors: Option<usize>,
    /// Commands in order of start.
    pub commands: Vec<Command>,
    /// How many of them run at once.
    pub parallel: usize,
    /// Where their streams go.
    pub stdio: Stdio,
}

impl Spec {
    /// What of it is known before the rest.
    pub fn isolation(&self) -> Isolation {
        let Spec { identity, network, stdio, .. } = self;
        Isolation { identity: identity.clone(), rooted: self.root.is_some(), network: *network, stdio: *stdio }
    }
}

/// What separates a sandbox from the machine. It suffices to make the namespaces, and what every sandbox has in them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Isolation {
    /// How ids inside relate to ids outside.
    pub identity: Identity,
    /// Whether there is a root file system of its own.
    pub rooted: bool,
    /// Whether the machine's network is there.
    pub network: Network,
    /// Where the commands' streams go.
    pub stdio: Stdio,
}

/// An overlay root file system.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Root {
    /// Read-only layers, lowest first.
    pub layers: Vec<PathBuf>,
    /// Takes every change; may hold files already.
    pub upper: PathBuf,
    /// An empty folder on the file system of `upper`, for the overlay's own use.
    pub scratch: PathBuf,
}

/// Which network commands see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Network {
    /// A loopback interface and nothing else.
    None,
    /// The machine's.
    Host,
}

/// A program that runs programs of another architecture.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Emulator {
    /// Whose programs it runs.
    pub arch: Arch,
    /// The statically linked emulator, outside.
    pub program: PathBuf,
}

/// One command.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Command {
    /// Program and arguments; the program is looked up in the `PATH` of `env`.
    pub argv: Vec<String>,
    /// The whole environment.
    pub env: BTreeMap<String, String>,
    /// Absolute, inside; made when it is absent.
    pub cwd: PathBuf,
    /// Whom it runs as; root without.
    pub user: Option<User>,
    /// When it is killed.
    pub limits: Limits,
}

/// What a command may not exceed; one that does is killed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// From its start to its end.
    pub time: Option<Duration>,
    /// Bytes of output, of both streams together.
    pub output: Option<u64>,
}

/// Whom a command runs as, by the sandbox's own numbers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct User {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
}

/// Where a command's streams go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stdio {
    /// Output comes back in pieces, in the order in which it was written, all of it as standard output; there is no input
    /// and no terminal.
    Together,
    /// The same, but each stream by itself: which of two was written to first is lost.
    Apart,
    /// The command has xbuild's own streams and terminal.
    Inherited,
}

impl Stdio {
    /// Whether output comes back at all.
    pub fn is_captured(self) -> bool {
        self != Stdio::Inherited
    }
}

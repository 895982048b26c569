//! Whose Docker engine a command may use.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Whose Docker engine a command may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DockerAccess {
    /// The machine's: what the command leaves there stays there.
    Host,
    /// One in the builder, with storage that goes with it.
    Own,
}

impl DockerAccess {
    /// Where the engine listens, for the command.
    pub const SOCKET: &str = "/var/run/docker.sock";
}

impl fmt::Display for DockerAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DockerAccess::Host => "host",
            DockerAccess::Own => "own",
        })
    }
}

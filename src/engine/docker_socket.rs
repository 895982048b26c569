//! The machine's Docker engine, for commands that run without it and may use it.

use std::path::PathBuf;

use tokio::runtime::Handle;

use crate::docker::{Address, Client, Endpoint};
use crate::domain::{Error, Result, ResultExt};

/// The socket of the engine that is meant, once it has answered.
///
/// # Errors
/// An environment error when there is no engine, or none that has a socket on this machine.
pub(super) fn docker_socket() -> Result<PathBuf> {
    let failed = |error: Error| error.hint("a program asks for it: `docker: host`");
    let endpoint = Endpoint::find(None).map_err(failed)?;
    let Address::Unix(source) = &endpoint.address else {
        return Err(Error::environment(format!("{endpoint} has no socket on this machine, as `docker: host` needs"))
            .hint("`--engine docker` builds on that engine itself"));
    };
    Handle::current().block_on(Client::connect(&endpoint)).map_err(failed)?;
    // A link would lead elsewhere in a sandbox.
    source.canonicalize().or_environment(|| format!("cannot find {}", source.display()))
}

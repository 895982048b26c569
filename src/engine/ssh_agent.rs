//! The caller's SSH agent.

use std::os::unix::fs::FileTypeExt;
use std::path::PathBuf;

use crate::domain::{Error, Result};

/// Its socket, as the caller's own programs find it.
///
/// # Errors
/// An environment error when there is none.
pub(super) fn ssh_agent() -> Result<PathBuf> {
    let failed = |text: String| {
        Error::environment(text).hint("a program asks for it: `ssh: true`").hint("eval \"$(ssh-agent)\" && ssh-add")
    };
    let socket = std::env::var_os("SSH_AUTH_SOCK").filter(|path| !path.is_empty());
    let socket = socket.ok_or_else(|| failed("there is no SSH agent: SSH_AUTH_SOCK is not set".into()))?;
    let path = PathBuf::from(socket);
    // A link would lead elsewhere in a sandbox.
    match path.canonicalize() {
        Ok(found) if found.metadata().is_ok_and(|metadata| metadata.file_type().is_socket()) => Ok(found),
        _ => Err(failed(format!("there is no SSH agent at {}, as SSH_AUTH_SOCK says", path.display()))),
    }
}

//! Starts xbuild once more as root of a user namespace, for work on files of many owners.
//!
//! The parent writes the id map, waits, and ends as its child does. When it is killed, the child gets a SIGTERM.

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitCode};

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::unistd::Pid;

use super::frame::{self, Kind};
use super::{Identity, handover};
use crate::domain::{Error, Result, ResultExt};

/// First argument of the re-executed program; nobody types it.
pub const ARGUMENT: &str = "__namespace";

/// Runs this program again, with the same arguments, as root of a user namespace; its exit code.
///
/// # Errors
/// A machine that allows no user namespaces.
pub fn enter(identity: &Identity) -> Result<ExitCode> {
    let failed = || "cannot start xbuild in a user namespace".to_owned();
    let mut command = Command::new("/proc/self/exe");
    command.arg(ARGUMENT).args(std::env::args_os().skip(1));
    // The child hears of Ctrl-C too, and decides how to end.
    // SAFETY: no handler of ours is involved.
    unsafe { signal(Signal::SIGINT, SigHandler::SigIgn) }.or_environment(failed)?;
    // This process has nothing to stop itself, whatever it has prepared for: its end is the child's signal.
    // SAFETY: no handler of ours is involved.
    unsafe { signal(Signal::SIGTERM, SigHandler::SigDfl) }.or_environment(failed)?;
    let (mut child, socket) = handover::spawn(&mut command, std::io::stdin().as_fd())?;
    while let Some((kind, _, payload)) = frame::receive(&socket).or_environment(failed)? {
        match kind {
            Kind::WantsMap => {
                identity.map(Pid::from_raw(child.id() as i32))?;
                frame::send(&socket, Kind::Mapped, 0, &[]).or_environment(failed)?;
            }
            _ => {
                let text = String::from_utf8_lossy(&payload).into_owned();
                return Err(Error::environment(text).hint("`xbuild doctor` says what forbids it and how to allow it"));
            }
        }
    }
    let status = child.wait().or_environment(failed)?;
    let code = status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}

/// Runs the child side.
pub fn main() -> ExitCode {
    // Without a socket there is nobody to tell.
    let Ok(socket) = handover::take() else { return ExitCode::FAILURE };
    let error = become_root(&socket).err().unwrap_or_else(|| {
        let arguments: Vec<OsString> = std::env::args_os().skip(2).collect();
        let cause = Command::new("/proc/self/exe").args(arguments).exec();
        Error::environment("cannot start xbuild in a user namespace").because(cause)
    });
    frame::send_failure(&socket, &error);
    ExitCode::FAILURE
}

fn become_root(socket: &UnixStream) -> Result<()> {
    let failed = || "cannot make a user namespace".to_owned();
    unshare(CloneFlags::CLONE_NEWUSER).or_environment(failed)?;
    frame::send(socket, Kind::WantsMap, 0, &[]).or_bug(failed)?;
    if !matches!(frame::receive(socket), Ok(Some((Kind::Mapped, ..)))) {
        return Err(Error::environment("the user namespace got no ids"));
    }
    // Supplementary groups of the caller's have no meaning inside. Fails where the map has one id.
    let _ = nix::unistd::setgroups(&[]);
    nix::unistd::setgid(0.into()).or_environment(failed)?;
    nix::unistd::setuid(0.into()).or_environment(failed)?;
    // SAFETY: no handler of ours is involved.
    unsafe { signal(Signal::SIGINT, SigHandler::SigDfl) }.or_environment(failed)?;
    // After the change of ids, which would take it away.
    nix::sys::prctl::set_pdeathsig(Signal::SIGTERM).or_environment(failed)
}

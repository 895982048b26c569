//! The process that makes the namespaces, and waits for PID 1 in them.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::Signal;
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, fork};

use super::frame::{self, Kind};
use super::{Isolation, Network, handover, init};
use crate::domain::{Error, Result, ResultExt};

/// Runs the child side.
pub fn main() -> ExitCode {
    close_strangers();
    // Without a socket there is nobody to tell.
    let Ok(socket) = handover::take() else { return ExitCode::FAILURE };
    match make(&socket) {
        Ok(code) => code,
        Err(error) => {
            frame::send_failure(&socket, &error);
            ExitCode::FAILURE
        }
    }
}

/// Closes what xbuild's own caller left open: a folder among it would lead commands out of the sandbox. Fails on Linux
/// before 5.9, which has no sandboxes of this kind either.
fn close_strangers() {
    let first = libc::STDERR_FILENO as libc::c_uint + 1;
    // SAFETY: this process has just started, and has opened nothing itself.
    unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0 as libc::c_uint) };
}

fn make(socket: &UnixStream) -> Result<ExitCode> {
    let Some((Kind::Isolation, _, payload)) = frame::receive(socket).or_bug(|| "cannot read the isolation".into())?
    else {
        return Ok(ExitCode::FAILURE);
    };
    let isolation: Isolation = serde_json::from_slice(&payload).or_bug(|| "cannot parse the isolation".into())?;
    unshare(namespaces(&isolation)).map_err(|cause| {
        Error::environment("cannot make a user namespace")
            .because(cause)
            .hint("`xbuild doctor` says what forbids it and how to allow it")
    })?;
    frame::send(socket, Kind::WantsMap, 0, &[]).or_bug(|| "cannot reach the parent".into())?;
    if !matches!(frame::receive(socket), Ok(Some((Kind::Mapped, ..)))) {
        return Ok(ExitCode::FAILURE);
    }
    become_root();
    if isolation.rooted && isolation.network == Network::None {
        raise_loopback()?;
    }
    // SAFETY: this process has one thread, so the child may do anything.
    match unsafe { fork() }.or_environment(|| "cannot start the sandbox's first process".into())? {
        ForkResult::Child => {
            // When this process is killed, PID 1 and with it the whole sandbox must go too.
            let _ = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL);
            std::process::exit(init::main(&isolation, socket).into());
        }
        ForkResult::Parent { child } => {
            waitpid(child, None).or_bug(|| "cannot wait for the sandbox's first process".into())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn namespaces(isolation: &Isolation) -> CloneFlags {
    let mut flags = CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWPID;
    if isolation.rooted {
        flags |= CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWUTS;
        if isolation.network == Network::None {
            flags |= CloneFlags::CLONE_NEWNET;
        }
    }
    flags
}

/// Supplementary groups of the caller's have no meaning inside. Fails where the map has one id, and then there is
/// nothing to drop.
fn become_root() {
    let _ = nix::unistd::setgroups(&[]);
    let _ = nix::unistd::setgid(0.into());
    let _ = nix::unistd::setuid(0.into());
}

fn raise_loopback() -> Result<()> {
    let failed = || "cannot raise the sandbox's loopback interface".to_owned();
    let socket = nix::sys::socket::socket(
        nix::sys::socket::AddressFamily::Inet,
        nix::sys::socket::SockType::Datagram,
        nix::sys::socket::SockFlag::SOCK_CLOEXEC,
        None,
    )
    .map(File::from)
    .or_environment(failed)?;
    // SAFETY: an all-zero ifreq is valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: the descriptor is open and the request outlives the call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &request) };
    if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()).or_environment(failed) }
}

//! The process that becomes PID 1 of a sandbox.

use std::fs::File;
use std::io::{PipeReader, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use nix::errno::Errno;
use nix::sched::{CloneFlags, clone, unshare};
use nix::sys::signal::Signal;
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

use super::frame::{self, Kind};
use super::{Isolation, Network, handover, init};
use crate::domain::{Error, Result, ResultExt};

/// Bytes of stack for PID 1; it takes what it uses of them.
const STACK: usize = 2 << 20;

/// Makes a sandbox in a program of its own, and waits for its end.
pub fn main() -> ExitCode {
    close_all_but(&[]);
    // Without a socket there is nobody to tell.
    let Ok(socket) = handover::take() else { return ExitCode::FAILURE };
    let ended = receive(&socket).and_then(|isolation| {
        let Some(isolation) = isolation else { return Ok(()) };
        waitpid(make(&isolation, &socket)?, None)
            .map(drop)
            .or_bug(|| "cannot wait for the sandbox's first process".into())
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            frame::send_failure(&socket, &error);
            ExitCode::FAILURE
        }
    }
}

/// Nothing when xbuild is gone.
fn receive(socket: &UnixStream) -> Result<Option<Isolation>> {
    match frame::receive(socket).or_bug(|| "cannot read the isolation".into())? {
        Some((Kind::Isolation, _, payload)) => {
            serde_json::from_slice(&payload).map(Some).or_bug(|| "cannot parse the isolation".into())
        }
        _ => Ok(None),
    }
}

/// Whether this process has no thread but the one that asks.
pub(super) fn is_alone() -> bool {
    // A folder for each, beside the two links that every folder has.
    std::fs::metadata("/proc/self/task").is_ok_and(|threads| threads.nlink() == 3)
}

/// Starts PID 1 as a copy of this process, which talks over the socket. Only a process that [`is_alone`] may: a copy has no
/// other thread, and what these had locked would stay so.
///
/// # Errors
/// An environment error on a machine that allows no user namespaces. What goes wrong later is told over the socket.
pub(super) fn make(isolation: &Isolation, socket: &UnixStream) -> Result<Pid> {
    let failed = || "cannot start the sandbox's first process".to_owned();
    let (mapped, mut tell) = std::io::pipe().or_environment(failed)?;
    let child = || match begin(isolation, socket, &mapped) {
        Ok(()) => 0,
        Err(error) => {
            frame::send_failure(socket, &error);
            1
        }
    };
    let flags = CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWPID;
    let mut stack = vec![0; STACK];
    // SAFETY: there is one thread, so the copy may do what this process may. It has a copy of the stack too, and what it runs
    // neither returns nor unwinds into what this process is doing.
    let pid = unsafe { clone(Box::new(child), &mut stack, flags, Some(Signal::SIGCHLD as i32)) }
        .map_err(|cause| forbidden("cannot make a user namespace", cause))?;
    // Where there are no ids, the child sees the end of the pipe, and ends.
    isolation.identity.map(pid)?;
    tell.write_all(&[0]).or_environment(failed)?;
    Ok(pid)
}

/// What PID 1 does.
fn begin(isolation: &Isolation, socket: &UnixStream, mut mapped: &PipeReader) -> Result<()> {
    close_all_but(&[socket.as_raw_fd(), mapped.as_raw_fd()]);
    unshare(namespaces(isolation)).map_err(|cause| forbidden("cannot make namespaces in a user namespace", cause))?;
    if mapped.read_exact(&mut [0]).is_err() {
        return Ok(());
    }
    become_root();
    // When the process that made it is killed, the whole sandbox must go too. A change of ids would take this away.
    let _ = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL);
    if isolation.rooted && isolation.network == Network::None {
        raise_loopback()?;
    }
    init::run(isolation, socket)
}

fn forbidden(what: &str, cause: Errno) -> Error {
    Error::environment(what).because(cause).hint("`xbuild doctor` says what forbids it and how to allow it")
}

/// Closes what xbuild or its own caller has open, standard streams and these apart: a folder among it would lead commands
/// out of the sandbox. Fails on Linux before 5.9, which has no sandboxes of this kind either.
fn close_all_but(kept: &[RawFd]) {
    let mut kept = kept.to_vec();
    kept.sort_unstable();
    let mut first = libc::STDERR_FILENO + 1;
    for last in kept.iter().map(|kept| kept - 1).chain([RawFd::MAX]) {
        if first <= last {
            // SAFETY: nothing that this process goes on to use is among these.
            unsafe { libc::syscall(libc::SYS_close_range, first, last, 0 as libc::c_uint) };
        }
        first = last.saturating_add(2);
    }
}

/// All but those that PID 1 is born in.
fn namespaces(isolation: &Isolation) -> CloneFlags {
    let mut flags = CloneFlags::empty();
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

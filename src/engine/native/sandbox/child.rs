//! The process that makes the namespaces, and waits for PID 1 in them.

use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use nix::sched::{CloneFlags, CpuSet, sched_getaffinity, sched_setaffinity, unshare};
use nix::sys::signal::Signal;
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork};

use super::frame::{self, Kind};
use super::{Network, SOCKET, Spec, init};
use crate::domain::{Error, Result, ResultExt};

/// Runs the child side; the socket is descriptor 3, as the parent left it.
pub fn main() -> ExitCode {
    // SAFETY: the parent put the socket there before it started this program, and nothing else here owns it.
    let socket = UnixStream::from(unsafe { OwnedFd::from_raw_fd(SOCKET) });
    close_strangers();
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
    let first = (SOCKET + 1) as libc::c_uint;
    // SAFETY: this process has just started, and has opened nothing itself.
    unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0 as libc::c_uint) };
}

fn make(socket: &UnixStream) -> Result<ExitCode> {
    nix::fcntl::fcntl(socket, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC))
        .or_bug(|| "no socket from the parent".into())?;
    let Some((Kind::Spec, _, payload)) = frame::receive(socket).or_bug(|| "cannot read the spec".into())? else {
        return Ok(ExitCode::FAILURE);
    };
    let spec: Spec = serde_json::from_slice(&payload).or_bug(|| "cannot parse the spec".into())?;
    limit_processors(spec.processors)?;
    unshare(namespaces(&spec)).map_err(|cause| {
        Error::environment("cannot make a user namespace")
            .because(cause)
            .hint("`xbuild doctor` says what forbids it and how to allow it")
    })?;
    frame::send(socket, Kind::WantsMap, 0, &[]).or_bug(|| "cannot reach the parent".into())?;
    if !matches!(frame::receive(socket), Ok(Some((Kind::Mapped, ..)))) {
        return Ok(ExitCode::FAILURE);
    }
    become_root();
    if spec.root.is_some() && spec.network == Network::None {
        raise_loopback()?;
    }
    // SAFETY: this process has one thread, so the child may do anything.
    match unsafe { fork() }.or_environment(|| "cannot start the sandbox's first process".into())? {
        ForkResult::Child => {
            // When this process is killed, PID 1 and with it the whole sandbox must go too.
            let _ = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL);
            std::process::exit(init::main(&spec, socket).into());
        }
        ForkResult::Parent { child } => {
            waitpid(child, None).or_bug(|| "cannot wait for the sandbox's first process".into())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn namespaces(spec: &Spec) -> CloneFlags {
    let mut flags = CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWPID;
    if spec.root.is_some() {
        flags |= CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWUTS;
        if spec.network == Network::None {
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

fn limit_processors(count: Option<usize>) -> Result<()> {
    let Some(count) = count else { return Ok(()) };
    let failed = || "cannot limit the processors of the sandbox".to_owned();
    let allowed = sched_getaffinity(Pid::this()).or_environment(failed)?;
    let mut chosen = CpuSet::new();
    let numbers = (0..CpuSet::count()).filter(|number| allowed.is_set(*number).unwrap_or(false));
    for number in numbers.take(count) {
        chosen.set(number).or_environment(failed)?;
    }
    sched_setaffinity(Pid::this(), &chosen).or_environment(failed)
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

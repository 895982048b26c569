//! Starts this program again with a socket to talk over.
//!
//! The socket goes as standard input, and the true one follows over the socket: the standard library can then start the program
//! without copying this process first, which is a good part of the time that a sandbox takes.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use nix::unistd::dup2_stdin;

use crate::domain::{Error, Result, ResultExt};

/// Starts a command that calls [`take`] first, and has this standard input then; our end of its socket.
pub(in crate::engine) fn spawn(command: &mut Command, stdin: BorrowedFd<'_>) -> Result<(Child, UnixStream)> {
    let failed = || "cannot start xbuild again".to_owned();
    let (socket, theirs) = UnixStream::pair().or_environment(failed)?;
    let child = command.stdin(Stdio::from(OwnedFd::from(theirs))).spawn().or_environment(failed)?;
    // The command keeps the other end: as long as it is open here, nobody would hear that the child has ended.
    command.stdin(Stdio::null());
    let descriptors = [stdin.as_raw_fd()];
    let message = [ControlMessage::ScmRights(&descriptors)];
    sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(b"0")], &message, MsgFlags::MSG_NOSIGNAL, None)
        .or_environment(failed)?;
    Ok((child, socket))
}

/// The socket that [`spawn`] gave this process, whose standard input is the true one from here on.
pub(in crate::engine) fn take() -> Result<UnixStream> {
    let failed = || "no socket from the parent".to_owned();
    let socket = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned().or_bug(failed)?);
    let mut byte = [0];
    let mut space = nix::cmsg_space!([RawFd; 1]);
    let mut into = [IoSliceMut::new(&mut byte)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut into, Some(&mut space), flags).or_bug(failed)?;
    let received = message.cmsgs().or_bug(failed)?.find_map(|message| match message {
        ControlMessageOwned::ScmRights(descriptors) => descriptors.first().copied(),
        _ => None,
    });
    let received = received.ok_or_else(|| Error::bug(failed()))?;
    // SAFETY: the kernel has just made this descriptor, and nothing else knows it.
    let stdin = unsafe { OwnedFd::from_raw_fd(received) };
    dup2_stdin(stdin).or_bug(failed)?;
    Ok(socket)
}

//! The messages between xbuild and the sandbox: one kind, the index of a command, a length, a payload.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;

use crate::domain::Error;

/// Bytes before the payload.
const HEADER: usize = 9;
/// A payload larger than this is not ours.
const LARGEST: u32 = 16 << 20;

/// What a message is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// To the child: the isolation, as JSON.
    Isolation = 1,
    /// To xbuild: the user namespace is there and wants its id map.
    WantsMap = 2,
    /// To the child: the id map is written.
    Mapped = 3,
    /// To PID 1: the spec, as JSON.
    Spec = 4,
    /// To xbuild: a command starts.
    Started = 5,
    /// To xbuild: a piece of standard output.
    Stdout = 6,
    /// To xbuild: a piece of standard error.
    Stderr = 7,
    /// To xbuild: a command ended; the payload is an [`super::Exit`] as JSON.
    Exited = 8,
    /// To xbuild: the sandbox could not be made; the payload says why.
    Failed = 9,
}

impl Kind {
    fn from_byte(byte: u8) -> io::Result<Kind> {
        use Kind::*;
        [Isolation, WantsMap, Mapped, Spec, Started, Stdout, Stderr, Exited, Failed]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("unknown message {byte}")))
    }
}

/// Sends one message.
pub(super) fn send(mut socket: &UnixStream, kind: Kind, index: usize, payload: &[u8]) -> io::Result<()> {
    // In one piece: each one wakes the receiver.
    let mut message = Vec::with_capacity(HEADER + payload.len());
    message.push(kind as u8);
    message.extend((index as u32).to_le_bytes());
    message.extend((payload.len() as u32).to_le_bytes());
    message.extend(payload);
    socket.write_all(&message)
}

/// Tells xbuild why there is no sandbox: the message, then hints, a line each.
pub(super) fn send_failure(socket: &UnixStream, error: &Error) {
    let lines: Vec<String> =
        [error.to_string()].into_iter().chain(error.hints().into_iter().map(str::to_owned)).collect();
    // Nobody is left to tell when this fails.
    let _ = send(socket, Kind::Failed, 0, lines.join("\n").as_bytes());
}

/// Waits for one message; `None` when the other side is gone.
pub(super) fn receive(mut socket: &UnixStream) -> io::Result<Option<(Kind, usize, Vec<u8>)>> {
    let mut header = [0; HEADER];
    match socket.read_exact(&mut header) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
        other => other?,
    }
    let kind = Kind::from_byte(header[0])?;
    let number = |range: std::ops::Range<usize>| u32::from_le_bytes(header[range].try_into().expect("four bytes"));
    let length = number(5..9);
    if length > LARGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("message of {length} bytes")));
    }
    let mut payload = vec![0; length as usize];
    socket.read_exact(&mut payload)?;
    Ok(Some((kind, number(1..5) as usize, payload)))
}

//! xbuild's side of a sandbox: starts the child, writes its id map, listens.

use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio as ProcessStdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::frame::{self, Kind};
use super::{CHILD_ARGUMENT, SOCKET, Spec, Stdio};
use crate::domain::{Error, Result, ResultExt, Stream};

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Exit {
    /// Its exit code, unless a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Seconds from start to end.
    pub wall: f64,
    /// Seconds of processor time, of the command and all children that it waited for.
    pub cpu: f64,
    /// Bytes of the largest process among them.
    pub peak_memory: u64,
}

impl Exit {
    /// Whether the command says that it succeeded.
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.code, self.signal) {
            (Some(code), _) => write!(f, "exit code {code}"),
            (None, Some(signal)) => match nix::sys::signal::Signal::try_from(signal) {
                Ok(signal) => write!(f, "killed by {signal}"),
                Err(_) => write!(f, "killed by signal {signal}"),
            },
            (None, None) => f.write_str("ended"),
        }
    }
}

/// Stops sandboxes from another thread, as Ctrl-C does.
#[derive(Clone, Default)]
pub struct Stop(Arc<Mutex<Stopping>>);

#[derive(Default)]
struct Stopping {
    stopped: bool,
    next: u64,
    sockets: Vec<(u64, UnixStream)>,
}

impl Stop {
    /// Ends every sandbox that runs, and every later one at its start.
    pub fn stop(&self) {
        let mut stopping = self.lock();
        stopping.stopped = true;
        for (_, socket) in stopping.sockets.drain(..) {
            // A sandbox that has ended already has nothing to be told.
            let _ = socket.shutdown(std::net::Shutdown::Both);
        }
    }

    /// An error once [`Stop::stop`] was called.
    ///
    /// # Errors
    /// [`Error::interrupted`].
    pub fn check(&self) -> Result<()> {
        if self.lock().stopped { Err(Error::interrupted()) } else { Ok(()) }
    }

    fn lock(&self) -> MutexGuard<'_, Stopping> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watch(&self, socket: &UnixStream) -> Result<u64> {
        let copy = socket.try_clone().or_environment(|| "cannot watch a sandbox".into())?;
        let mut stopping = self.lock();
        if stopping.stopped {
            return Err(Error::interrupted());
        }
        stopping.next += 1;
        let number = stopping.next;
        stopping.sockets.push((number, copy));
        Ok(number)
    }

    fn forget(&self, number: u64) {
        self.lock().sockets.retain(|(other, _)| *other != number);
    }
}

/// What happens to a command.
#[derive(Debug)]
pub enum Notice<'a> {
    /// It starts.
    Started,
    /// It printed something.
    Output(Stream, &'a [u8]),
    /// It ended.
    Exited(Exit),
}

/// Runs the spec's only command. Blocks; `output` gets every piece of its output.
///
/// # Errors
/// As for [`run`].
pub fn run_one(spec: &Spec, stop: &Stop, output: &mut dyn FnMut(Stream, &[u8])) -> Result<Exit> {
    stop.check()?;
    Waiting::start(spec.stdio)?.run_one(spec, stop, output)
}

/// Runs the spec's commands. Blocks; `tell` gets what happens to each, by its index.
///
/// # Errors
/// When the sandbox cannot be made, is lost before its commands ended, or was stopped. A command that fails is no
/// error here.
pub fn run(spec: &Spec, stop: &Stop, tell: &mut dyn FnMut(usize, Notice<'_>)) -> Result<()> {
    stop.check()?;
    Waiting::start(spec.stdio)?.run(spec, stop, tell)
}

/// A sandbox's process that knows nothing yet: it may start while what it will run is still being found out.
pub struct Waiting {
    socket: UnixStream,
    child: Child,
    stdio: Stdio,
}

impl Waiting {
    /// Starts the process.
    ///
    /// # Errors
    /// An environment error when it cannot be started.
    pub fn start(stdio: Stdio) -> Result<Waiting> {
        let (socket, theirs) = UnixStream::pair().or_environment(|| "cannot make a socket pair".into())?;
        let child = start(stdio, &theirs)?;
        Ok(Waiting { socket, child, stdio })
    }

    /// The same as [`run`], for a spec with the streams that the process was started with.
    ///
    /// # Errors
    /// As for [`run`].
    pub fn run(self, spec: &Spec, stop: &Stop, tell: &mut dyn FnMut(usize, Notice<'_>)) -> Result<()> {
        if spec.stdio != self.stdio {
            return Err(Error::bug("a sandbox with other streams than it was started with"));
        }
        let watch = stop.watch(&self.socket)?;
        let result = listen(spec, &self.socket, &self.child, tell);
        let ended = self.end();
        stop.forget(watch);
        stop.check()?;
        result.and(ended)
    }

    /// The same as [`run_one`].
    ///
    /// # Errors
    /// As for [`run`].
    pub fn run_one(self, spec: &Spec, stop: &Stop, output: &mut dyn FnMut(Stream, &[u8])) -> Result<Exit> {
        let mut end = None;
        self.run(spec, stop, &mut |_, notice| match notice {
            Notice::Started => {}
            Notice::Output(stream, bytes) => output(stream, bytes),
            Notice::Exited(exit) => end = Some(exit),
        })?;
        end.ok_or_else(|| Error::bug("a command without an end"))
    }

    fn end(mut self) -> Result<()> {
        // Not by dropping it: `stop` has a copy, and a child that still waits for its id map must see the end.
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
        self.child.wait().or_environment(|| "cannot wait for a sandbox".into()).map(drop)
    }
}

fn start(stdio: Stdio, socket: &UnixStream) -> Result<Child> {
    let mut command = Command::new("/proc/self/exe");
    command.arg(CHILD_ARGUMENT);
    if stdio == Stdio::Captured {
        // Ctrl-C is for xbuild, which then stops its sandboxes.
        command.stdin(ProcessStdio::null()).stdout(ProcessStdio::null()).stderr(ProcessStdio::null()).process_group(0);
    }
    hand_over(&mut command, socket);
    command.spawn().or_environment(|| "cannot start a sandbox".into())
}

/// Gives a command the socket as the descriptor on which it looks for it; the socket must live until the command starts.
pub(super) fn hand_over(command: &mut Command, socket: &UnixStream) {
    let descriptor = socket.as_raw_fd();
    // SAFETY: dup2 and fcntl are safe between fork and exec.
    unsafe {
        command.pre_exec(move || {
            let result = if descriptor == SOCKET {
                libc::fcntl(SOCKET, libc::F_SETFD, 0)
            } else {
                libc::dup2(descriptor, SOCKET)
            };
            if result < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
        });
    }
}

fn listen(spec: &Spec, socket: &UnixStream, child: &Child, tell: &mut dyn FnMut(usize, Notice<'_>)) -> Result<()> {
    let lost = || "lost the sandbox".to_owned();
    let payload = serde_json::to_vec(spec).or_bug(|| "cannot write the spec of a sandbox".into())?;
    frame::send(socket, Kind::Spec, 0, &payload).or_environment(lost)?;
    let mut exits: Vec<Option<Exit>> = vec![None; spec.commands.len()];
    while let Some((kind, index, payload)) = frame::receive(socket).or_environment(lost)? {
        match kind {
            Kind::WantsMap => {
                spec.identity.map(child.id())?;
                frame::send(socket, Kind::Mapped, 0, &[]).or_environment(lost)?;
            }
            Kind::Stdout => tell(index, Notice::Output(Stream::Stdout, &payload)),
            Kind::Stderr => tell(index, Notice::Output(Stream::Stderr, &payload)),
            Kind::Started => tell(index, Notice::Started),
            Kind::Exited => {
                let exit = serde_json::from_slice(&payload).or_bug(|| "cannot read how a command ended".into())?;
                *exits.get_mut(index).ok_or_else(|| Error::bug("a command that was never given ended"))? = Some(exit);
                tell(index, Notice::Exited(exit));
            }
            Kind::Failed => return Err(failure(&String::from_utf8_lossy(&payload))),
            Kind::Spec | Kind::Mapped => return Err(Error::bug("the sandbox answers out of turn")),
        }
    }
    if exits.contains(&None) {
        return Err(Error::environment("the sandbox ended before its commands did").hint("was it killed for memory?"));
    }
    Ok(())
}

/// The child's report: the message, then hints, a line each.
fn failure(text: &str) -> Error {
    let mut lines = text.lines();
    let error = Error::environment(lines.next().unwrap_or("the sandbox failed"));
    lines.fold(error, |error, hint| error.hint(hint))
}

//! xbuild's side of a sandbox: starts it, says what it runs, listens.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio as ProcessStdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::frame::{self, Kind};
use super::{CHILD_ARGUMENT, Identity, Isolation, Spec, Stdio, child, handover};
use crate::domain::{Error, Result, ResultExt, Stream};

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Exit {
    /// Its exit code, unless a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// The limit for which it was killed.
    pub exceeded: Option<Exceeded>,
    /// Seconds from start to end.
    pub wall: f64,
    /// Seconds of processor time, of the command and all children that it waited for.
    pub cpu: f64,
    /// Bytes of the largest process among them.
    pub peak_memory: u64,
}

/// A limit that a command did not keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exceeded {
    /// It ran for longer.
    Time,
    /// It printed more.
    Output,
    /// It wanted more memory than there was.
    Memory,
}

impl Exit {
    /// Whether the command says that it succeeded.
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.exceeded {
            // Whole seconds that are over, as the limit says it: a busy machine is a little late.
            Some(Exceeded::Time) => return write!(f, "killed after {:.0} s", self.wall.floor()),
            Some(Exceeded::Output) => return f.write_str("killed for too much output"),
            Some(Exceeded::Memory) => return f.write_str("killed for want of memory"),
            None => {}
        }
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

    /// Has a socket shut down when everything is to stop; the number is for [`Stop::forget`].
    ///
    /// # Errors
    /// [`Error::interrupted`] if that was said already.
    pub(in crate::engine) fn watch(&self, socket: &UnixStream) -> Result<u64> {
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

    /// Lets go of a socket.
    pub(in crate::engine) fn forget(&self, number: u64) {
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
    let mut end = None;
    run(spec, stop, &mut |_, notice| match notice {
        Notice::Started => {}
        Notice::Output(stream, bytes) => output(stream, bytes),
        Notice::Exited(exit) => end = Some(exit),
    })?;
    end.ok_or_else(|| Error::bug("a command without an end"))
}

/// Runs the spec's commands. Blocks; `tell` gets what happens to each, by its index.
///
/// # Errors
/// When the sandbox cannot be made, is lost before its commands ended, or was stopped. A command that fails is no
/// error here.
pub fn run(spec: &Spec, stop: &Stop, tell: &mut dyn FnMut(usize, Notice<'_>)) -> Result<()> {
    stop.check()?;
    Waiting::start(spec.isolation()).run(spec, stop, tell).map(drop)
}

/// A sandbox that makes itself ready while what it will run is still being found out.
pub struct Waiting {
    isolation: Isolation,
    started: Result<(Pid, UnixStream)>,
}

/// A sandbox all of whose processes have ended. The kernel may still be taking its mounts apart, which dropping this waits
/// for.
#[must_use]
pub struct Ending(Pid);

impl Drop for Ending {
    fn drop(&mut self) {
        // Fails only where there is no child any more.
        let _ = waitpid(self.0, None);
    }
}

impl Waiting {
    /// Starts it; whether that worked is told by [`Waiting::run`].
    pub fn start(isolation: Isolation) -> Waiting {
        // A copy of this process takes a quarter of the time of starting the program again. Ranges of ids are given by
        // programs, which run beside us then.
        let may_be_a_copy =
            isolation.stdio == Stdio::Inherited && !matches!(isolation.identity, Identity::Range { .. });
        let started = if may_be_a_copy && child::is_alone() { copy(&isolation) } else { start_again(&isolation) };
        Waiting { isolation, started }
    }

    /// The same as [`run`], for a spec of the isolation that the sandbox was started with.
    ///
    /// # Errors
    /// As for [`run`].
    pub fn run(self, spec: &Spec, stop: &Stop, tell: &mut dyn FnMut(usize, Notice<'_>)) -> Result<Ending> {
        if spec.isolation() != self.isolation {
            return Err(Error::bug("a sandbox with another isolation than it was started with"));
        }
        let (child, socket) = self.started?;
        let watch = stop.watch(&socket)?;
        let result = listen(spec, &socket, tell);
        // Not by dropping it: `stop` has a copy, and a child that is still being made ready must see the end.
        let _ = socket.shutdown(std::net::Shutdown::Both);
        let ending = Ending(child);
        stop.forget(watch);
        stop.check()?;
        result.map(|()| ending)
    }
}

fn copy(isolation: &Isolation) -> Result<(Pid, UnixStream)> {
    let (socket, theirs) = UnixStream::pair().or_environment(|| "cannot start a sandbox".into())?;
    Ok((child::make(isolation, &theirs)?, socket))
}

fn start_again(isolation: &Isolation) -> Result<(Pid, UnixStream)> {
    let mut command = Command::new("/proc/self/exe");
    command.arg(CHILD_ARGUMENT);
    let (child, socket) = match isolation.stdio {
        Stdio::Inherited => handover::spawn(&mut command, std::io::stdin().as_fd())?,
        Stdio::Together | Stdio::Apart => {
            // Ctrl-C is for xbuild, which then stops its sandboxes; and a command could reach our terminal through PID 1.
            command.stdout(ProcessStdio::null()).stderr(ProcessStdio::null()).process_group(0);
            let nothing = File::open("/dev/null").or_environment(|| "cannot open /dev/null".into())?;
            handover::spawn(&mut command, nothing.as_fd())?
        }
    };
    let payload = serde_json::to_vec(isolation).or_bug(|| "cannot write the isolation of a sandbox".into())?;
    frame::send(&socket, Kind::Isolation, 0, &payload).or_environment(lost)?;
    Ok((Pid::from_raw(child.id() as i32), socket))
}

fn lost() -> String {
    "lost the sandbox".to_owned()
}

fn listen(spec: &Spec, socket: &UnixStream, tell: &mut dyn FnMut(usize, Notice<'_>)) -> Result<()> {
    let payload = serde_json::to_vec(spec).or_bug(|| "cannot write the spec of a sandbox".into())?;
    let sent = frame::send(socket, Kind::Spec, 0, &payload).or_environment(lost);
    let mut exits: Vec<Option<Exit>> = vec![None; spec.commands.len()];
    while let Some((kind, index, payload)) = frame::receive(socket).or_environment(lost)? {
        match kind {
            Kind::Stdout => tell(index, Notice::Output(Stream::Stdout, &payload)),
            Kind::Stderr => tell(index, Notice::Output(Stream::Stderr, &payload)),
            Kind::Started => tell(index, Notice::Started),
            Kind::Exited => {
                let exit = serde_json::from_slice(&payload).or_bug(|| "cannot read how a command ended".into())?;
                *exits.get_mut(index).ok_or_else(|| Error::bug("a command that was never given ended"))? = Some(exit);
                tell(index, Notice::Exited(exit));
            }
            Kind::Failed => return Err(failure(&String::from_utf8_lossy(&payload))),
            Kind::Isolation | Kind::WantsMap | Kind::Mapped | Kind::Spec => {
                return Err(Error::bug("the sandbox answers out of turn"));
            }
        }
    }
    // A sandbox that ended before it was told has said why, if it could.
    sent?;
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

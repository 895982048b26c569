//! PID 1 of a sandbox: mounts, starts the commands, passes their output on, reaps.

use std::collections::HashMap;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Stdio as ProcessStdio;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, killpg, pthread_sigmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;

use super::frame::{self, Kind};
use super::parent::{Exceeded, Exit};
use super::{Command, Identity, Isolation, Spec, Stdio, User, binfmt, mounts, root_emulation};
use crate::domain::{Error, Result, ResultExt};

/// A pipe of a command's output.
struct Pipe {
    command: usize,
    kind: Kind,
    end: std::fs::File,
}

/// A command that runs.
struct Running {
    command: usize,
    started: Instant,
    /// Bytes that it has printed.
    printed: u64,
    exceeded: Option<Exceeded>,
}

/// Runs as PID 1. Everything that needs no spec comes before it is read: xbuild may still be finding out what will run.
pub(super) fn run(isolation: &Isolation, socket: &UnixStream) -> Result<()> {
    // Commands see PID 1, and neither its environment, which is xbuild's caller's, nor what it has open is for them.
    nix::sys::prctl::set_dumpable(false).or_bug(|| "cannot shield the sandbox's first process".into())?;
    // Files, and the folders that mounts need, come out the same whatever the caller's mask is.
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    if isolation.rooted {
        nix::unistd::sethostname("xbuild").or_environment(|| "cannot name the sandbox".into())?;
        mounts::stage(isolation.network)?;
    }
    let Some((Kind::Spec, _, payload)) = frame::receive(socket).or_bug(|| "cannot read the spec".into())? else {
        return Ok(());
    };
    let spec: Spec = serde_json::from_slice(&payload).or_bug(|| "cannot parse the spec".into())?;
    limit_processors(spec.processors)?;
    if let Some(root) = &spec.root {
        mounts::enter(root)?;
        mounts::furnish(&spec.mounts, spec.network)?;
        binfmt::register(&spec.emulators)?;
        mounts::leave_outside()?;
    }
    if spec.identity == Identity::Single {
        root_emulation::install()?;
    }
    Init::new(&spec, socket)?.run()
}

/// Lets this process, and all that it starts, use only so many processors.
///
/// # Errors
/// An environment error when the kernel refuses.
pub(in crate::engine) fn limit_processors(count: Option<usize>) -> Result<()> {
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

/// Drops from root to a user, who may open the pipes that its output goes to by their names in `/dev`.
fn become_user(user: &User) -> std::io::Result<()> {
    for descriptor in [1, 2] {
        // SAFETY: the call has no pointers. Where it fails, only those names do not work.
        unsafe { libc::fchown(descriptor, user.uid, user.gid) };
    }
    // SAFETY: the groups outlive the call.
    let result = unsafe { libc::setgroups(user.groups.len(), user.groups.as_ptr()) };
    if result != 0 {
        return Err(std::io::Error::last_os_error());
    }
    nix::unistd::setgid(user.gid.into())?;
    nix::unistd::setuid(user.uid.into())?;
    Ok(())
}

struct Init<'a> {
    spec: &'a Spec,
    socket: &'a UnixStream,
    signals: SignalFd,
    pipes: Vec<Pipe>,
    running: HashMap<i32, Running>,
    next: usize,
}

impl<'a> Init<'a> {
    fn new(spec: &'a Spec, socket: &'a UnixStream) -> Result<Init<'a>> {
        let mut mask = SigSet::empty();
        mask.add(Signal::SIGCHLD);
        pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&mask), None).or_bug(|| "cannot block signals".into())?;
        let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
            .or_bug(|| "cannot watch signals".into())?;
        Ok(Init { spec, socket, signals, pipes: Vec::new(), running: HashMap::new(), next: 0 })
    }

    /// Returns when every command has ended, or when xbuild is gone.
    fn run(mut self) -> Result<()> {
        loop {
            while self.next < self.spec.commands.len() && self.may_start() {
                self.start(self.next)?;
                self.next += 1;
            }
            if self.running.is_empty() {
                return Ok(());
            }
            let mut fds = vec![
                PollFd::new(self.socket.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            ];
            fds.extend(self.pipes.iter().map(|pipe| PollFd::new(pipe.end.as_fd(), PollFlags::POLLIN)));
            match poll(&mut fds, self.until_next_limit()) {
                Err(nix::errno::Errno::EINTR) => continue,
                other => other.or_bug(|| "cannot wait for events".into())?,
            };
            let ready: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(true)).collect();
            // xbuild sends nothing after the spec, so this is its end.
            if ready[0] {
                return Ok(());
            }
            for index in (0..self.pipes.len()).rev() {
                if ready[index + 2] && !self.pass_on(index)? {
                    self.pipes.swap_remove(index);
                }
            }
            self.enforce_limits();
            if ready[1] {
                while let Ok(Some(_)) = self.signals.read_signal() {}
                self.reap()?;
            }
        }
    }

    /// How long to wait for events at most.
    fn until_next_limit(&self) -> PollTimeout {
        let left = |running: &Running| {
            let limit = self.spec.commands[running.command].limits.time.filter(|_| running.exceeded.is_none())?;
            Some(limit.saturating_sub(running.started.elapsed()))
        };
        match self.running.values().filter_map(left).min() {
            // Rounded up: a limit that is not quite reached would be looked at over and over.
            Some(left) => (left + Duration::from_millis(1)).try_into().unwrap_or(PollTimeout::MAX),
            None => PollTimeout::NONE,
        }
    }

    /// Kills commands that do not keep their limits. What they have started goes with PID 1 at the latest.
    fn enforce_limits(&mut self) {
        for (pid, running) in &mut self.running {
            let limits = self.spec.commands[running.command].limits;
            running.exceeded = running.exceeded.or_else(|| {
                let late = limits.time.is_some_and(|limit| running.started.elapsed() >= limit);
                let loud = limits.output.is_some_and(|limit| running.printed > limit);
                let exceeded = if late { Some(Exceeded::Time) } else { loud.then_some(Exceeded::Output) }?;
                // One that has just ended is told of by its end.
                let _ = killpg(nix::unistd::Pid::from_raw(*pid), Signal::SIGKILL);
                Some(exceeded)
            });
        }
    }

    fn may_start(&self) -> bool {
        self.running.len() < self.spec.parallel.max(1)
    }

    fn start(&mut self, index: usize) -> Result<()> {
        let command = &self.spec.commands[index];
        let started = Instant::now();
        self.send(Kind::Started, index, &[])?;
        match self.spawn(command) {
            Ok((child, outputs)) => {
                let pid = child.id() as i32;
                for (kind, end) in outputs {
                    nix::fcntl::fcntl(&end, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK))
                        .or_bug(|| "cannot read a command's output".into())?;
                    self.pipes.push(Pipe { command: index, kind, end: end.into() });
                }
                self.running.insert(pid, Running { command: index, started, printed: 0, exceeded: None });
                Ok(())
            }
            // What a shell answers: 127 for a program that is not there, 126 for one that cannot be run.
            Err(error) => {
                let text = format!("cannot run {}: {error}\n", command.argv[0]);
                self.send(Kind::Stderr, index, text.as_bytes())?;
                let code = if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 };
                let exit = Exit { code: Some(code), signal: None, exceeded: None, wall: 0.0, cpu: 0.0, peak_memory: 0 };
                self.exited(index, exit)
            }
        }
    }

    /// Starts a command; with it come the ends of its pipes.
    fn spawn(&self, command: &Command) -> std::io::Result<(std::process::Child, Vec<(Kind, OwnedFd)>)> {
        if self.spec.root.is_some() {
            std::fs::create_dir_all(&command.cwd)?;
        }
        let mut process = std::process::Command::new(&command.argv[0]);
        process.args(&command.argv[1..]).env_clear().envs(&command.env).current_dir(&command.cwd);
        let mut outputs = Vec::new();
        let mut pipe = |kind| {
            let (end, theirs) = std::io::pipe()?;
            outputs.push((kind, OwnedFd::from(end)));
            Ok::<_, std::io::Error>(theirs)
        };
        match self.spec.stdio {
            Stdio::Inherited => {}
            Stdio::Together => {
                let theirs = pipe(Kind::Stdout)?;
                process.stdin(ProcessStdio::null()).stdout(theirs.try_clone()?).stderr(theirs);
            }
            Stdio::Apart => {
                process.stdin(ProcessStdio::null()).stdout(pipe(Kind::Stdout)?).stderr(pipe(Kind::Stderr)?);
            }
        }
        let captured = self.spec.stdio.is_captured();
        let user = command.user.clone();
        // SAFETY: all calls are safe between fork and exec.
        unsafe {
            process.pre_exec(move || {
                pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
                if captured {
                    // Without a terminal, nothing can wait for one.
                    nix::unistd::setsid()?;
                }
                if let Some(user) = &user {
                    become_user(user)?;
                }
                Ok(())
            });
        }
        Ok((process.spawn()?, outputs))
    }

    /// Passes on what is in a pipe; false when it is at its end.
    fn pass_on(&mut self, index: usize) -> Result<bool> {
        let mut buffer = [0; 32 << 10];
        let pipe = &mut self.pipes[index];
        match pipe.end.read(&mut buffer) {
            Ok(0) => Ok(false),
            Ok(count) => {
                let (kind, command) = (pipe.kind, pipe.command);
                if let Some(running) = self.running.values_mut().find(|running| running.command == command) {
                    running.printed += count as u64;
                }
                self.send(kind, command, &buffer[..count]).map(|()| true)
            }
            Err(error) => Ok(matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::Interrupted)),
        }
    }

    fn reap(&mut self) -> Result<()> {
        loop {
            let mut status = 0;
            // SAFETY: an all-zero rusage is valid.
            let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
            // SAFETY: both pointers are to locals that outlive the call.
            let pid = unsafe { libc::wait4(-1, &mut status, libc::WNOHANG, &mut usage) };
            if pid <= 0 {
                return Ok(());
            }
            let Some(running) = self.running.remove(&pid) else { continue };
            self.drain(running.command)?;
            let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
            let exit = Exit {
                code: libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status)),
                signal: libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status)),
                exceeded: running.exceeded,
                wall: running.started.elapsed().as_secs_f64(),
                cpu: seconds(usage.ru_utime) + seconds(usage.ru_stime),
                peak_memory: usage.ru_maxrss as u64 * 1024,
            };
            self.exited(running.command, exit)?;
        }
    }

    /// Takes what a command that ended has left in its pipes. Processes that it left behind may still hold them, so
    /// this does not wait for their end, and closes them.
    fn drain(&mut self, command: usize) -> Result<()> {
        while let Some(index) = self.pipes.iter().position(|pipe| pipe.command == command) {
            let pending = |pipe: &Pipe| {
                let mut fds = [PollFd::new(pipe.end.as_fd(), PollFlags::POLLIN)];
                poll(&mut fds, PollTimeout::ZERO).is_ok_and(|count| count > 0)
            };
            while pending(&self.pipes[index]) && self.pass_on(index)? {}
            self.pipes.swap_remove(index);
        }
        Ok(())
    }

    fn exited(&mut self, command: usize, exit: Exit) -> Result<()> {
        let payload = serde_json::to_vec(&exit).or_bug(|| "cannot tell how a command ended".into())?;
        self.send(Kind::Exited, command, &payload)
    }

    fn send(&self, kind: Kind, command: usize, payload: &[u8]) -> Result<()> {
        frame::send(self.socket, kind, command, payload).map_err(|cause| {
            Error::bug(format!("lost xbuild on descriptor {}", self.socket.as_raw_fd())).because(cause)
        })
    }
}

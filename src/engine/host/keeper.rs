//! A process that runs one command, and leaves nothing of it behind.
//!
//! xbuild starts itself again for each command, with a socket that is also the lifeline: when xbuild dies or lets go of it, the
//! keeper reads its end and kills the command with all that it has started. What a command left behind is the keeper's to
//! kill, because whatever loses its parent becomes its child. That takes neither namespaces nor any privilege.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{ExitCode, Stdio as ProcessStdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use nix::errno::Errno;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, pthread_sigmask};
use nix::sys::time::TimeValLike;
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::domain::{Result, ResultExt};
use crate::engine::native::sandbox::{Command, Exceeded, Exit, Stdio, limit_processors, take_over};

/// First argument of the re-executed program; nobody types it.
pub const ARGUMENT: &str = "__keeper";

/// What a keeper is given.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Task {
    /// What it runs.
    pub(super) command: Command,
    /// How many processors that may use.
    pub(super) processors: usize,
    /// Whether it has the user's terminal.
    pub(super) stdio: Stdio,
}

/// What it answers: how the command ended, or why there was none.
pub(super) type Answer = std::result::Result<Exit, String>;

/// Runs the keeper's side.
pub fn main() -> ExitCode {
    // Without a socket there is nobody to tell.
    let Ok(socket) = take_over() else { return ExitCode::FAILURE };
    let answer: Answer = keep(&socket).map_err(|error| error.to_string());
    let told = serde_json::to_writer(&socket, &answer).map_err(std::io::Error::from);
    match told.and_then(|()| (&socket).flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn keep(socket: &UnixStream) -> Result<Exit> {
    nix::sys::prctl::set_child_subreaper(true).or_environment(|| "cannot keep processes".into())?;
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    let mut reader = BufReader::new(socket.try_clone().or_environment(|| "cannot read a task".into())?);
    let mut line = String::new();
    reader.read_line(&mut line).or_bug(|| "cannot read a task".into())?;
    let task: Task = serde_json::from_str(&line).or_bug(|| "cannot parse a task".into())?;
    limit_processors(Some(task.processors))?;
    if task.stdio.is_captured() {
        // Ctrl-C is for xbuild, which then lets go of the socket; and without a terminal, nothing can wait for one.
        nix::unistd::setsid().or_environment(|| "cannot make a session".into())?;
    }
    let started = Instant::now();
    let Command { argv, env, cwd, .. } = &task.command;
    let mut process = std::process::Command::new(&argv[0]);
    process.args(&argv[1..]).env_clear().envs(env).current_dir(cwd);
    if task.stdio.is_captured() {
        process.stdin(ProcessStdio::null()).process_group(0);
    }
    if task.stdio == Stdio::Together {
        let both = std::io::stdout().as_fd().try_clone_to_owned();
        process.stderr(both.or_environment(|| "cannot lead two streams to one place".into())?);
    }
    let mut child = match process.spawn() {
        Ok(child) => child,
        Err(error) => return Ok(refused(&argv[0], &error)),
    };
    // What the terminal says to all is for the command to hear: who keeps it must be there at its end.
    pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&SigSet::all()), None).or_bug(|| "cannot block signals".into())?;
    std::thread::spawn(move || {
        // Nothing more comes but the end.
        let _ = reader.read_line(&mut String::new());
        kill_all();
        std::process::exit(1);
    });
    let exceeded = Arc::new(AtomicBool::new(false));
    if let Some(limit) = task.command.limits.time {
        let (exceeded, command) = (exceeded.clone(), Pid::from_raw(child.id().cast_signed()));
        std::thread::spawn(move || {
            std::thread::sleep(limit);
            exceeded.store(true, Ordering::Relaxed);
            // The rest goes with what the command leaves behind.
            let _ = kill(command, Signal::SIGKILL);
        });
    }
    // Fails where the other thread has killed it and seen its end first; even then, nobody leaves before all are gone.
    let status = child.wait();
    let wall = started.elapsed().as_secs_f64();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).or_environment(|| "cannot measure a command".into())?;
    kill_all();
    let status = status.or_environment(|| "cannot wait for a command".into())?;
    let cpu = (usage.user_time().num_microseconds() + usage.system_time().num_microseconds()) as f64 / 1e6;
    let peak_memory = u64::try_from(usage.max_rss()).unwrap_or(0) * 1024;
    let exceeded = exceeded.load(Ordering::Relaxed).then_some(Exceeded::Time);
    Ok(Exit { code: status.code(), signal: status.signal(), exceeded, wall, cpu, peak_memory })
}

/// What a shell answers: 127 for a program that is not there, 126 for one that cannot be run.
fn refused(program: &str, error: &std::io::Error) -> Exit {
    // If nobody reads it, the code tells enough.
    let _ = writeln!(std::io::stderr(), "cannot run {program}: {error}");
    let code = if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 };
    Exit { code: Some(code), signal: None, exceeded: None, wall: 0.0, cpu: 0.0, peak_memory: 0 }
}

/// Kills every process that was started here, until there is none: children of a killed one become children of the keeper.
fn kill_all() {
    loop {
        for child in children() {
            // One that has ended by itself meanwhile is as well.
            let _ = kill(child, Signal::SIGKILL);
        }
        match waitpid(None, None) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return,
        }
    }
}

fn children() -> Vec<Pid> {
    let own = std::process::id();
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let numbers = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let is_child = |pid: &i32| {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The name in parentheses may hold anything; state and parent follow it.
        text.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok()) == Some(own)
    };
    numbers.filter(is_child).map(Pid::from_raw).collect()
}

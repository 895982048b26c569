//! xbuild's side of a keeper: starts it, passes the command's output on, hears how it ended.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::{Command, Stdio as ProcessStdio};

use super::keeper::{ARGUMENT, Answer, Task};
use crate::domain::{Error, Result, ResultExt, Stream};
use crate::engine::native::sandbox::{Exit, Stdio, Stop, hand_over};

/// Runs a command. Blocks; `output` gets every piece of its output, from other threads.
///
/// # Errors
/// When it cannot be run, or was stopped; how it ends is no error.
pub(super) fn run(task: &Task, stop: &Stop, output: &(dyn Fn(Stream, &[u8]) + Sync)) -> Result<Exit> {
    let lost = || "lost a command".to_owned();
    let mut command = Command::new("/proc/self/exe");
    command.arg(ARGUMENT);
    let (mut child, socket) = match task.stdio {
        Stdio::Inherited => hand_over(&mut command, std::io::stdin().as_fd())?,
        Stdio::Together | Stdio::Apart => {
            command.stdout(ProcessStdio::piped()).stderr(ProcessStdio::piped());
            let nothing = File::open("/dev/null").or_environment(|| "cannot open /dev/null".into())?;
            hand_over(&mut command, nothing.as_fd())?
        }
    };
    let watch = stop.watch(&socket);
    let mut answer = String::new();
    let result = std::thread::scope(|scope| {
        let pipes = [
            child.stdout.take().map(|pipe| (Stream::Stdout, Box::new(pipe) as Box<dyn Read + Send>)),
            child.stderr.take().map(|pipe| (Stream::Stderr, Box::new(pipe) as Box<dyn Read + Send>)),
        ];
        for (stream, pipe) in pipes.into_iter().flatten() {
            scope.spawn(move || pass_on(pipe, stream, output));
        }
        watch.as_ref().map_err(Error::again)?;
        let mut task = serde_json::to_vec(task).or_bug(|| "cannot write a task".into())?;
        task.push(b'\n');
        (&socket).write_all(&task).or_environment(lost)?;
        (&socket).read_to_string(&mut answer).or_environment(lost)
    });
    // A keeper that still waits for something sees the end here.
    let _ = socket.shutdown(std::net::Shutdown::Both);
    let _ = child.wait();
    if let Ok(watch) = watch {
        stop.forget(watch);
    }
    stop.check()?;
    result?;
    let answer: Answer = serde_json::from_str(&answer)
        .map_err(|_| Error::environment(lost()).hint("was what keeps it killed for memory?"))?;
    answer.map_err(Error::environment)
}

fn pass_on(mut pipe: Box<dyn Read + Send>, stream: Stream, output: &(dyn Fn(Stream, &[u8]) + Sync)) {
    let mut buffer = [0; 32 << 10];
    // A pipe that cannot be read is at its end.
    while let Ok(count @ 1..) = pipe.read(&mut buffer) {
        output(stream, &buffer[..count]);
    }
}

//! Runs a program for as long as somebody waits for it.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::domain::{Error, Result, ResultExt};

/// How often it is looked whether the program has ended, and whether it is still waited for.
const LOOK: Duration = Duration::from_millis(5);

/// What a program says, until it ends. When `go_on` says that nobody waits any longer, it is killed with all that it has
/// started.
///
/// # Errors
/// A program that cannot be run; the error of `go_on`.
pub(super) fn output(command: &mut Command, go_on: &dyn Fn() -> Result<()>) -> Result<Output> {
    let program = command.get_program().to_string_lossy().into_owned();
    let failed = || format!("cannot run {program}");
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().or_environment(failed)?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    std::thread::scope(|scope| {
        let (stdout, stderr) = (scope.spawn(|| read(stdout)), scope.spawn(|| read(stderr)));
        let status = loop {
            if let Some(status) = child.try_wait().or_environment(failed)? {
                break Ok(status);
            }
            if let Err(error) = go_on() {
                // One that has just ended leaves nothing to kill.
                let _ = killpg(Pid::from_raw(child.id().cast_signed()), Signal::SIGKILL);
                let _ = child.wait();
                break Err(error);
            }
            std::thread::sleep(LOOK);
        };
        let said = |joined: std::thread::Result<Vec<u8>>| joined.map_err(|_| Error::bug("reading a pipe panicked"));
        let (stdout, stderr) = (said(stdout.join())?, said(stderr.join())?);
        Ok(Output { status: status?, stdout, stderr })
    })
}

/// Everything in a pipe; one that cannot be read is at its end.
fn read(pipe: Option<impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        let _ = pipe.read_to_end(&mut bytes);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::domain::ErrorKind;

    #[test]
    fn both_streams_come_whole() {
        let mut command = Command::new("sh");
        command.args(["-c", "seq 20000; seq 20000 >&2; exit 3"]);
        let output = output(&mut command, &|| Ok(())).unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(3), output.stderr.len()));
        assert!(output.stdout.ends_with(b"\n20000\n"));
    }

    #[test]
    fn who_does_not_wait_gets_it_killed_with_its_children() {
        let started = Instant::now();
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 100 & sleep 100"]);
        let go_on = || match started.elapsed() > Duration::from_millis(50) {
            true => Err(Error::interrupted()),
            false => Ok(()),
        };
        assert_eq!(output(&mut command, &go_on).unwrap_err().kind(), ErrorKind::Interrupted);
        assert!(started.elapsed() < Duration::from_secs(50), "its child still holds the pipes");
    }
}

//! Programs that keep users and passwords: `docker-credential-NAME get` takes a server's name on its standard input, and
//! answers with JSON.

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde::Deserialize;

use super::credentials::Login;
use crate::domain::{Error, Result, ResultExt};

/// How long a helper may take; some ask their user.
pub(super) const TIME: Duration = Duration::from_secs(60);

/// Bytes that an answer may have.
const LARGEST: u64 = 1 << 16;

/// What all helpers say when they do not know a server.
const NOT_FOUND: &[u8] = b"credentials not found in native keychain";

/// The user name that comes with an identity token.
const TOKEN: &str = "<token>";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// Asks a helper for the user of a server; `None` where it knows none. Blocks for `time` at most.
///
/// # Errors
/// An environment error for a helper that is not there, fails, takes too long, or answers with something else. What it
/// says is never told: there may be a secret in it.
pub(super) fn ask(name: &str, server: &str, time: Duration) -> Result<Option<Login>> {
    let program = format!("docker-credential-{name}");
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
        return Err(Error::environment(format!("'{name}' is no name of a credential helper")));
    }
    let failed = || format!("cannot ask {program} for the user of {server}");
    let mut command = Command::new(&program);
    command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
    let mut child = command.spawn().or_environment(failed)?;
    if let Some(mut input) = child.stdin.take() {
        // One that does not read may answer even so.
        let _ = input.write_all(server.as_bytes());
    }
    let (sender, receiver) = mpsc::channel();
    let output = child.stdout.take();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = output.map(|output| output.take(LARGEST + 1).read_to_end(&mut bytes));
        let _ = sender.send((read, bytes));
    });
    let end = Instant::now() + time;
    let answer = receiver.recv_timeout(time).ok();
    let status = loop {
        match child.try_wait().or_environment(failed)? {
            Some(status) => break Some(status),
            None if answer.is_none() || Instant::now() >= end => break None,
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    let (Some((Some(Ok(_)), bytes)), Some(status)) = (answer, status) else {
        // With all that it has started. One that has ended by now needs no kill.
        let _ = i32::try_from(child.id()).map(|group| killpg(Pid::from_raw(group), Signal::SIGKILL));
        child.wait().or_environment(failed)?;
        return Err(Error::environment(failed()).because(format!("it gave no answer in {time:?}")));
    };
    if !status.success() {
        if bytes.trim_ascii().starts_with(NOT_FOUND) {
            return Ok(None);
        }
        let error = Error::environment(failed()).because(format!("{status}"));
        return Err(error.hint(format!("try it: echo {server} | {program} get")));
    }
    if bytes.len() as u64 > LARGEST {
        return Err(Error::environment(failed()).because(format!("its answer has more than {LARGEST} bytes")));
    }
    let Ok(Answer { username, secret }) = serde_json::from_slice(&bytes) else {
        return Err(Error::environment(failed()).because("its answer is not what helpers answer"));
    };
    Ok(match username.as_str() {
        _ if secret.is_empty() => None,
        TOKEN => Some(Login::IdentityToken(secret)),
        _ => Some(Login::Password { user: username, password: secret }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_helper_has_a_name_and_a_time() {
        assert!(ask("a/b", "r.example", TIME).unwrap_err().to_string().contains("no name"));
        assert!(ask("there-is-none", "r.example", TIME).unwrap_err().to_string().contains("there-is-none"));
    }
}

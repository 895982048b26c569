//! A connection through `ssh`, as Docker's own client makes one: `docker system dial-stdio` on the other machine passes
//! on what goes through `ssh`.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::process::Stdio;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use super::endpoint::Endpoint;
use super::error::ssh_failed;
use crate::domain::{Error, Result};

/// So much of what `ssh` says is kept.
const MOST: u64 = 16 << 10;

/// A running `ssh`. When xbuild dies, however that happens, its standard input ends, and it with it.
pub(super) struct Ssh {
    input: ChildStdin,
    output: ChildStdout,
    /// What becomes of it, once it has failed.
    end: End,
    /// Whether the other machine has said anything yet. Until then, an end is a failure of `ssh`.
    answered: bool,
    endpoint: Endpoint,
}

enum End {
    Running(Box<(Child, ChildStderr)>),
    Ending(Pin<Box<dyn Future<Output = String> + Send>>),
    Ended,
}

/// Starts `ssh`; whether it gets anywhere is told by the first read.
///
/// # Errors
/// An environment error when there is no `ssh`.
pub(super) fn open(endpoint: &Endpoint, destination: &str, port: Option<u16>, patience: Duration) -> Result<Ssh> {
    let mut command = Command::new("ssh");
    // Nobody is there to be asked: several of these run at once.
    command.args(["-o", "BatchMode=yes", "-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=4"]);
    command.arg("-o").arg(format!("ConnectTimeout={}", patience.as_secs().max(1)));
    command.arg("-T");
    if let Some(port) = port {
        command.arg("-p").arg(port.to_string());
    }
    command.args(["--", destination, "docker", "system", "dial-stdio"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    // Ctrl-C is xbuild's to hear: what it still has to say to the engine goes through here.
    command.process_group(0);
    let mut child = command.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::environment(format!("{endpoint} takes ssh, which is not installed"))
            .hint("apt-get install openssh-client"),
        _ => Error::environment(format!("{endpoint}: cannot start ssh")).because(error),
    })?;
    let pipe = || Error::bug("a pipe that was asked for is not there");
    let input = child.stdin.take().ok_or_else(pipe)?;
    let output = child.stdout.take().ok_or_else(pipe)?;
    let errors = child.stderr.take().ok_or_else(pipe)?;
    let end = End::Running(Box::new((child, errors)));
    Ok(Ssh { input, output, end, answered: false, endpoint: endpoint.clone() })
}

/// What `ssh` has said, once it has ended.
async fn last_words(mut child: Child, errors: ChildStderr) -> String {
    let mut text = Vec::new();
    let _ = errors.take(MOST).read_to_end(&mut text).await;
    let _ = child.wait().await;
    String::from_utf8_lossy(&text).into_owned()
}

impl Ssh {
    /// The error of an `ssh` that ended, or whose pipe broke.
    fn poll_failure(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        if let End::Running(_) = self.end
            && let End::Running(parts) = std::mem::replace(&mut self.end, End::Ended)
        {
            let (child, errors) = *parts;
            self.end = End::Ending(Box::pin(last_words(child, errors)));
        }
        let text = match &mut self.end {
            End::Ending(ending) => ready!(ending.as_mut().poll(cx)),
            _ => String::new(),
        };
        self.end = End::Ended;
        Poll::Ready(io::Error::other(ssh_failed(&self.endpoint, &text)))
    }
}

impl AsyncRead for Ssh {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = match self.end {
            End::Running(_) => ready!(Pin::new(&mut self.output).poll_read(cx, buffer)),
            _ => Ok(()),
        };
        if buffer.filled().len() > before {
            self.answered = true;
        } else if !self.answered && buffer.remaining() > 0 {
            return Poll::Ready(Err(ready!(self.poll_failure(cx))));
        }
        Poll::Ready(read)
    }
}

impl AsyncWrite for Ssh {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = match self.end {
            End::Running(_) => ready!(Pin::new(&mut self.input).poll_write(cx, bytes)),
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        };
        match written {
            Err(_) if !self.answered => Poll::Ready(Err(ready!(self.poll_failure(cx)))),
            written => Poll::Ready(written),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_shutdown(cx)
    }
}

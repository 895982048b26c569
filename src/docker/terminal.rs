//! A command in a container that has xbuild's own input and output, on a terminal or not.

use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bollard::models::ExecConfig;
use bollard::query_parameters::ResizeExecOptionsBuilder;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{self, SetArg, Termios};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::Client;
use super::container::Container;
use super::error::broken;
use super::exec::ExecRequest;
use super::frames::Frames;
use crate::domain::{Error, Result, ResultExt as _, Stream};

/// How often the reader of the standard input looks whether it is still wanted, in milliseconds.
const LOOK: u16 = 100;

/// Gives a terminal its size before the command sees it; who only tells the engine of it comes too late at times.
const SIZED: &str = r#"stty rows "$1" cols "$2" 2>/dev/null; shift 2; unset PWD OLDPWD SHLVL; exec "$@""#;

impl Container {
    /// Runs a command with xbuild's own standard input and output; with `terminal` it has a terminal of its own, which is
    /// ours. Gives its exit code. The time of the request does not count.
    ///
    /// # Errors
    /// An environment error when it cannot be run, or the container or the engine goes away.
    pub async fn interactive(&self, request: &ExecRequest, terminal: bool) -> Result<i64> {
        let mut request = request.clone();
        if terminal && let Ok(kind) = std::env::var("TERM") {
            request.env.entry("TERM".into()).or_insert(kind);
        }
        let config = ExecConfig {
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            tty: Some(terminal),
            // No keys are the engine's.
            detach_keys: Some("ctrl-^,ctrl-^,ctrl-^,ctrl-^".into()).filter(|_| terminal),
            cmd: Some(if terminal { sized(&request.argv) } else { request.argv.clone() }),
            ..self.config(&request)
        };
        let id = self.prepare(config).await?;
        let connection = self.start(&id, terminal).await?;
        let raw = if terminal { Raw::enter()? } else { None };
        let talked = self.talk(&id, connection, terminal).await;
        drop(raw);
        talked?;
        self.ended(&id).await
    }

    async fn talk(
        &self,
        id: &str,
        connection: hyper_util::rt::TokioIo<hyper::upgrade::Upgraded>,
        terminal: bool,
    ) -> Result<()> {
        let (mut output, mut input) = tokio::io::split(connection);
        let mut typed = Typed::start();
        let mut resized = signal(SignalKind::window_change()).or_environment(|| "cannot listen for signals".into())?;
        if terminal {
            resize(&self.client, id).await;
        }
        let mut frames = Frames::default();
        let mut buffer = vec![0; 64 << 10];
        let mut open = true;
        loop {
            tokio::select! {
                count = output.read(&mut buffer) => {
                    let count = count.map_err(|error| broken(self.client.endpoint(), &error))?;
                    if count == 0 {
                        return Ok(());
                    }
                    if terminal {
                        show(Stream::Stdout, &buffer[..count])?;
                    } else {
                        let mut shown = Ok(());
                        let fed = frames.feed(&buffer[..count], &mut |stream, piece| {
                            if shown.is_ok() {
                                shown = show(stream, piece);
                            }
                        });
                        shown?;
                        fed.map_err(|_| Error::environment(format!(
                            "{}: what a command prints is not of Docker's API", self.client.endpoint()
                        )))?;
                    }
                }
                bytes = typed.next(), if open => {
                    let written = match bytes {
                        Some(bytes) => input.write_all(&bytes).await,
                        None => Err(io::ErrorKind::UnexpectedEof.into()),
                    };
                    if written.is_err() {
                        // Nothing more to say, or nobody listens any more: its output tells.
                        open = false;
                        let _ = input.shutdown().await;
                    }
                }
                _ = resized.recv(), if terminal => resize(&self.client, id).await,
            }
        }
    }
}

fn show(stream: Stream, bytes: &[u8]) -> Result<()> {
    let written = match stream {
        Stream::Stdout => io::stdout().write_all(bytes).and_then(|()| io::stdout().flush()),
        Stream::Stderr => io::stderr().write_all(bytes),
    };
    written.or_environment(|| "cannot print".into())
}

/// A command that first makes its terminal as large as ours.
fn sized(argv: &[String]) -> Vec<String> {
    let Some((width, height)) = terminal_size::terminal_size() else { return argv.to_vec() };
    let shell = ["/bin/sh", "-c", SIZED, "xbuild"].map(str::to_owned).into_iter();
    shell.chain([height.0.to_string(), width.0.to_string()]).chain(argv.iter().cloned()).collect()
}

/// Tells the command how large our terminal is. It can do without.
async fn resize(client: &Client, id: &str) {
    if let Some((width, height)) = terminal_size::terminal_size() {
        let options = ResizeExecOptionsBuilder::default().w(width.0.into()).h(height.0.into()).build();
        let _ = client.at_once().resize_exec(id, options).await;
    }
}

/// A terminal that passes on every key; it is put back when this is dropped.
struct Raw {
    before: Termios,
}

impl Raw {
    /// Nothing where the standard input is no terminal.
    fn enter() -> Result<Option<Raw>> {
        let input = io::stdin();
        if !input.is_terminal() {
            return Ok(None);
        }
        let failed = || "cannot set up the terminal".to_owned();
        let before = termios::tcgetattr(&input).or_environment(failed)?;
        let mut raw = before.clone();
        termios::cfmakeraw(&mut raw);
        termios::tcsetattr(&input, SetArg::TCSANOW, &raw).or_environment(failed)?;
        Ok(Some(Raw { before }))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = termios::tcsetattr(io::stdin(), SetArg::TCSANOW, &self.before);
    }
}

/// What comes in on the standard input. A thread of its own reads it, for such a read cannot be given up.
struct Typed {
    bytes: mpsc::Receiver<Vec<u8>>,
    over: Arc<AtomicBool>,
}

impl Typed {
    fn start() -> Typed {
        let (sender, bytes) = mpsc::channel(4);
        let over = Arc::new(AtomicBool::new(false));
        let stop = over.clone();
        std::thread::spawn(move || {
            let input = io::stdin();
            let mut buffer = [0; 8 << 10];
            while !stop.load(Ordering::Relaxed) {
                let mut ready = [PollFd::new(input.as_fd(), PollFlags::POLLIN)];
                match poll(&mut ready, PollTimeout::from(LOOK)) {
                    Ok(0) | Err(nix::errno::Errno::EINTR) => continue,
                    Ok(_) => {}
                    Err(_) => return,
                }
                // Not through the library's buffer: what is there is ready, what it holds back is not.
                match nix::unistd::read(input.as_fd(), &mut buffer) {
                    Ok(0) => return,
                    Ok(count) if sender.blocking_send(buffer[..count].to_vec()).is_err() => return,
                    Ok(_) | Err(nix::errno::Errno::EINTR | nix::errno::Errno::EAGAIN) => {}
                    Err(_) => return,
                }
            }
        });
        Typed { bytes, over }
    }

    /// `None` at the end.
    async fn next(&mut self) -> Option<Vec<u8>> {
        self.bytes.recv().await
    }
}

impl Drop for Typed {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

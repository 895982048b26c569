//! A command in a container that is talked to.

use bollard::models::ExecConfig;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::Client;
use super::container::Container;
use super::error::broken;
use super::exec::ExecRequest;
use super::frames::Frames;
use crate::domain::{Error, Result, Stream};

/// The standard input and output of a command. The command ends when its input does, which is when this is dropped.
pub struct Pipe {
    client: Client,
    connection: TokioIo<Upgraded>,
    frames: Frames,
    printed: Vec<u8>,
    complaints: Vec<u8>,
}

impl Container {
    /// Starts a command to talk to. The time of the request does not count.
    ///
    /// # Errors
    /// An environment error when it cannot be started.
    pub async fn pipe(&self, request: &ExecRequest) -> Result<Pipe> {
        let config = ExecConfig {
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(request.argv.clone()),
            ..self.config(request)
        };
        let id = self.prepare(config).await?;
        let connection = self.start(&id, false).await?;
        let (printed, complaints) = (Vec::new(), Vec::new());
        Ok(Pipe { client: self.client.clone(), connection, frames: Frames::default(), printed, complaints })
    }
}

impl Pipe {
    /// The next `count` bytes that the command prints.
    ///
    /// # Errors
    /// An environment error when it ends before; with what it has said on its standard error, if it has.
    pub async fn read(&mut self, count: usize) -> Result<Vec<u8>> {
        let mut buffer = vec![0; 64 << 10];
        while self.printed.len() < count {
            let read = self.connection.read(&mut buffer).await;
            let read = read.map_err(|error| broken(self.client.endpoint(), &error))?;
            let ended = |because: String| {
                Err(Error::environment(format!("{}: a command in a container ended", self.client.endpoint()))
                    .because(because))
            };
            if read == 0 {
                return ended(String::from_utf8_lossy(&self.complaints).trim().to_owned());
            }
            let (printed, complaints) = (&mut self.printed, &mut self.complaints);
            let fed = self.frames.feed(&buffer[..read], &mut |stream, piece| match stream {
                Stream::Stdout => printed.extend_from_slice(piece),
                Stream::Stderr => complaints.extend_from_slice(piece),
            });
            if fed.is_err() {
                return ended("what it prints is not of Docker's API".into());
            }
        }
        Ok(self.printed.drain(..count).collect())
    }

    /// Gives the command bytes to read.
    ///
    /// # Errors
    /// An environment error when it does not read any more.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let written = async {
            self.connection.write_all(bytes).await?;
            self.connection.flush().await
        };
        written.await.map_err(|error| broken(self.client.endpoint(), &error))
    }
}

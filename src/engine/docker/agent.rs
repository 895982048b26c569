//! The caller's SSH agent in a container: what is asked there goes over the engine's connection. So it works wherever the
//! engine is and whoever commands are there, and no other container of the engine sees it.

use std::path::{Path, PathBuf};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::task::AbortHandle;

use crate::docker::{Container, ExecRequest, Pipe};
use crate::domain::{Error, Result};
use crate::plan::SSH_AGENT;

/// Listens in the container. Every builder has Perl, which Debian's own package tools need.
const LISTEN: &str = include_str!("ssh_agent.pl");

/// The longest message that agents take.
const LONGEST: usize = 256 << 10;

/// What an agent says that cannot do what it was asked.
const FAILURE: [u8; 5] = [0, 0, 0, 1, 5];

/// Passes requests on, as long as it lives.
pub(super) struct AgentRelay(AbortHandle);

impl Drop for AgentRelay {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl AgentRelay {
    /// Has an agent's socket in a container.
    pub(super) async fn open(container: &Container, agent: &Path) -> Result<AgentRelay> {
        let request = ExecRequest {
            argv: ["perl", "-e", LISTEN, SSH_AGENT].map(str::to_owned).to_vec(),
            cwd: "/".into(),
            ..ExecRequest::default()
        };
        let failed = |error| Error::environment("the SSH agent cannot be had in a builder").because(error);
        let mut pipe = container.pipe(&request).await.map_err(failed)?;
        message(&mut pipe).await.map_err(failed)?;
        let agent = agent.to_owned();
        let task = tokio::spawn(async move {
            // It ends with the container.
            let _ = pass_on(pipe, agent).await;
        });
        Ok(AgentRelay(task.abort_handle()))
    }
}

async fn pass_on(mut pipe: Pipe, agent: PathBuf) -> Result<()> {
    let mut connection = None;
    loop {
        let request = message(&mut pipe).await?;
        let answer = match ask(&mut connection, &agent, &request).await {
            Ok(answer) => answer,
            Err(_) => {
                connection = None;
                FAILURE.to_vec()
            }
        };
        pipe.write(&answer).await?;
    }
}

/// A message with its length.
async fn message(pipe: &mut Pipe) -> Result<Vec<u8>> {
    let mut message = pipe.read(4).await?;
    let length = length(&message);
    if length > LONGEST {
        return Err(Error::environment("a message that no SSH agent takes"));
    }
    message.extend(pipe.read(length).await?);
    Ok(message)
}

async fn ask(connection: &mut Option<UnixStream>, agent: &Path, request: &[u8]) -> std::io::Result<Vec<u8>> {
    if connection.is_none() {
        *connection = Some(UnixStream::connect(agent).await?);
    }
    let Some(stream) = connection else { return Err(std::io::ErrorKind::NotConnected.into()) };
    stream.write_all(request).await?;
    let mut answer = vec![0; 4];
    stream.read_exact(&mut answer).await?;
    let length = length(&answer);
    if length > LONGEST {
        return Err(std::io::ErrorKind::InvalidData.into());
    }
    answer.resize(4 + length, 0);
    stream.read_exact(&mut answer[4..]).await?;
    Ok(answer)
}

fn length(head: &[u8]) -> usize {
    head.first_chunk().map_or(0, |head| u32::from_be_bytes(*head) as usize)
}

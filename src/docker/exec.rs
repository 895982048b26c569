//! Commands in a container.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bollard::errors::Error as Bollard;
use bollard::exec::StartExecOptions;
use bollard::models::ExecConfig;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::io::AsyncReadExt as _;

use super::Client;
use super::container::{Container, checked};
use super::error::broken;
use super::facts::{ApiVersion, Product};
use super::frames::Frames;
use super::image::is_absent;
use crate::domain::{Error, Result, Stream};

/// Says its own process number, which is also that of its session, before it becomes the command; `$1` leads both streams to
/// one place, or not. The shell's own variables are no business of the command's.
const BEGIN: &str = r#"echo "$$"; [ "$1" = apart ] || exec 2>&1; shift; unset PWD OLDPWD SHLVL; exec "$@""#;

/// Kills a session: `$1` is its number. New processes may appear meanwhile, so it looks until there are none.
const KILL: &str = r#"session=$1 rounds=0 found=yes
while [ "$found" ] && [ "$rounds" -lt 50 ]; do
  found= rounds=$((rounds + 1))
  for status in /proc/[0-9]*/stat; do
    { read -r line <"$status"; } 2>/dev/null || continue
    process=${status#/proc/} process=${process%/stat}
    set -- ${line##*) }
    [ "$4" = "$session" ] && [ "$1" != Z ] && kill -KILL "$process" 2>/dev/null && found=yes
  done
done"#;

/// Says how many processes were killed for memory, in version 2 or 1 of cgroups.
const KILLED_FOR_MEMORY: &str = r#"for file in /sys/fs/cgroup/memory.events /sys/fs/cgroup/memory/memory.oom_control; do
  [ -r "$file" ] || continue
  while read -r name count; do [ "$name" = oom_kill ] && echo "$count"; done <"$file"
  break
done"#;

/// So long a command may take to be gone after it was killed.
const DYING: Duration = Duration::from_secs(10);

/// How often it is asked whether a command has ended that prints nothing.
const QUIET: Duration = Duration::from_secs(5);

/// So long an engine may take to answer with figures, which are not worth waiting for.
const FIGURES: Duration = Duration::from_secs(5);

/// A command to run.
#[derive(Debug, Clone, Default)]
pub struct ExecRequest {
    /// The program and its arguments; the program is looked for in the container's `PATH`.
    pub argv: Vec<String>,
    /// Environment, beside the container's.
    pub env: BTreeMap<String, String>,
    /// The working directory, which is there.
    pub cwd: String,
    /// As in `1000:1000`; the image's otherwise.
    pub user: Option<String>,
    /// So long it may take; then it is killed.
    pub time: Option<Duration>,
    /// Whether all that it prints is told as standard output, in the order in which it was printed: engines lose the order
    /// of two streams.
    pub together: bool,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecEnd {
    /// Its exit code; 128 and the number of the signal for one that was killed.
    pub code: i64,
    /// Whether one of its processes was killed for memory.
    pub out_of_memory: bool,
    /// Whether it was killed because its time was over.
    pub timed_out: bool,
    /// From its start to its end.
    pub wall: Duration,
    /// What the whole container used meanwhile; nothing where the engine does not tell.
    pub cpu: Duration,
}

/// The parts of `GET /containers/{id}/stats` that matter.
#[derive(Deserialize)]
struct Stats {
    cpu_stats: CpuStats,
}

#[derive(Deserialize)]
struct CpuStats {
    cpu_usage: CpuUsage,
}

#[derive(Deserialize)]
struct CpuUsage {
    /// Nanoseconds.
    #[serde(default)]
    total_usage: u64,
}

/// Takes the first line off the standard output: the number of the command's session.
#[derive(Debug, Default)]
struct Begin {
    line: Vec<u8>,
    session: Option<u32>,
    over: bool,
}

impl Begin {
    /// What of a piece is the command's own.
    fn strip<'a>(&mut self, piece: &'a [u8]) -> &'a [u8] {
        if self.over {
            return piece;
        }
        let end = piece.iter().position(|byte| *byte == b'\n');
        self.line.extend_from_slice(&piece[..end.unwrap_or(piece.len())]);
        let Some(end) = end else { return &[] };
        self.over = true;
        self.session = std::str::from_utf8(&self.line).ok().and_then(|text| text.trim().parse().ok());
        match self.session {
            Some(_) => &piece[end + 1..],
            // The engine's own words, on why there was no command.
            None => piece,
        }
    }
}

/// Kills a command unless it has ended.
struct Leash<'a> {
    container: &'a Container,
    session: Option<u32>,
}

impl Drop for Leash<'_> {
    fn drop(&mut self) {
        if let (Some(session), Ok(runtime)) = (self.session, tokio::runtime::Handle::try_current()) {
            let (client, id) = (self.container.client.clone(), self.container.id.clone());
            runtime.spawn(async move { kill(&client, &id, session).await });
        }
    }
}

impl Container {
    /// Runs a command, and tells what it prints as it comes. Its standard input is empty. Dropping the future kills it.
    ///
    /// # Errors
    /// An environment error when it cannot be run, or the container or the engine goes away. That the command fails is
    /// not an error here.
    pub async fn exec(&self, request: &ExecRequest, told: &mut (dyn FnMut(Stream, &[u8]) + Send)) -> Result<ExecEnd> {
        let streams = if request.together { "together" } else { "apart" };
        let argv = ["/bin/sh", "-c", BEGIN, "xbuild", streams].map(str::to_owned);
        let config = ExecConfig {
            attach_stdin: Some(false),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(argv.into_iter().chain(request.argv.iter().cloned()).collect()),
            ..self.config(request)
        };
        let (cpu, id) = tokio::join!(self.cpu(), self.prepare(config));
        let id = id?;
        let started = Instant::now();
        let deadline = request.time.map(|time| tokio::time::Instant::now() + time);
        let mut output = self.start(&id, false).await?;
        let mut leash = Leash { container: self, session: None };
        let mut frames = Frames::default();
        let mut begin = Begin::default();
        let mut buffer = vec![0; 64 << 10];
        let mut timed_out = false;
        let mut end = deadline;
        loop {
            let quiet = tokio::time::sleep(QUIET);
            let over = async {
                match end {
                    Some(end) => tokio::time::sleep_until(end).await,
                    None => std::future::pending().await,
                }
            };
            let count = tokio::select! {
                biased;
                () = over => {
                    if timed_out {
                        // It would not die.
                        self.client.remove_container(&self.id).await?;
                        break;
                    }
                    timed_out = true;
                    end = Some(tokio::time::Instant::now() + DYING);
                    match begin.session {
                        Some(session) => kill(&self.client, &self.id, session).await,
                        None => self.client.remove_container(&self.id).await?,
                    }
                    continue;
                }
                count = output.read(&mut buffer) => count.map_err(|error| broken(self.client.endpoint(), &error))?,
                () = quiet => {
                    // What it left behind may hold its output open for ever.
                    match self.exit_code(&id).await? {
                        Some(_) => break,
                        None => continue,
                    }
                }
            };
            if count == 0 {
                break;
            }
            let fed = frames.feed(&buffer[..count], &mut |stream, piece| {
                let piece = if stream == Stream::Stdout { begin.strip(piece) } else { piece };
                if !piece.is_empty() {
                    told(stream, piece);
                }
            });
            fed.map_err(|_| {
                Error::environment(format!("{}: cannot read what a command prints", self.client.endpoint()))
                    .because("it is not of Docker's API")
            })?;
            leash.session = begin.session;
        }
        let wall = started.elapsed();
        let code = match self.ended(&id).await {
            Ok(code) => code,
            // The container had to go with it.
            Err(_) if timed_out => 137,
            Err(error) => return Err(error),
        };
        leash.session = None;
        if begin.session.is_none() && !timed_out {
            let said = String::from_utf8_lossy(&begin.line).trim().to_owned();
            let said = if said.is_empty() { format!("exit code {code}") } else { said };
            return Err(Error::environment(format!("{}: cannot run a command in a container", self.client.endpoint()))
                .because(said));
        }
        let (out_of_memory, after) = tokio::join!(self.ran_out_of_memory(code, timed_out), self.cpu());
        let cpu = cpu.zip(after).map(|(before, after)| after.saturating_sub(before)).unwrap_or_default();
        Ok(ExecEnd { code, out_of_memory, timed_out, wall, cpu })
    }

    /// What every command of a request has.
    pub(super) fn config(&self, request: &ExecRequest) -> ExecConfig {
        ExecConfig {
            env: Some(request.env.iter().map(|(name, value)| format!("{name}={value}")).collect()),
            working_dir: Some(request.cwd.clone()).filter(|cwd| !cwd.is_empty()),
            user: request.user.clone(),
            ..ExecConfig::default()
        }
    }

    /// Tells the engine of a command; gives the engine's name for it.
    pub(super) async fn prepare(&self, config: ExecConfig) -> Result<String> {
        match self.client.at_once().create_exec(&self.id, config).await {
            Ok(created) => checked(created.id),
            Err(error) => Err(self.lost(error)),
        }
    }

    /// Starts a command that the engine was told of; the connection is its input and output.
    pub(super) async fn start(&self, id: &str, terminal: bool) -> Result<TokioIo<Upgraded>> {
        let start = format!(r#"{{"Detach":false,"Tty":{terminal}}}"#);
        self.client.transport().upgrade(&format!("/exec/{id}/start"), "run a command", start).await
    }

    /// The exit code of a command whose output has ended.
    pub(super) async fn ended(&self, id: &str) -> Result<i64> {
        let started = Instant::now();
        loop {
            if let Some(code) = self.exit_code(id).await? {
                return Ok(code);
            }
            if started.elapsed() > DYING {
                return Err(Error::environment(format!(
                    "{}: a command's output ended {} seconds ago, and it did not",
                    self.client.endpoint(),
                    DYING.as_secs()
                )));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The exit code of a command; `None` while it runs.
    async fn exit_code(&self, id: &str) -> Result<Option<i64>> {
        let state = self.client.at_once().inspect_exec(id).await.map_err(|error| self.lost(error))?;
        Ok(if state.running == Some(true) { None } else { state.exit_code })
    }

    /// An error on a command, which is the container's where that is gone.
    fn lost(&self, error: Bollard) -> Error {
        let ended = match &error {
            Bollard::DockerResponseServerError { status_code: 409, message } => message.contains("not running"),
            error => is_absent(error),
        };
        match ended {
            true => self.gone(&self.client.failed("run a command")(error)),
            false => self.client.failed("run a command")(error),
        }
    }

    fn gone(&self, error: &Error) -> Error {
        let told = Error::environment(format!(
            "{}: the container {} ended while a command ran in it",
            self.client.endpoint(),
            &self.id[..self.id.len().min(12)]
        ))
        .because(error.to_string());
        let told = error.hints().into_iter().fold(told, |told, hint| told.hint(hint));
        told.hint("somebody removed it, or its engine was restarted: run xbuild again")
    }

    /// The processors' time that the container has used; `None` where the engine does not tell.
    async fn cpu(&self) -> Option<Duration> {
        // Docker 20.10 waits for its next second before it answers: that is more than most commands take.
        let facts = self.client.facts();
        if facts.product == Product::Docker && ApiVersion::parse(&facts.api)? <= ApiVersion::OLDEST {
            return None;
        }
        let path = format!("/containers/{}/stats?stream=false&one-shot=true", self.id);
        let stats: Stats = self.client.transport().get(&path, "measure a container", FIGURES).await.ok()?;
        Some(Duration::from_nanos(stats.cpu_stats.cpu_usage.total_usage))
    }

    /// Whether a command failed because one of its processes was killed for memory.
    async fn ran_out_of_memory(&self, code: i64, timed_out: bool) -> bool {
        if code == 0 || timed_out {
            return false;
        }
        let text = match self.ask(KILLED_FOR_MEMORY).await {
            Ok(text) => text,
            Err(_) => return false,
        };
        let count = text.trim().parse().unwrap_or_default();
        self.killed_for_memory.swap(count, Ordering::Relaxed) < count
    }

    /// What a small script prints.
    async fn ask(&self, script: &str) -> Result<String> {
        let config = ExecConfig {
            attach_stdout: Some(true),
            cmd: Some(["/bin/sh", "-c", script].map(str::to_owned).to_vec()),
            ..ExecConfig::default()
        };
        let id = self.prepare(config).await?;
        let output = self.start(&id, false).await?;
        let mut bytes = Vec::new();
        let _ = tokio::time::timeout(FIGURES, output.take(64 << 10).read_to_end(&mut bytes)).await;
        let mut text = Vec::new();
        let _ = Frames::default().feed(&bytes, &mut |_, piece| text.extend_from_slice(piece));
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

/// Kills all processes of a session. That it cannot is told by what happens next.
async fn kill(client: &Client, container: &str, session: u32) {
    let config = ExecConfig {
        cmd: Some(["/bin/sh", "-c", KILL, "xbuild", &session.to_string()].map(str::to_owned).to_vec()),
        user: Some("0".into()),
        ..ExecConfig::default()
    };
    if let Ok(created) = client.at_once().create_exec(container, config).await {
        let start = StartExecOptions { detach: true, ..StartExecOptions::default() };
        let _ = client.at_once().start_exec(&created.id, Some(start)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripped(pieces: &[&str]) -> (Option<u32>, String) {
        let mut begin = Begin::default();
        let text = pieces.iter().map(|piece| String::from_utf8_lossy(begin.strip(piece.as_bytes()))).collect();
        (begin.session, text)
    }

    #[test]
    fn the_first_line_is_the_session_whatever_the_pieces() {
        assert_eq!(stripped(&["17\nhello\n"]), (Some(17), "hello\n".into()));
        assert_eq!(stripped(&["1", "7", "\n", "18\n"]), (Some(17), "18\n".into()));
        assert_eq!(stripped(&["17\n"]), (Some(17), String::new()));
    }

    #[test]
    fn an_engine_that_cannot_run_it_says_so_instead() {
        let (session, text) = stripped(&["OCI runtime exec failed: no such file\r\n"]);
        assert_eq!((session, text.trim()), (None, "OCI runtime exec failed: no such file"));
    }
}

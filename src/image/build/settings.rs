//! Instructions that change the configuration alone.

use std::collections::BTreeMap;

use crate::image::{
    Command, Empty, Health, Healthcheck, Instruction, Pair, ParseError, Run, Runtime, Scope, Script, Word,
};

/// What Docker's shell forms run in when nothing says otherwise.
const SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// Where here-documents that are programs stand while they run.
pub(super) const PROGRAMS: &str = "/dev/pipes";

/// A configuration under construction, and what the instructions so far mean for the next ones.
pub(super) struct Settings {
    pub(super) runtime: Runtime,
    pub(super) scope: Scope,
    pub(super) author: Option<String>,
    /// CMD was set here, not in the base image: ENTRYPOINT leaves it.
    own_cmd: bool,
}

impl Settings {
    pub(super) fn new(runtime: Runtime, scope: Scope) -> Settings {
        Settings { runtime, scope, author: None, own_cmd: false }
    }

    /// Begins a stage that stands on no other: a PATH if there is none, labels over those of the base.
    pub(super) fn start(&mut self, path: &str, labels: &BTreeMap<String, String>) {
        if !self.runtime.environment().any(|(name, _)| name == "PATH") {
            self.runtime.set_env("PATH", path);
        }
        if !labels.is_empty() {
            self.runtime.labels.get_or_insert_default().extend(labels.clone());
        }
        let environment = self.runtime.environment().map(|(name, value)| (name.to_owned(), value.to_owned()));
        self.scope.enter_stage(environment.collect::<Vec<_>>());
    }

    fn shell(&self, line: &str) -> Vec<String> {
        let shell = self.runtime.shell.clone().unwrap_or_else(|| SHELL.map(str::to_owned).to_vec());
        shell.into_iter().chain([line.to_owned()]).collect()
    }

    fn argv(&self, command: &Command) -> Vec<String> {
        match command {
            Command::Exec(argv) => argv.clone(),
            Command::Shell(line) => self.shell(line),
        }
    }

    /// What a RUN executes.
    pub(super) fn command(&self, run: &Run) -> Vec<String> {
        match run.script() {
            Script::Exec(argv) => argv,
            Script::Shell(text) => self.shell(&text),
            Script::Program { name, .. } => self.shell(&format!("{PROGRAMS}/{name}")),
        }
    }

    pub(super) fn expand_pairs(&self, pairs: &[Pair]) -> Result<Vec<(String, String)>, ParseError> {
        let expand = |pair: &Pair| {
            let value = pair.value.as_ref().map_or(Ok(String::new()), |value| self.scope.expand(value))?;
            Ok((self.scope.expand(&pair.name)?, value))
        };
        pairs.iter().map(expand).collect()
    }

    /// A word that must be worth something.
    pub(super) fn expand(&self, word: &Word) -> Result<String, ParseError> {
        let value = self.scope.expand(word)?;
        if value.is_empty() {
            Err(word.span.error(format!("'{}' is worth nothing here", word.text)))
        } else {
            Ok(value)
        }
    }

    /// Does an instruction; COPY and ADD change nothing here.
    pub(super) fn apply(&mut self, instruction: &Instruction) -> Result<(), ParseError> {
        match instruction {
            Instruction::Arg(pairs) => {
                for pair in pairs {
                    self.scope.declare(pair)?;
                }
            }
            Instruction::Cmd(command) => {
                self.runtime.cmd = Some(self.argv(command));
                self.own_cmd = true;
            }
            Instruction::Copy(_) | Instruction::Run(_) => {}
            Instruction::OnBuild(trigger) => {
                self.runtime.on_build.get_or_insert_default().push(trigger.text.clone());
            }
            Instruction::Entrypoint(command) => {
                self.runtime.entrypoint = Some(self.argv(command));
                if !self.own_cmd {
                    self.runtime.cmd = None;
                }
            }
            Instruction::Env(pairs) => {
                for (name, value) in self.expand_pairs(pairs)? {
                    self.runtime.set_env(&name, &value);
                    self.scope.set(name, value);
                }
            }
            Instruction::Expose(words) => {
                for word in words {
                    let text = self.expand(word)?;
                    for port in text.split_whitespace() {
                        let ports = ports(port).ok_or_else(|| {
                            word.span.error(format!("'{port}' is not a port")).hint("as in 80, 53/udp, 8000-8010")
                        })?;
                        let exposed = self.runtime.exposed_ports.get_or_insert_default();
                        exposed.extend(ports.into_iter().map(|port| (port, Empty {})));
                    }
                }
            }
            Instruction::Healthcheck(check) => self.runtime.healthcheck = Some(self.health(check)),
            Instruction::Label(pairs) => {
                let labels: BTreeMap<_, _> = self.expand_pairs(pairs)?.into_iter().collect();
                self.runtime.labels.get_or_insert_default().extend(labels);
            }
            Instruction::Maintainer(author) => self.author = Some(author.clone()),
            Instruction::Shell(shell) => self.runtime.shell = Some(shell.clone()),
            Instruction::StopSignal(word) => {
                let signal = self.expand(word)?;
                if !is_signal(&signal) {
                    let error = word.span.error(format!("'{signal}' is not a signal"));
                    return Err(error.hint("as in SIGTERM, or a number"));
                }
                self.runtime.stop_signal = Some(signal);
            }
            Instruction::User(word) => self.runtime.user = self.expand(word)?,
            Instruction::Volume(words) => {
                for word in words {
                    let path = self.expand(word)?;
                    self.runtime.volumes.get_or_insert_default().insert(path, Empty {});
                }
            }
            Instruction::WorkDir(word) => {
                let typed = self.expand(word)?;
                // An absolute one stays as written, as Docker has it.
                self.runtime.working_dir = if typed.starts_with('/') {
                    typed
                } else {
                    let joined = std::path::Path::new("/").join(&self.runtime.working_dir).join(typed);
                    format!("/{}", super::copy::plain(&joined).display())
                };
            }
        }
        Ok(())
    }

    fn health(&self, check: &Healthcheck) -> Health {
        match check {
            Healthcheck::None => Health { test: vec!["NONE".to_owned()], ..Health::default() },
            Healthcheck::Command { command, interval, timeout, start_period, start_interval, retries } => {
                let test = match command {
                    Command::Exec(argv) => ["CMD".to_owned()].into_iter().chain(argv.iter().cloned()).collect(),
                    Command::Shell(line) => vec!["CMD-SHELL".to_owned(), line.clone()],
                };
                Health {
                    test,
                    interval: *interval,
                    timeout: *timeout,
                    start_period: *start_period,
                    start_interval: *start_interval,
                    retries: *retries,
                }
            }
        }
    }
}

/// `80` is `80/tcp`; a range is all its ports.
fn ports(text: &str) -> Option<Vec<String>> {
    let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return None;
    }
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let (first, last): (u16, u16) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then(|| (first..=last).map(|port| format!("{port}/{protocol}")).collect())
}

/// Names of signals without `SIG`; the real-time ones count from either end.
const SIGNALS: &str = "ABRT ALRM BUS CHLD CLD CONT FPE HUP ILL INT IO IOT KILL PIPE POLL PROF PWR QUIT SEGV STKFLT STOP SYS \
                       TERM TRAP TSTP TTIN TTOU UNUSED URG USR1 USR2 VTALRM WINCH XCPU XFSZ";

fn is_signal(text: &str) -> bool {
    if let Ok(number) = text.parse::<u32>() {
        return number > 0;
    }
    let name = text.to_ascii_uppercase();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    let distance = name.strip_prefix("RTMIN").or(name.strip_prefix("RTMAX"));
    let real_time = distance.is_some_and(|rest| {
        rest.is_empty() || rest.strip_prefix(['+', '-']).and_then(|by| by.parse::<u8>().ok()).is_some_and(|by| by <= 15)
    });
    real_time || SIGNALS.split_whitespace().any(|signal| signal == name)
}

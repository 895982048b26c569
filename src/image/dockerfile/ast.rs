//! What a Dockerfile says.

use super::Span;

/// A Dockerfile: arguments before the first FROM, then stages. For now there is exactly one stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dockerfile {
    /// The escape character: a backslash unless `# escape=` says otherwise.
    pub escape: char,
    /// ARG before the first FROM.
    pub arguments: Vec<Pair>,
    /// Stages, in the order of the file; never empty.
    pub stages: Vec<Stage>,
}

/// One FROM and what follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// What it starts from.
    pub from: From,
    /// The other instructions.
    pub steps: Vec<Step>,
}

/// A FROM line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct From {
    /// Where it stands.
    pub span: Span,
    /// The base image, `scratch` for none.
    pub image: Word,
    /// `--platform`.
    pub platform: Option<Word>,
    /// `AS name`.
    pub name: Option<String>,
}

/// An instruction with its place and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Where it stands.
    pub span: Span,
    /// The logical line, as written: continuations joined, variables not expanded.
    pub text: String,
    /// What it says.
    pub instruction: Instruction,
}

/// A word as written: quotes, escapes and `$variables` are still in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// Where it stands.
    pub span: Span,
    /// The raw text.
    pub text: String,
}

/// `name=value`, or a bare `name` where that is legal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The name.
    pub name: Word,
    /// The value; `None` for a bare name.
    pub value: Option<Word>,
}

/// A command line. Docker expands no variables in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `["program", "argument"]`.
    Exec(Vec<String>),
    /// A line for the shell of the SHELL instruction.
    Shell(String),
}

/// COPY or ADD: the latter unpacks archives and fetches URLs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyKind {
    /// COPY.
    Copy,
    /// ADD.
    Add,
}

impl CopyKind {
    /// The instruction's keyword.
    pub fn keyword(self) -> &'static str {
        match self {
            CopyKind::Copy => "COPY",
            CopyKind::Add => "ADD",
        }
    }
}

/// A COPY or ADD of files of the build context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// Which of the two.
    pub kind: CopyKind,
    /// What to copy; at least one.
    pub sources: Vec<Word>,
    /// Where to.
    pub destination: Word,
    /// `--chown`.
    pub chown: Option<Word>,
    /// `--chmod`.
    pub chmod: Option<Word>,
}

/// A HEALTHCHECK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Healthcheck {
    /// `HEALTHCHECK NONE`.
    None,
    /// `HEALTHCHECK CMD`; durations in nanoseconds, 0 where not given.
    Command {
        /// What to run.
        command: Command,
        /// `--interval`.
        interval: u64,
        /// `--timeout`.
        timeout: u64,
        /// `--start-period`.
        start_period: u64,
        /// `--start-interval`.
        start_interval: u64,
        /// `--retries`.
        retries: u64,
    },
}

/// Everything but FROM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instruction {
    /// ARG.
    Arg(Vec<Pair>),
    /// CMD.
    Cmd(Command),
    /// COPY and ADD.
    Copy(Copy),
    /// ENTRYPOINT.
    Entrypoint(Command),
    /// ENV; every value is there.
    Env(Vec<Pair>),
    /// EXPOSE, as in `80`, `53/udp`, `8000-8010`.
    Expose(Vec<Word>),
    /// HEALTHCHECK.
    Healthcheck(Healthcheck),
    /// LABEL; every value is there.
    Label(Vec<Pair>),
    /// MAINTAINER.
    Maintainer(String),
    /// SHELL.
    Shell(Vec<String>),
    /// STOPSIGNAL.
    StopSignal(Word),
    /// USER.
    User(Word),
    /// VOLUME.
    Volume(Vec<Word>),
    /// WORKDIR.
    WorkDir(Word),
}

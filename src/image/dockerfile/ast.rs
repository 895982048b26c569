//! What a Dockerfile says.

use super::heredoc::Mark;
use super::{MountFlag, Span};

/// A Dockerfile: arguments before the first FROM, then stages.
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

/// A COPY or ADD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// Which of the two.
    pub kind: CopyKind,
    /// `--from`: a stage or an image instead of the build context. No variables are expanded in it.
    pub from: Option<Word>,
    /// What to copy; at least one.
    pub sources: Vec<CopySource>,
    /// Where to.
    pub destination: Word,
    /// `--chown`.
    pub chown: Option<Word>,
    /// `--chmod`: octal or symbolic, see [`super::FileMode`].
    pub chmod: Option<Word>,
    /// `--link`: the layer does not depend on those below it.
    pub link: bool,
    /// `--parents`: the folders above a source are made as well.
    pub parents: bool,
    /// `--exclude`: patterns of what is left out. No variables are expanded in them.
    pub excludes: Vec<Word>,
    /// `--checksum` of what ADD downloads.
    pub checksum: Option<Word>,
    /// `--keep-git-dir` of what ADD takes from git.
    pub keep_git_dir: bool,
    /// `--unpack`: whether ADD unpacks archives; `None` means local ones only.
    pub unpack: Option<bool>,
}

/// One source of a COPY or ADD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopySource {
    /// A path, a pattern, or a URL.
    Path(Word),
    /// A file whose text stands in the Dockerfile; its name is that of the here-document.
    Heredoc(Heredoc),
}

/// A here-document: `<<NAME`, then lines up to one that is just `NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heredoc {
    /// Where its `<<` stands.
    pub span: Span,
    /// Its name, without quotes.
    pub name: String,
    /// Whether COPY and ADD expand variables in it: not if the name was quoted. In RUN the shell decides.
    pub expand: bool,
    /// Its lines, each with its line feed; for `<<-` without the tabs they begin with.
    pub text: String,
    /// Its lines, as written.
    pub raw: String,
    /// The number of its first line.
    pub first_line: usize,
}

/// RUN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// What to run; here-documents are still named in it, see [`Run::script`].
    pub command: Command,
    /// The here-documents that the command names, in order.
    pub heredocs: Vec<Heredoc>,
    /// `--mount`, in order.
    pub mounts: Vec<MountFlag>,
    /// `--network`: `default`, `none` or `host`; nothing else gets through the parser.
    pub network: Option<Word>,
    /// `--security`: `sandbox` or `insecure`; nothing else gets through the parser.
    pub security: Option<Word>,
}

/// What a RUN really executes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Script {
    /// A program and its arguments, without a shell.
    Exec(Vec<String>),
    /// A text for the shell of the SHELL instruction.
    Shell(String),
    /// A here-document that begins with `#!`: the text of a program to run.
    Program {
        /// The file's name.
        name: String,
        /// The file's text.
        text: String,
    },
}

impl Run {
    /// The command with its here-documents put in.
    pub fn script(&self) -> Script {
        match &self.command {
            Command::Exec(arguments) => Script::Exec(arguments.clone()),
            Command::Shell(line) => match self.heredocs.as_slice() {
                [] => Script::Shell(line.clone()),
                // Nothing but a here-document: it is the script itself.
                [only, ..] if Mark::parse(line).is_some() => {
                    if only.text.starts_with("#!") {
                        Script::Program { name: only.name.clone(), text: only.text.clone() }
                    } else {
                        Script::Shell(only.text.clone())
                    }
                }
                several => {
                    let mut text = line.clone();
                    for heredoc in several {
                        text.push('\n');
                        text.push_str(&heredoc.raw);
                        text.push_str(&heredoc.name);
                    }
                    Script::Shell(text)
                }
            },
        }
    }
}

/// ONBUILD: an instruction for the images that are based on this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnBuild {
    /// The instruction, as written, with its here-documents.
    pub text: String,
    /// What it says; never FROM, MAINTAINER or ONBUILD.
    pub instruction: Box<Instruction>,
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
    /// ONBUILD.
    OnBuild(OnBuild),
    /// RUN.
    Run(Run),
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

//! shellcheck, where it is installed.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::{Finding, Level};
use crate::domain::{Error, Result, ResultExt};
use crate::image::{Dockerfile, Instruction, Script, Span, Stage, Word};

/// Sourced files are not there, and other dialects of a shell are no mistakes of a line.
const EXCLUDED: &str = "--exclude=SC1090,SC1091,SC2187";

/// A shellcheck that was found.
#[derive(Debug, Clone)]
pub struct Shellcheck(PathBuf);

#[derive(Deserialize)]
struct Report {
    comments: Vec<Comment>,
}

#[derive(Deserialize)]
struct Comment {
    line: usize,
    column: usize,
    level: Grade,
    code: u32,
    message: String,
}

/// Its own words for levels.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Grade {
    Error,
    Warning,
    Info,
    Style,
}

impl Shellcheck {
    /// The one on the path.
    pub fn find() -> Option<Shellcheck> {
        which::which("shellcheck").ok().map(Shellcheck)
    }

    /// Checks a text; `shell` where it has no first line that tells.
    fn check(&self, text: &str, shell: Option<&str>) -> Result<Vec<Comment>> {
        let failed = || format!("cannot run {}", self.0.display());
        let mut command = Command::new(&self.0);
        command.args(["--format=json1", EXCLUDED]).args(shell.map(|shell| format!("--shell={shell}"))).arg("-");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().or_environment(failed)?;
        let input = child.stdin.take();
        let output = std::thread::scope(|scope| {
            // It may stop reading before the end: then its report says why.
            scope.spawn(move || input.map(|mut input| input.write_all(text.as_bytes())));
            child.wait_with_output().or_environment(failed)
        })?;
        let report: Report = serde_json::from_slice(&output.stdout).map_err(|_| {
            let said = String::from_utf8_lossy(&output.stderr);
            Error::environment(format!("{} says: {}", self.0.display(), said.trim()))
        })?;
        Ok(report.comments)
    }

    /// Checks a script.
    pub(super) fn check_script(&self, text: &str) -> Result<Vec<Finding>> {
        let comments = self.check(text, None)?;
        Ok(comments.into_iter().map(|c| finding(Span { line: c.line, column: c.column }, c)).collect())
    }

    /// Checks the shell lines of a Dockerfile; findings are at the instruction.
    pub(super) fn check_file(&self, file: &Dockerfile) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        let global: Vec<&str> = file.arguments.iter().map(|pair| pair.name.text.as_str()).collect();
        for stage in &file.stages {
            findings.extend(self.check_stage(stage, &global)?);
        }
        Ok(findings)
    }

    fn check_stage(&self, stage: &Stage, global: &[&str]) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        let mut shell = Some("sh".to_owned());
        // Variables that the image or its arguments set are set.
        let mut known: Vec<String> = ["PATH", "HOME", "HOSTNAME", "TERM"].map(str::to_owned).to_vec();
        known.extend(global.iter().map(|name| (*name).to_owned()));
        for step in &stage.steps {
            match &step.instruction {
                Instruction::Env(pairs) | Instruction::Arg(pairs) => {
                    known.extend(pairs.iter().map(|pair| name(&pair.name)));
                }
                Instruction::Shell(words) => shell = shell_of(words),
                Instruction::Run(run) => {
                    let (text, shell) = match (run.script(), &shell) {
                        (Script::Shell(text), Some(shell)) => (text, shell.clone()),
                        (Script::Program { text, .. }, _) => {
                            let first = text.lines().next().unwrap_or_default();
                            let words: Vec<String> = first[2..].split_whitespace().map(str::to_owned).collect();
                            let Some(shell) = shell_of(&words) else { continue };
                            (text, shell)
                        }
                        _ => continue,
                    };
                    let exports: String = known.iter().map(|name| format!("export {name}=1\n")).collect();
                    let comments = self.check(&format!("{exports}{text}\n"), Some(&shell))?;
                    findings.extend(comments.into_iter().map(|comment| finding(step.span, comment)));
                }
                _ => {}
            }
        }
        Ok(findings)
    }
}

/// A name that a shell takes, or one that does no harm.
fn name(word: &Word) -> String {
    let legal = word.text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if legal { word.text.clone() } else { "_".to_owned() }
}

/// The dialect, if shellcheck has it.
fn shell_of(words: &[String]) -> Option<String> {
    let shell = words.iter().map(|word| word.rsplit('/').next().unwrap_or_default()).find(|word| *word != "env")?;
    match shell {
        "ash" => Some("dash".to_owned()),
        "sh" | "bash" | "dash" | "ksh" => Some(shell.to_owned()),
        _ => None,
    }
}

fn finding(span: Span, comment: Comment) -> Finding {
    let level = match comment.level {
        Grade::Error => Level::Error,
        Grade::Warning => Level::Warning,
        Grade::Info => Level::Info,
        Grade::Style => Level::Style,
    };
    Finding::new(span, level, &format!("SC{}", comment.code), comment.message)
}

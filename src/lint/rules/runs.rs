//! RUN lines, whatever they run.

use crate::image::{Command, Instruction, Script as RunScript, Stage};
use crate::lint::shell::{Script, has, operands};
use crate::lint::{Finding, Level};

/// Programs that do nothing useful while an image is built.
const POINTLESS: [&str; 11] =
    ["ssh", "vim", "shutdown", "service", "ps", "free", "top", "kill", "mount", "ifconfig", "nano"];

/// The shell text of a RUN.
pub(super) fn script(instruction: &Instruction) -> Option<Script> {
    let Instruction::Run(run) = instruction else { return None };
    match run.script() {
        RunScript::Shell(text) => Some(Script::parse(&text)),
        RunScript::Exec(words) if !words.is_empty() => Some(Script { commands: vec![words], ..Script::default() }),
        RunScript::Program { .. } | RunScript::Exec(_) => None,
    }
}

/// Whether a shell stops at the first command of a pipe that fails.
fn stops_in_pipes(shell: &[String]) -> bool {
    has(shell, &["pipefail"])
        || shell.first().is_some_and(|shell| shell.contains("pwsh") || shell.contains("powershell"))
}

pub(super) fn check(stage: &Stage) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut pipefail = false;
    let (mut wget, mut curl) = (false, false);
    let mut before: Option<&Instruction> = None;
    for step in &stage.steps {
        if let Instruction::Shell(words) = &step.instruction {
            pipefail = stops_in_pipes(words);
        }
        let both_run = matches!((before, &step.instruction), (Some(Instruction::Run(a)), Instruction::Run(b))
            if a.mounts == b.mounts && a.network == b.network && a.heredocs.is_empty() && b.heredocs.is_empty());
        before = Some(&step.instruction);
        let mut add = |level, code, message: String| findings.push(Finding::new(step.span, level, code, message));
        if both_run {
            add(Level::Info, "DL3059", "join it with the RUN before it: each is a layer".into());
        }
        let Some(script) = script(&step.instruction) else { continue };
        if script.sudo {
            add(Level::Error, "DL3004", "sudo does nothing here but harm: use USER".into());
        }
        if script.of("cd").next().is_some() && script.commands.len() == 1 {
            add(Level::Warning, "DL3003", "the next RUN starts where this one did: use WORKDIR".into());
        } else if script.commands.first().is_some_and(|command| command[0] == "cd") {
            add(Level::Warning, "DL3003", "use WORKDIR instead of cd".into());
        }
        for program in POINTLESS {
            if script.of(program).next().is_some() {
                add(Level::Info, "DL3001", format!("{program} makes no sense while an image is built"));
            }
        }
        if script.of("apt").next().is_some() {
            add(Level::Warning, "DL3027", "apt is for people: use apt-get or apt-cache".into());
        }
        let own_pipefail = script.of("set").any(|arguments| has(arguments, &["pipefail"]));
        let shell = matches!(&step.instruction, Instruction::Run(run) if matches!(run.command, Command::Shell(_)));
        if shell && script.pipes && !pipefail && !own_pipefail {
            add(
                Level::Warning,
                "DL4006",
                "a pipe hides failures: put SHELL [\"/bin/bash\", \"-o\", \"pipefail\", \"-c\"] before it".into(),
            );
        }
        if script.of("ln").any(|arguments| operands(arguments, &[]).last().is_some_and(|last| *last == "/bin/sh")) {
            add(Level::Warning, "DL4005", "use SHELL to change the shell".into());
        }
        let high = |arguments: &[String]| {
            let number = arguments.iter().skip_while(|argument| !matches!(argument.as_str(), "-u" | "--uid")).nth(1);
            number.is_some_and(|number| number.len() > 5) && !has(arguments, &["-l", "--no-log-init"])
        };
        if script.of("useradd").any(high) {
            add(Level::Warning, "DL3046", "useradd of a high number without -l makes a huge log".into());
        }
        let quiet =
            ["-q", "--quiet", "--progress", "-nv", "--no-verbose", "-o", "--output-file", "-a", "--append-output"];
        if script.of("wget").any(|arguments| !has(arguments, &quiet)) {
            add(Level::Info, "DL3047", "wget without --progress=dot:giga fills the log".into());
        }
        let (was_wget, was_curl) = (wget, curl);
        wget |= script.of("wget").next().is_some();
        curl |= script.of("curl").next().is_some();
        if wget && curl && !(was_wget && was_curl) {
            add(Level::Warning, "DL4001", "wget or curl: one of them is enough".into());
        }
    }
    findings
}

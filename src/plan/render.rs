//! Shows a plan to people and programs.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use super::instructions::{self, Instructions, StageView};
use super::step::{Command, Plan, ProgramSource, Step, StepId, Work};
use crate::config::{BaseSource, Expansion, Variant};
use crate::domain::{Digest, Result, ResultExt};

/// How a plan is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// For graphviz.
    Dot,
}

/// What is known of a step before anything runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum State {
    /// It was done with the same inputs.
    Cached {
        /// Hash of all inputs.
        key: Digest,
    },
    /// It has to be done.
    Build {
        /// Hash of all inputs; unknown while a step that it needs is not done.
        key: Option<Digest>,
        /// Why.
        reason: String,
    },
}

/// The text of a plan.
///
/// # Errors
/// A bug, if the plan cannot be written as JSON.
pub fn render(
    plan: &Plan,
    states: &BTreeMap<StepId, State>,
    instructions: &Instructions,
    format: Format,
) -> Result<String> {
    match format {
        Format::Text => Ok(text(plan, states, instructions)),
        Format::Json => json(plan, states, instructions),
        Format::Dot => Ok(dot(plan, states, instructions)),
    }
}

#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    step: &'a Step,
    #[serde(flatten)]
    state: Option<&'a State>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stages: Option<&'a [StageView]>,
}

fn json(plan: &Plan, states: &BTreeMap<StepId, State>, instructions: &Instructions) -> Result<String> {
    let shown = plan.steps.iter().map(|step| Shown {
        step,
        state: states.get(&step.id),
        stages: instructions.get(&step.id).map(Vec::as_slice),
    });
    let steps: Vec<Shown<'_>> = shown.collect();
    let mut text = serde_json::to_string_pretty(&serde_json::json!({ "version": 1, "steps": steps }))
        .or_bug(|| "cannot write the plan".into())?;
    text.push('\n');
    Ok(text)
}

fn dot(plan: &Plan, states: &BTreeMap<StepId, State>, instructions: &Instructions) -> String {
    let mut text = String::from("digraph plan {\n  rankdir=LR;\n  node [shape=box];\n");
    for step in &plan.steps {
        let style = if matches!(states.get(&step.id), Some(State::Cached { .. })) { "dashed" } else { "solid" };
        let _ = writeln!(text, "  \"{}\" [style={style}];", step.id);
        for need in &step.needs {
            let _ = writeln!(text, "  \"{need}\" -> \"{}\";", step.id);
        }
        if let Some(stages) = instructions.get(&step.id) {
            text += &instructions::dot(&step.id, stages);
        }
    }
    text.push_str("}\n");
    text
}

fn text(plan: &Plan, states: &BTreeMap<StepId, State>, instructions: &Instructions) -> String {
    let mut text = String::new();
    for step in &plan.steps {
        let state = match states.get(&step.id) {
            Some(State::Cached { key }) => format!("cached      {}", key.short()),
            Some(State::Build { key: Some(key), reason }) => format!("will build  {}  {reason}", key.short()),
            Some(State::Build { key: None, reason }) => format!("will build  {:12}  {reason}", "-"),
            None => String::new(),
        };
        let _ = writeln!(text, "{}\n  {}", step.id, state.trim_end());
        for (name, value) in details(step) {
            let _ = writeln!(text, "  {name:<11} {}", value.trim_end().replace('\n', "\n              "));
        }
        if let Some(stages) = instructions.get(&step.id) {
            text += &instructions::text(stages);
        }
    }
    let cached = states.values().filter(|state| matches!(state, State::Cached { .. })).count();
    let _ = writeln!(text, "{} steps: {cached} cached, {} to build", plan.steps.len(), plan.steps.len() - cached);
    text
}

fn details(step: &Step) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    match &step.work {
        Work::Packages(layer) => {
            lines.push(("packages", format!("{} from {}", layer.names.join(" "), layer.suite)));
        }
        Work::Archive(layer) => {
            lines.push(("source", layer.source.sha256.to_string()));
            lines.push(("into", layer.into.clone()));
        }
        Work::Library(library) => {
            lines.push(("source", library.source.sha256.to_string()));
            lines.push(("root", list(&library.root)));
            command(&mut lines, "command", &library.command);
        }
        Work::Builder(builder) => {
            lines.push(("base", builder.base.clone()));
            lines.push(("stage", builder.stage.clone()));
            let count = builder.dockerfile.lines().count();
            lines.push(("dockerfile", format!("{count} lines, which --format json shows")));
        }
        Work::Preparation(preparation) => {
            lines.push(("source", "the project's tree".into()));
            lines.push(("root", list(&preparation.root)));
            command(&mut lines, "command", &preparation.command);
        }
        Work::Program(program) => {
            lines.push((
                "source",
                match &program.source {
                    ProgramSource::Tree => "the project's tree".into(),
                    ProgramSource::Archive(archive) => archive.sha256.to_string(),
                },
            ));
            lines.push(("root", list(&[program.root.as_slice(), &program.libraries].concat())));
            lines.extend(program.preparation.iter().map(|step| ("with", step.to_string())));
            lines.extend(program.docker.map(|access| ("docker", access.to_string())));
            lines.extend(program.ssh.then(|| ("ssh", "the caller's agent".into())));
            command(&mut lines, "command", &program.command);
            let outputs: Vec<&str> = program.outputs.iter().map(|output| output.name.as_str()).collect();
            lines.push(("outputs", outputs.join(" ")));
        }
        Work::Base(base) => {
            let source = match &base.source {
                BaseSource::Layout { folder, name } => {
                    format!("{} of {}", name.as_ref().unwrap_or(&base.image), folder.display())
                }
                BaseSource::Registry { image, .. } => image.clone(),
                BaseSource::Bootstrap(root) => {
                    let variant = match root.variant {
                        Variant::Minbase => "minbase",
                        Variant::Essential => "essential",
                    };
                    let packages: String = root.packages.iter().map(|name| format!(" {name}")).collect();
                    let updates = if root.updates { " with its updates" } else { "" };
                    format!("packages of {}{updates}: {variant}{packages}", root.suite)
                }
            };
            lines.push(("source", source));
            if let Some(emulator) = &base.emulator {
                lines.push(("emulated by", format!("{} of {}", emulator.path, emulator.step)));
            }
        }
        Work::Image(image) => {
            let arch = step.arch.map(|arch| image.names_for(arch)).unwrap_or_default();
            let names: Vec<String> = arch.iter().chain(image.index_names()).map(ToString::to_string).collect();
            lines.push(("names", names.join(" ")));
            match &image.expansion {
                Expansion::None => lines.push(("dockerfile", image.dockerfile.display().to_string())),
                _ => lines.push(("template", image.dockerfile.display().to_string())),
            }
            for base in &image.bases {
                lines.push(("base", base.to_string()));
            }
            if let Expansion::Literal(substitution) = &image.expansion {
                lines.extend(substitution.values().map(|(name, value)| ("put in", format!("{name} = {value}"))));
            }
            if image.dockerfile.parent() != Some(&image.context) {
                lines.push(("context", image.context.display().to_string()));
            }
            if let Some(target) = &image.target {
                lines.push(("stage", target.clone()));
            }
            if let Some(emulator) = &image.emulator {
                lines.push(("emulated by", format!("{} of {}", emulator.path, emulator.step)));
            }
            lines.extend(image.args.iter().map(|(name, value)| ("argument", format!("{name} = {value}"))));
            for (inside, program) in &image.programs {
                lines.push(("file", format!("{inside} = {} of {}", program.output, program.step)));
            }
            for (inside, emulator) in &image.emulators {
                lines.push(("file", format!("{inside} = {} of {}", emulator.path, emulator.step)));
            }
            for (inside, path) in &image.files {
                lines.push(("file", format!("{inside} = {}", path.display())));
            }
        }
    }
    lines
}

fn command(lines: &mut Vec<(&'static str, String)>, name: &'static str, command: &Command) {
    lines.push((name, shown_argv(command)));
    lines.push(("in", command.cwd.clone()));
    lines.push(("network", if command.network { "the machine's" } else { "none" }.into()));
    let pairs: Vec<String> = command.env.iter().map(|(name, value)| format!("{name}={}", quoted(value))).collect();
    lines.push(("environment", pairs.join("\n")));
}

fn list(ids: &[StepId]) -> String {
    if ids.is_empty() {
        return "the machine itself".into();
    }
    ids.iter().map(StepId::as_str).collect::<Vec<_>>().join(" < ")
}

/// As one would type it.
fn shown_argv(command: &Command) -> String {
    command.argv.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_=./:,+@%".contains(&b);
    if !word.is_empty() && word.bytes().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

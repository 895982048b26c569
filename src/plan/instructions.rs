//! What is known of the instructions of images before anything runs.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use super::step::StepId;
use crate::domain::{Arch, Digest};

/// The stages of images, by their steps.
pub type Instructions = BTreeMap<StepId, Vec<StageView>>;

/// One stage of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StageView {
    /// What people call it.
    pub stage: String,
    /// What it starts from.
    pub from: String,
    /// Whose programs it has.
    pub arch: Arch,
    /// In their order.
    pub instructions: Vec<InstructionView>,
}

/// One instruction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InstructionView {
    /// Where it stands in its Dockerfile.
    pub line: usize,
    /// As written, on one line.
    pub text: String,
    /// What becomes of it.
    #[serde(flatten)]
    pub state: InstructionState,
}

/// What becomes of an instruction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum InstructionState {
    /// It has no command, and is carried out each time.
    Always,
    /// Its command was run with the same inputs.
    Cached {
        /// Hash of all inputs.
        key: Digest,
    },
    /// Its command will run.
    Run {
        /// Hash of all inputs.
        key: Digest,
        /// Why.
        reason: String,
    },
    /// Nothing is known before something else is done.
    Unknown {
        /// What, as in `line 3 has run`.
        until: String,
    },
}

/// Lines of a plan's text.
pub(super) fn text(stages: &[StageView]) -> String {
    let mut text = String::new();
    for StageView { stage, from, arch, instructions } in stages {
        let _ = writeln!(text, "  stage       {stage} from {from} for {arch}");
        for InstructionView { line, text: written, state } in instructions {
            let (word, remark) = match state {
                InstructionState::Always => ("each time", String::new()),
                InstructionState::Cached { key } => ("cached", format!("  {}", key.short())),
                InstructionState::Run { reason, .. } => ("will run", format!("  # {reason}")),
                InstructionState::Unknown { until } => ("unknown", format!("  # until {until}")),
            };
            let _ = writeln!(text, "    {line:>5}  {word:<9}  {written}{remark}");
        }
    }
    text
}

/// Nodes and edges of a plan's graph: the instructions of each stage in a row, which ends at the image.
pub(super) fn dot(image: &StepId, stages: &[StageView]) -> String {
    let mut text = String::new();
    for StageView { stage, instructions, .. } in stages {
        let mut last: Option<String> = None;
        for (number, InstructionView { line, text: written, state }) in instructions.iter().enumerate() {
            let node = quoted(&format!("{image}:{stage}:{number}"));
            let style = match state {
                InstructionState::Cached { .. } => "dashed",
                InstructionState::Unknown { .. } => "dotted",
                InstructionState::Always | InstructionState::Run { .. } => "solid",
            };
            let _ = writeln!(text, "  {node} [label={} style={style}];", quoted(&format!("{line} {written}")));
            if let Some(last) = last.replace(node.clone()) {
                let _ = writeln!(text, "  {last} -> {node};");
            }
        }
        if let Some(last) = last {
            let _ = writeln!(text, "  {last} -> {};", quoted(image.as_str()));
        }
    }
    text
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stages() -> Vec<StageView> {
        let view = |line, text: &str, state| InstructionView { line, text: text.to_owned(), state };
        let key = Digest::of("key");
        vec![StageView {
            stage: "0".into(),
            from: "debian".into(),
            arch: Arch::S390x,
            instructions: vec![
                view(2, "COPY \"a\" /", InstructionState::Always),
                view(3, "RUN one", InstructionState::Cached { key }),
                view(4, "RUN two", InstructionState::Run { key, reason: "new".into() }),
                view(5, "RUN three", InstructionState::Unknown { until: "line 4 has run".into() }),
            ],
        }]
    }

    #[test]
    fn people_see_states_and_why() {
        let key = Digest::of("key").short().to_string();
        let expected = format!(
            "  stage       0 from debian for s390x\n        2  each time  COPY \"a\" /\n        3  cached     RUN one  \
             {key}\n        4  will run   RUN two  # new\n        5  unknown    RUN three  # until line 4 has run\n"
        );
        assert_eq!(text(&stages()), expected);
    }

    #[test]
    fn a_graph_is_a_row_for_each_stage() {
        let text = dot(&StepId::new(&["image", "a", "s390x"]), &stages());
        assert_eq!(text.matches(" -> ").count(), 4, "{text}");
        assert!(text.contains("label=\"2 COPY \\\"a\\\" /\""), "{text}");
        assert!(text.ends_with("\"image/a/s390x:0:3\" -> \"image/a/s390x\";\n"), "{text}");
    }
}

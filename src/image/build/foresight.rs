//! What a build would do, as far as that shows before anything runs.

use std::sync::Arc;

use super::stage::{FinishedStage, StageBuild};
use crate::domain::{Arch, Digest, Error, Result};
use crate::image::dockerfile::{Instruction, Step};

/// What would become of an image.
#[derive(Debug, Clone)]
pub struct Foresight {
    /// The stages that it needs, in the order of the file.
    pub stages: Vec<ForeseenStage>,
    /// What others would start from.
    pub finished: Result<Arc<FinishedStage>, Unknown>,
}

/// What would become of a stage.
#[derive(Debug, Clone)]
pub struct ForeseenStage {
    /// What people call it.
    pub name: String,
    /// What it starts from.
    pub base: String,
    /// Whose programs it has.
    pub arch: Arch,
    /// Its instructions, after those that its base adds.
    pub steps: Vec<ForeseenStep>,
}

/// What would become of an instruction.
#[derive(Debug, Clone)]
pub struct ForeseenStep {
    /// Where it stands.
    pub line: usize,
    /// As written, on one line.
    pub text: String,
    /// What would become of it.
    pub state: StepState,
}

/// Whether a command would run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepState {
    /// There is no command: it is carried out in every build.
    Always,
    /// It did the same before, under this key.
    Cached(Digest),
    /// It would: nothing is known under this key.
    Runs(Digest),
    /// It depends on something that is not there yet.
    Unknown(Unknown),
}

/// What has to be done before more is known, as in `base/debian/s390x is there`. An error that it is the cause of says
/// that nothing is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not known until {0}")]
pub struct Unknown(pub String);

impl From<Unknown> for Error {
    fn from(unknown: Unknown) -> Error {
        Error::environment("it does not show yet what happens").because(unknown)
    }
}

impl ForeseenStep {
    /// An instruction after something that is not known.
    pub(super) fn after(step: &Step, unknown: &Unknown) -> ForeseenStep {
        let state = match &step.instruction {
            Instruction::Run(_) => StepState::Unknown(unknown.clone()),
            _ => StepState::Always,
        };
        ForeseenStep::new(step, state)
    }

    fn new(step: &Step, state: StepState) -> ForeseenStep {
        let text = step.text.split_whitespace().collect::<Vec<_>>().join(" ");
        ForeseenStep { line: step.span.line, text, state }
    }
}

impl StageBuild<'_> {
    /// Goes through the instructions of ONBUILD and the stage's own; after the first whose result is not known, what
    /// commands would do is not known either.
    pub(super) fn foresee(
        mut self,
        triggers: &[Step],
        steps: &[Step],
    ) -> Result<(Vec<ForeseenStep>, Result<FinishedStage, Unknown>)> {
        self.settings.runtime.on_build = None;
        let mut foreseen = Vec::new();
        let mut unknown: Option<Unknown> = None;
        for step in triggers.iter().chain(steps) {
            if let Some(unknown) = &unknown {
                self.settings.apply(&step.instruction)?;
                foreseen.push(ForeseenStep::after(step, unknown));
                continue;
            }
            match self.foresee_step(step) {
                Ok(state) => {
                    if let StepState::Runs(_) = state {
                        unknown = Some(Unknown(format!("line {} has run", step.span.line)));
                    }
                    foreseen.push(ForeseenStep::new(step, state));
                }
                Err(error) => {
                    let reason = error.cause::<Unknown>().cloned().ok_or(error)?;
                    foreseen.push(ForeseenStep::after(step, &reason));
                    unknown = Some(reason);
                }
            }
        }
        Ok((foreseen, unknown.map_or_else(|| Ok(self.finish()), Err)))
    }

    fn foresee_step(&mut self, step: &Step) -> Result<StepState> {
        let Instruction::Run(run) = &step.instruction else {
            return self.step(step).map(|()| StepState::Always);
        };
        let (key, record) = self.look_up(run)?;
        Ok(match record {
            Some(record) => {
                self.add(record);
                StepState::Cached(key)
            }
            None => StepState::Runs(key),
        })
    }
}

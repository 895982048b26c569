//! Runs the command tests of an image, each in a root of its own that is thrown away.

use std::time::{Duration, Instant};

use super::commands::Commands;
use crate::domain::{Error, Event, Outcome, Result};
use crate::engine::native::sandbox::{Exit, Limits};
use crate::image::{Container, FinishedStage, Folders, RunRequest};
use crate::store::Scratch;
use crate::structure::{CommandPlan, End, Ran, Verdict};

/// Bytes that a command may print.
const OUTPUT: u64 = 16 << 20;

/// A container of the image to be tested, and what runs its commands.
pub(super) struct CommandTests<'a> {
    pub(super) commands: &'a Commands<'a>,
    pub(super) folders: &'a Folders<'a>,
    pub(super) stage: &'a FinishedStage,
    /// The image's step.
    pub(super) step: &'a str,
    /// How long each command may run.
    pub(super) time: Duration,
}

impl CommandTests<'_> {
    /// Carries one test out, once there is room for it.
    ///
    /// # Errors
    /// When a command cannot be run; a test that fails is no error.
    pub(super) fn check(&self, test: &CommandPlan<'_>) -> Result<Verdict> {
        let workshop = self.commands.workshop;
        let _slot = self.commands.slot()?;
        let step = format!("{}/{}", self.step, test.name());
        workshop.events.emit(Event::Planned { steps: 1 });
        workshop.events.emit(Event::Started { step: step.clone(), reason: "a test".into() });
        let started = Instant::now();
        let verdict = self.run(test, &step);
        let outcome = match &verdict {
            Ok(verdict) if verdict.failures.is_empty() => Outcome::Built,
            Ok(_) => Outcome::Failed(format!("{} tells what was expected, and what came", self.step)),
            Err(error) => Outcome::Failed(error.with_hints()),
        };
        workshop.events.emit(Event::Finished { step, outcome, took: started.elapsed() });
        verdict
    }

    fn run(&self, test: &CommandPlan<'_>, step: &str) -> Result<Verdict> {
        let container = self.stage.container(self.folders, test.user)?;
        let scratch = self.commands.workshop.store.scratch()?;
        scratch.folder("root")?;
        let mut number = 0;
        test.check(&mut |argv| {
            number += 1;
            self.commands.workshop.stop.check()?;
            let overlay = scratch.folder(&format!("overlay{number}"))?;
            let request =
                RunRequest { scratch: overlay, argv: argv.to_vec(), ..request(&container, test, step, &scratch) };
            let limits = Limits { time: Some(self.time), output: Some(OUTPUT) };
            let (exit, [stdout, stderr]) = self.commands.capture(&request, limits)?;
            if exit.code == Some(126) && self.commands.lacks_emulator(container.arch) {
                return Err(Error::environment(format!("there is no emulator for {}", container.arch))
                    .hint("does the toolchain have that architecture?"));
            }
            Ok(Ran { end: end(&exit), stdout, stderr })
        })
    }
}

/// What all commands of a test have in common.
fn request(container: &Container, test: &CommandPlan<'_>, step: &str, scratch: &Scratch) -> RunRequest {
    let mut env = test.env.clone();
    env.entry("HOME".into()).or_insert_with(|| container.home.clone());
    RunRequest {
        step: step.to_owned(),
        text: test.name().to_owned(),
        stage: String::new(),
        arch: container.arch,
        layers: container.layers.clone(),
        upper: scratch.path().join("root"),
        scratch: scratch.path().to_owned(),
        argv: Vec::new(),
        env,
        cwd: container.cwd.clone(),
        owner: container.owner,
        groups: container.groups.clone(),
        mounts: Vec::new(),
        network: false,
    }
}

fn end(exit: &Exit) -> End {
    match (exit.exceeded, exit.code, exit.signal) {
        (None, Some(code), _) => End::Code(code),
        (None, None, Some(signal)) => End::Code(128 + signal),
        _ => End::Killed(exit.to_string()),
    }
}

//! Runs the commands of images in sandboxes.

use std::path::Path;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;

use super::engine_images::or_by_engine;
use crate::domain::{Arch, Error, Event, Outcome, Result, Stream};
use crate::engine::Workshop;
use crate::engine::native::sandbox::{self, Command, Emulator, Exit, Limits, Network, Root, Spec, Stdio, User};
use crate::image::RunRequest;

/// So many letters of a command are shown.
const LONGEST: usize = 100;

/// What commands of one image run with.
pub(super) struct Commands<'a> {
    pub(super) workshop: &'a Workshop,
    pub(super) runtime: &'a Handle,
    /// Runs programs of the image's architecture, where the machine cannot.
    pub(super) emulator: Option<&'a Path>,
    /// Whether commands may use the network at all.
    pub(super) network: bool,
    /// How long each of them may run.
    pub(super) time: Option<Duration>,
}

impl Commands<'_> {
    /// Runs a command once there is room for it.
    ///
    /// # Errors
    /// When it fails, or cannot be run.
    pub(super) fn run(&self, request: &RunRequest) -> Result<()> {
        let _slot = self.slot()?;
        let events = &self.workshop.events;
        events.emit(Event::Planned { steps: 1 });
        events.emit(Event::Started { step: request.step.clone(), reason: short(&request.text) });
        let started = Instant::now();
        let result = self.sandbox(request);
        let took = started.elapsed();
        if let (Ok(()), Some(_)) = (&result, self.emulates(request.arch)) {
            let text = format!("{} ran emulated, {:.1} s: {}", request.step, took.as_secs_f64(), short(&request.text));
            events.emit(Event::Warning { text });
        }
        let outcome = Outcome::of(&result);
        events.emit(Event::Finished { step: request.step.clone(), outcome, took });
        result
    }

    /// Waits until there is room for a command; there is until the value is dropped.
    ///
    /// # Errors
    /// When the run was stopped.
    pub(super) fn slot(&self) -> Result<OwnedSemaphorePermit> {
        self.runtime.block_on(self.workshop.slot())
    }

    /// Tells of a command that had been run before.
    pub(super) fn remembered(&self, step: String) {
        self.workshop.events.emit(Event::Planned { steps: 1 });
        self.workshop.events.emit(Event::Finished { step, outcome: Outcome::Cached, took: Duration::ZERO });
    }

    fn emulates(&self, arch: Arch) -> Option<&Path> {
        self.emulator.filter(|_| arch != self.workshop.host)
    }

    /// Whether nothing here can run programs of an architecture, unless the kernel itself can.
    pub(super) fn lacks_emulator(&self, arch: Arch) -> bool {
        arch != self.workshop.host && self.emulator.is_none()
    }

    /// Runs a command without telling of it, and hands over what it says, of which there is no more than the limits
    /// allow.
    ///
    /// # Errors
    /// When it cannot be run; how it ended is no error.
    pub(super) fn capture(&self, request: &RunRequest, limits: Limits) -> Result<(Exit, [Vec<u8>; 2])> {
        let mut captured = [Vec::new(), Vec::new()];
        let mut output = |stream, bytes: &[u8]| match stream {
            Stream::Stdout => captured[0].extend_from_slice(bytes),
            Stream::Stderr => captured[1].extend_from_slice(bytes),
        };
        let exit = sandbox::run_one(&self.spec(request, limits, Stdio::Apart), &self.workshop.stop, &mut output)?;
        Ok((exit, captured))
    }

    fn spec(&self, request: &RunRequest, limits: Limits, stdio: Stdio) -> Spec {
        let mut emulators = Vec::new();
        if let Some(program) = self.emulates(request.arch) {
            emulators.push(Emulator { arch: request.arch, program: program.to_owned() });
        }
        let (uid, gid) = request.owner;
        Spec {
            identity: self.workshop.identity.clone(),
            root: Some(Root {
                layers: request.layers.clone(),
                upper: request.upper.clone(),
                scratch: request.scratch.clone(),
            }),
            mounts: request.mounts.clone(),
            network: if self.network && request.network { Network::Host } else { Network::None },
            emulators,
            processors: Some(self.workshop.jobs),
            commands: vec![Command {
                argv: request.argv.clone(),
                env: request.env.clone(),
                cwd: request.cwd.clone().into(),
                user: Some(User { uid, gid, groups: request.groups.clone() }),
                limits,
            }],
            parallel: 1,
            stdio,
        }
    }

    fn sandbox(&self, request: &RunRequest) -> Result<()> {
        let limits = Limits { time: self.time, ..Limits::default() };
        let spec = self.spec(request, limits, Stdio::Together);
        let mut output = |stream, bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes).into_owned();
            self.workshop.events.emit(Event::Output { step: request.step.clone(), stream, text });
        };
        let exit = sandbox::run_one(&spec, &self.workshop.stop, &mut output).map_err(or_by_engine)?;
        if exit.success() {
            return Ok(());
        }
        let RunRequest { text, stage, arch, .. } = request;
        let error = Error::build(format!("{}: {exit} (stage {stage}, {arch})", short(text)));
        // What the kernel says of a program that nothing here can run.
        Err(if exit.code == Some(126) && self.lacks_emulator(*arch) {
            error.hint(format!("there is no emulator for {arch}: does the toolchain have that architecture?"))
        } else {
            error
        })
    }
}

/// The beginning of a text, on one line.
fn short(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

//! Runs tests, and commands with xbuild's own streams.

use std::path::PathBuf;

use super::Workshop;
use super::native::Root;
use super::native::sandbox::{Command, Emulator, Exit, Waiting};
use super::session::{self, Interaction, OutputFolder, Session, Source, run_one};
use crate::domain::{Arch, Digest, Error, Event, Result};
use crate::engine::layer_path;
use crate::plan;
use crate::store::Bucket;

/// A test of one program on one architecture.
#[derive(Debug, Clone)]
pub struct ProgramTest {
    /// The program's.
    pub arch: Arch,
    /// The builder.
    pub root: Root,
    /// Key of the step that made the program.
    pub outputs: Digest,
    /// Key of the layer with the emulator, and the emulator's path in it.
    pub emulator: Option<(Digest, String)>,
    /// What runs.
    pub command: plan::Command,
}

/// A command with xbuild's own streams and terminal.
pub struct Interactive {
    /// The process that becomes its sandbox, where there is one.
    pub waiting: Option<Waiting>,
    /// What is built for.
    pub arch: Arch,
    /// The builder's layers.
    pub root: Root,
    /// What runs.
    pub command: plan::Command,
    /// Folders of git outside the project.
    pub git_folders: Vec<PathBuf>,
}

/// Runs a test; the error of one that fails is a build error. Blocks.
///
/// # Errors
/// When the test fails, or cannot be run.
pub fn run_test(workshop: &Workshop, test: &ProgramTest, step: &str) -> Result<()> {
    let scratch = workshop.store.scratch()?;
    let programs = workshop.store.place(Bucket::Outputs, &test.outputs);
    let emulator = test
        .emulator
        .as_ref()
        .map(|(layer, path)| Emulator { arch: test.arch, program: layer_path(&workshop.store, layer).join(path) });
    let source = Source::Tree { git_folders: &workshop.git_folders, prepared: None, changes: None };
    let commands = vec![command(workshop, &test.command)];
    let session = Session {
        target: Some(test.arch),
        emulator,
        ..Session::new(&test.root, source, OutputFolder::Programs(&programs), commands, &scratch)
    };
    let mut output = |stream, bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        workshop.events.emit(Event::Output { step: step.to_owned(), stream, text });
    };
    let (exit, _ending) = run_one(workshop, &session, &mut output)?;
    if exit.success() { Ok(()) } else { Err(Error::build(format!("{step} failed: {exit}"))) }
}

/// Runs a command in the project's tree, with xbuild's own streams. Blocks.
///
/// # Errors
/// When the command cannot be run; how it ended is no error.
pub fn run_interactive(workshop: &Workshop, request: Interactive) -> Result<Exit> {
    let scratch = workshop.store.scratch_of_session()?;
    let out = scratch.folder("out")?;
    let source = Source::Tree { git_folders: &request.git_folders, prepared: None, changes: None };
    let commands = vec![command(workshop, &request.command)];
    let session = Session {
        target: Some(request.arch),
        cached: true,
        network: request.command.network,
        ..Session::new(&request.root, source, OutputFolder::Empty(&out), commands, &scratch)
    };
    let Interaction { exit, ending } = workshop.engine.interact(workshop, &session, request.waiting)?;
    // On one processor, while the kernel takes the sandbox apart on the other one.
    drop(scratch);
    drop(ending);
    Ok(exit)
}

fn command(workshop: &Workshop, command: &plan::Command) -> Command {
    let mut command = session::command(workshop, command);
    // Programs that ask for it show colours and sizes.
    if let Ok(terminal) = std::env::var("TERM") {
        command.env.entry("TERM".into()).or_insert(terminal);
    }
    command
}

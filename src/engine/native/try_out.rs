//! Runs tests, and commands with xbuild's own streams.

use std::path::PathBuf;

use super::build::{cache_mount, source_mounts};
use super::root::{Root, RootRequest, open_root};
use super::sandbox::{self, Command, Emulator, Exit, Limits, Mount, Network, Stdio, Waiting};
use crate::domain::{Arch, Digest, Error, Event, Result};
use crate::engine::{Workshop, layer_path};
use crate::plan::{self, OUTPUT};
use crate::store::Bucket;

/// A test of one program on one architecture.
#[derive(Debug, Clone)]
pub struct ProgramTest {
    /// The program's.
    pub arch: Arch,
    /// Keys of the builder's layers, lowest first.
    pub layers: Vec<Digest>,
    /// Key of the step that made the program.
    pub outputs: Digest,
    /// Key of the layer with the emulator, and the emulator's path in it.
    pub emulator: Option<(Digest, String)>,
    /// What runs.
    pub command: plan::Command,
}

/// A command with xbuild's own streams and terminal.
pub struct Interactive {
    /// The process that becomes its sandbox, started with xbuild's own streams.
    pub waiting: Waiting,
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
    let request = RootRequest { layers: &test.layers, upper: None, scratch: &scratch, network: Network::None };
    let mut spec = open_root(workshop, request)?;
    let upper = scratch.folder("source")?;
    spec.mounts.extend(source_mounts(workshop, &scratch, None, &upper, &workshop.git_folders)?);
    let source = workshop.store.place(Bucket::Outputs, &test.outputs);
    spec.mounts.push(Mount::Bind { source, target: OUTPUT.into(), read_only: true });
    if let Some((layer, path)) = &test.emulator {
        let program = layer_path(&workshop.store, layer).join(path);
        spec.emulators.push(Emulator { arch: test.arch, program });
    }
    spec.commands.push(command(workshop, &test.command));
    let mut output = |stream, bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        workshop.events.emit(Event::Output { step: step.to_owned(), stream, text });
    };
    let exit = sandbox::run_one(&spec, &workshop.stop, &mut output)?;
    if exit.success() { Ok(()) } else { Err(Error::build(format!("{step} failed: {exit}"))) }
}

/// Runs a command in the project's tree, with xbuild's own streams. Blocks.
///
/// # Errors
/// When the command cannot be run; how it ended is no error.
pub fn run_interactive(workshop: &Workshop, request: Interactive) -> Result<Exit> {
    let scratch = workshop.store.scratch()?;
    let network = if request.command.network { Network::Host } else { Network::None };
    let root = RootRequest { layers: &request.root.layers(), upper: None, scratch: &scratch, network };
    let mut spec = open_root(workshop, root)?;
    let upper = scratch.folder("source")?;
    spec.mounts.extend(source_mounts(workshop, &scratch, None, &upper, &request.git_folders)?);
    let source = scratch.folder("out")?;
    spec.mounts.push(Mount::Bind { source, target: OUTPUT.into(), read_only: false });
    spec.mounts.push(cache_mount(workshop, &request.root)?);
    spec.commands.push(command(workshop, &request.command));
    spec.stdio = Stdio::Inherited;
    let (exit, ending) = request.waiting.run_one(&spec, &workshop.stop, &mut |_, _| {})?;
    // On one processor, while the kernel takes the mounts apart on the other one.
    drop(scratch);
    drop(ending);
    Ok(exit)
}

fn command(workshop: &Workshop, command: &plan::Command) -> Command {
    let mut env = command.env.clone();
    env.insert("XBUILD_JOBS".into(), workshop.jobs.to_string());
    // Programs that ask for it show colours and sizes.
    if let Ok(terminal) = std::env::var("TERM") {
        env.entry("TERM".into()).or_insert(terminal);
    }
    Command { argv: command.argv.clone(), env, cwd: command.cwd.clone().into(), user: None, limits: Limits::default() }
}

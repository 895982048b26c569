//! `xbuild run` and `xbuild shell`

use std::process::ExitCode;

use super::arguments::{BuilderOptions, RunOptions};
use super::asked;
use super::build::build;
use super::setup::{Setup, epoch, exit};
use crate::domain::{Digest, EngineChoice, Error, Result};
use crate::engine::native::Root;
use crate::engine::native::sandbox::{Identity, Isolation, Network, Stdio, Waiting};
use crate::engine::{Interactive, run_interactive};
use crate::plan::{BuilderCommand, Goal, StepId, builder_command, plan};
use crate::source::{GitFacts, ProjectGit};

/// Shows where one is, and reads no file of the user's.
const SHELL: [&str; 4] = ["/bin/sh", "-c", "PS1=\"[$XBUILD_ARCH] \\w \\$ \" exec bash --norc", "sh"];

pub(super) async fn run(setup: &Setup<'_>, options: &RunOptions) -> Result<ExitCode> {
    inside(setup, &options.builder, options.command.clone()).await
}

pub(super) async fn shell(setup: &Setup<'_>, options: &BuilderOptions) -> Result<ExitCode> {
    inside(setup, options, SHELL.map(str::to_owned).to_vec()).await
}

/// Prepares the architecture's builder, and runs a command with xbuild's own streams in it.
async fn inside(setup: &Setup<'_>, options: &BuilderOptions, argv: Vec<String>) -> Result<ExitCode> {
    // It starts on one processor while the other one finds out what it will run.
    let network = if options.network { Network::Host } else { Network::None };
    let isolation = Isolation { identity: Identity::detect(), rooted: true, network, stdio: Stdio::Inherited };
    let may_be_native = matches!(asked::engine(setup.global)?, None | Some(EngineChoice::Native));
    let waiting = may_be_native.then(|| Waiting::start(isolation));
    let project = setup.project_or_toolchain(None, &[options.arch])?;
    // Builders do not depend on it: git thinks while they are looked up.
    let folder = project.folder.clone();
    let git = tokio::task::spawn_blocking(move || GitFacts::read(&ProjectGit::new(&folder), false));
    let mut loaded = setup.load_builder(project, false)?;
    let goal = Goal::Builder(options.arch);
    let plan = plan(&loaded.project, &loaded.facts, &goal)?;
    let built = build(&loaded, &plan, &goal).await?;
    let failures = built.failures();
    if !failures.is_empty() {
        setup.printer.summary();
        return Ok(exit(&failures));
    }
    let git = git.await.map_err(|error| Error::bug("asking git panicked").because(error))?;
    loaded.facts.epoch = epoch(&git)?;
    let BuilderCommand { command, root, libraries } =
        builder_command(&loaded.project, &loaded.facts, options.arch, argv, options.network)?;
    let keys = |ids: &[StepId]| -> Result<Vec<Digest>> {
        ids.iter()
            .map(|id| {
                let record = built.execution.done(id).ok_or_else(|| Error::bug(format!("{id} is not done")))?;
                Ok(record.key)
            })
            .collect()
    };
    let root = Root { compilers: keys(&root)?, libraries: keys(&libraries)? };
    setup.printer.finish();
    let workshop = loaded.workshop.clone();
    let request = Interactive { waiting, arch: options.arch, root, command, git_folders: git.folders };
    let exit = tokio::task::spawn_blocking(move || run_interactive(&workshop, request))
        .await
        .map_err(|error| Error::bug("a command panicked").because(error))??;
    // What a shell answers for a command that a signal ended.
    let code = exit.code.or(exit.signal.map(|signal| 128 + signal)).unwrap_or(1);
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}

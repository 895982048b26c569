//! `xbuild run` and `xbuild shell`

use std::process::ExitCode;

use futures_util::future::{Either, ready};

use super::arguments::{Arguments, BuilderOptions, RunOptions, Verb};
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

/// Starts the sandbox of a command that will want one: on one processor, while the other one finds out what it will run.
pub(super) fn start(arguments: &Arguments) -> Option<Waiting> {
    let options = match &arguments.verb {
        Verb::Run(options) => &options.builder,
        Verb::Shell(options) => options,
        _ => return None,
    };
    // An engine that cannot be chosen is told of where it is chosen.
    let may_be_native = matches!(asked::engine(&arguments.global), Ok(None | Some(EngineChoice::Native)));
    let network = if options.network { Network::Host } else { Network::None };
    may_be_native.then(|| {
        let identity = Identity::detect();
        Waiting::start(Isolation { identity, rooted: true, network, stdio: Stdio::Inherited })
    })
}

pub(super) async fn run(setup: &Setup<'_>, options: &RunOptions, waiting: Option<Waiting>) -> Result<ExitCode> {
    inside(setup, &options.builder, options.command.clone(), waiting).await
}

pub(super) async fn shell(setup: &Setup<'_>, options: &BuilderOptions, waiting: Option<Waiting>) -> Result<ExitCode> {
    inside(setup, options, SHELL.map(str::to_owned).to_vec(), waiting).await
}

/// Prepares the architecture's builder, and runs a command with xbuild's own streams in it.
async fn inside(
    setup: &Setup<'_>,
    options: &BuilderOptions,
    argv: Vec<String>,
    waiting: Option<Waiting>,
) -> Result<ExitCode> {
    let project = setup.project_or_toolchain(None, &[options.arch])?;
    // Builders do not depend on it: git thinks while they are looked up, where there is anything to ask it.
    let git = ProjectGit::new(&project.folder);
    let answer = match git.missing() {
        Some(_) => Either::Left(ready(Ok(GitFacts::read(&git, false)))),
        None => Either::Right(tokio::task::spawn_blocking(move || GitFacts::read(&git, false))),
    };
    let mut loaded = setup.load_builder(project, false)?;
    let goal = Goal::Builder(options.arch);
    let plan = plan(&loaded.project, &loaded.facts, &goal)?;
    let built = build(&loaded, &plan, &goal).await?;
    let failures = built.failures();
    if !failures.is_empty() {
        setup.printer.summary();
        return Ok(exit(&failures));
    }
    let git = answer.await.map_err(|error| Error::bug("asking git panicked").because(error))?;
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
    let request = Interactive { waiting, arch: options.arch, root, command, git_folders: git.folders };
    let exit = tokio::task::block_in_place(|| run_interactive(&loaded.workshop, request))?;
    // What a shell answers for a command that a signal ended.
    let code = exit.code.or(exit.signal.map(|signal| 128 + signal)).unwrap_or(1);
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}

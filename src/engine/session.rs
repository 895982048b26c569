//! Commands in a builder and what they see, as data: the same for every engine.

use std::path::{Path, PathBuf};

use super::native::Root;
use super::native::sandbox::{Command, Emulator, Exit, Limits, Notice, Waiting};
use super::proxies::proxies;
use super::{Assessment, Workshop};
use crate::domain::{Arch, Digest, DockerAccess, Error, Outcome, Result, Stream};
use crate::image::Order;
use crate::plan::{self, BuilderImage, OutputFile, Step};
use crate::store::{Record, Scratch};

/// What runs commands in builders.
pub(crate) trait Engine: Send + Sync {
    /// Sees to it that there is an engine for a target at all, before anything is begun. Blocks.
    ///
    /// # Errors
    /// When it cannot be reached.
    fn greet(&self, _workshop: &Workshop, _target: Option<Arch>) -> Result<()> {
        Ok(())
    }

    /// Runs the commands of a session, and tells what happens to each, by its index. Blocks.
    ///
    /// # Errors
    /// When they cannot be run, or were stopped; how they end is no error.
    fn run(&self, workshop: &Workshop, session: &Session<'_>, tell: &mut Tell<'_>) -> Result<Ending>;

    /// Runs a session's only command with xbuild's own streams and terminal. Blocks.
    ///
    /// # Errors
    /// As for [`Engine::run`].
    fn interact(&self, workshop: &Workshop, session: &Session<'_>, started: Option<Waiting>) -> Result<Interaction>;

    /// Sees to it that a builder is there, and says whether it was. Blocks.
    ///
    /// # Errors
    /// When it cannot be made; a bug for an engine whose builders are no images.
    fn make_builder(&self, _workshop: &Workshop, wanted: &WantedBuilder) -> Result<(Record, Outcome)> {
        Err(Error::bug(format!("{} is an image, and this engine has no use for images", wanted.step.id)))
    }

    /// Has a whole image built, and writes it into `archive` as `docker save` does. Blocks.
    ///
    /// # Errors
    /// When the Dockerfile is at fault or a command of it fails, the engine cannot do what it asks for, or is at fault
    /// itself; a usage error for an engine that builds no images.
    fn build_image(&self, workshop: &Workshop, wanted: &WantedImage<'_>, archive: &Path) -> Result<()> {
        let _ = (workshop, archive);
        Err(Error::usage(format!("{}: this engine has no builder of images", wanted.step)))
    }
}

/// A builder that is to be an image of an engine.
#[derive(Clone)]
pub(crate) struct WantedBuilder {
    /// Its step.
    pub(crate) step: Step,
    /// What it is made of.
    pub(crate) image: BuilderImage,
    /// What is known of the step.
    pub(crate) assessment: Assessment,
}

/// An image that an engine's own builder is to build.
#[derive(Clone, Copy)]
pub struct WantedImage<'a> {
    /// What it is told of as, as in `image/router/s390x`.
    pub step: &'a str,
    /// What is to be built.
    pub order: &'a Order,
    /// Whether every instruction is executed, also where the engine remembers it.
    pub anew: bool,
    /// Whether commands see a network.
    pub network: bool,
}

/// What came of an interactive command.
pub(crate) struct Interaction {
    /// How it ended.
    pub(crate) exit: Exit,
    /// Nothing of it matters any more.
    pub(crate) ending: Ending,
}

/// What an engine or the kernel may still be taking apart when all commands have ended and what they left is here: others
/// need not wait for it. Dropping this does.
#[must_use]
#[derive(Default)]
pub(crate) struct Ending {
    _rest: Option<Box<dyn Send>>,
}

impl Ending {
    /// Lasts until something can be dropped.
    pub(crate) fn of(rest: impl Send + 'static) -> Ending {
        Ending { _rest: Some(Box::new(rest)) }
    }
}

/// Hears what happens to a command; what it left can be taken as long as the call lasts. An error, such as that the machine
/// with all of it is gone, ends the session.
pub(crate) type Tell<'a> = dyn FnMut(usize, Notice<'_>, &dyn Left) -> Result<()> + 'a;

/// What commands have left in their builder so far.
pub(crate) trait Left {
    /// Where a file that a command made can be read.
    ///
    /// # Errors
    /// A build error when it is not there, is no regular file, or is a link that leads elsewhere.
    fn take(&self, output: &OutputFile) -> Result<PathBuf>;
}

/// Commands that share a builder.
#[derive(Clone)]
pub(crate) struct Session<'a> {
    /// What is built for, where that matters.
    pub(crate) target: Option<Arch>,
    /// What the builder consists of.
    pub(crate) root: &'a Root,
    /// What is in the source folder.
    pub(crate) source: Source<'a>,
    /// What is in the output folder.
    pub(crate) output: OutputFolder<'a>,
    /// Whether they see the compilers' caches.
    pub(crate) cached: bool,
    /// Whether they see the network.
    pub(crate) network: bool,
    /// Whose Docker engine they may use.
    pub(crate) docker: Option<DockerAccess>,
    /// The socket of an SSH agent that they may use.
    pub(crate) agent: Option<PathBuf>,
    /// Commands in order of start.
    pub(crate) commands: Vec<Command>,
    /// How many of them run at once.
    pub(crate) parallel: usize,
    /// What runs programs of another architecture.
    pub(crate) emulator: Option<Emulator>,
    /// What is to be waited for when the builder is ready, before the first command starts.
    pub(crate) start: Option<&'a dyn Fn() -> Result<()>>,
    /// For the engine's own use.
    pub(crate) scratch: &'a Scratch,
}

impl<'a> Session<'a> {
    /// Commands one after another, without a network, caches, an engine or an emulator.
    pub(crate) fn new(
        root: &'a Root,
        source: Source<'a>,
        output: OutputFolder<'a>,
        commands: Vec<Command>,
        scratch: &'a Scratch,
    ) -> Session<'a> {
        Session {
            target: None,
            root,
            source,
            output,
            cached: false,
            network: false,
            docker: None,
            agent: None,
            commands,
            parallel: 1,
            emulator: None,
            start: None,
            scratch,
        }
    }

    /// To be called by an engine when the builder is ready. Blocks.
    ///
    /// # Errors
    /// When the commands are not to start any more.
    pub(crate) fn start(&self) -> Result<()> {
        self.start.map_or(Ok(()), |wait| wait())
    }
}

/// What is in the output folder of a builder.
#[derive(Clone, Copy)]
pub(crate) enum OutputFolder<'a> {
    /// Nothing yet; what commands write there ends up in this folder, at the latest when it is taken.
    Empty(&'a Path),
    /// Programs that were made earlier.
    Programs(&'a Path),
}

/// What is in the source folder of a builder.
#[derive(Clone, Copy)]
pub(crate) enum Source<'a> {
    /// The project's tree, which stays as it is.
    Tree {
        /// Folders of git outside the project, which are seen at their own places.
        git_folders: &'a [PathBuf],
        /// The layer that is laid over it.
        prepared: Option<Digest>,
        /// Takes every change to it, if somebody wants them all.
        changes: Option<&'a Path>,
    },
    /// A folder of xbuild's own, which the commands may change.
    Folder(&'a Path),
}

/// A command of a plan as it runs on this machine.
pub(crate) fn command(workshop: &Workshop, command: &plan::Command) -> Command {
    let mut env = command.env.clone();
    env.insert("XBUILD_JOBS".into(), workshop.jobs.to_string());
    if command.network {
        for (name, value) in proxies() {
            env.entry(name).or_insert(value);
        }
    }
    let limits = Limits { time: command.time_limit, ..Limits::default() };
    Command { argv: command.argv.clone(), env, cwd: command.cwd.clone().into(), user: None, limits }
}

/// Runs a session's only command, and tells how it ended. Blocks; `output` gets every piece of its output.
///
/// # Errors
/// As for [`Engine::run`].
pub(crate) fn run_one(
    workshop: &Workshop,
    session: &Session<'_>,
    output: &mut dyn FnMut(Stream, &[u8]),
) -> Result<(Exit, Ending)> {
    let mut exit = None;
    let ending = workshop.engine.run(workshop, session, &mut |_, notice, _| {
        match notice {
            Notice::Started => {}
            Notice::Output(stream, bytes) => output(stream, bytes),
            Notice::Exited(end) => exit = Some(end),
        }
        Ok(())
    })?;
    exit.map(|exit| (exit, ending)).ok_or_else(|| Error::bug("a command never ended"))
}

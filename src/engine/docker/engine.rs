//! Runs sessions in containers.

use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, SyncSender};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::{OnceCell, Semaphore};
use tokio::task::JoinHandle;

use super::agent::AgentRelay;
use super::builders::Builders;
use super::images::Images;
use super::left::Leftovers;
use super::sources::Sources;
use super::{access, builder, changes, emulation, images};
use crate::docker::{
    Address, Client, Container, ContainerRequest, Endpoint, EngineFacts, ExecEnd, ExecRequest, Network,
};
use crate::domain::{Arch, DockerAccess, Error, Event, Events, Outcome, Result, Stream};
use crate::engine::native::sandbox::{Command, Exceeded, Exit, Notice};
use crate::engine::session::{
    Ending, Engine, Interaction, OutputFolder, Session, Source, Tell, WantedBuilder, WantedImage,
};
use crate::engine::{LOOK, Workshop, unless_stopped};
use crate::plan::{CACHE, OUTPUT};
use crate::store::Record;

/// So long an engine on another machine may say nothing before it is asked whether it is there, and may take to say so.
const SILENCE: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(10);

/// So many pieces of output, of up to 64 KiB each, may wait to be told; then the command waits.
const UNHEARD: usize = 64;

/// An engine that is reached over its API.
pub(crate) struct DockerEngine {
    endpoint: Endpoint,
    runtime: Handle,
    client: OnceCell<Client>,
    /// Whether it sees the files of this machine; found out with the first container.
    sees_files: OnceCell<bool>,
    /// The builders of this run.
    builders: Arc<Builders>,
    /// The images that it builds.
    images: Images,
}

impl DockerEngine {
    /// The engine at an endpoint; it is spoken to when there is something to do.
    /// What is known of builders is shared with other engines.
    pub(crate) fn new(endpoint: Endpoint, runtime: Handle, builders: Arc<Builders>) -> DockerEngine {
        DockerEngine {
            endpoint,
            runtime,
            client: OnceCell::new(),
            sees_files: OnceCell::new(),
            builders,
            images: Images::default(),
        }
    }

    /// What it is called.
    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// What it says of itself.
    pub(crate) async fn facts(&self) -> Result<&EngineFacts> {
        Ok(self.client().await?.facts())
    }

    /// Whether it still answers.
    pub(super) async fn answers(&self) -> bool {
        Client::greet(&self.endpoint, PATIENCE).await.is_ok()
    }

    /// Whether it is on another machine, as far as its address tells. The death of such a one may go unnoticed for long: on
    /// this machine connections end with who held them.
    pub(crate) fn is_elsewhere(&self) -> bool {
        !matches!(self.endpoint.address, Address::Unix(_))
    }

    /// The connection; the first one also clears away what a killed xbuild or a dead daemon has left.
    async fn client(&self) -> Result<&Client> {
        let connect = || async {
            let client = Client::connect(&self.endpoint).await?;
            client.sweep().await?;
            Ok(client)
        };
        self.client.get_or_try_init(connect).await
    }

    /// A container of a session, with everything that its commands are to see.
    async fn open(&self, workshop: &Workshop, session: &Session<'_>) -> Result<(Container, Option<AgentRelay>)> {
        let client = self.client().await?;
        let key = session.root.compilers.first().ok_or_else(|| Error::bug("a session without a builder"))?;
        let image = builder::name(key);
        if client.image(&image).await?.is_none() {
            self.builders.bring(client, workshop, key).await?;
        }
        let sources = Sources::of(workshop, session)?;
        let mut request = ContainerRequest {
            image,
            network: if session.network { Network::Host } else { Network::None },
            init: true,
            // To make a user namespace with a binfmt_misc.
            unconfined: session.emulator.is_some(),
            ..ContainerRequest::default()
        };
        if session.cached {
            let caches = self.builders.caches(key);
            let volume = format!("xbuild-cache-{}", caches.short());
            client.volume(&volume, &builder::labels(&caches)).await?;
            request.volumes.push((volume, CACHE.into()));
        }
        if session.docker == Some(DockerAccess::Own) {
            access::own(&mut request);
        }
        let mut container = None;
        if self.sees_files.get().is_none() {
            container = self.look(client, &request, &sources).await?;
        }
        let sees_files = self.sees_files.get() == Some(&true);
        if session.docker == Some(DockerAccess::Host) {
            access::host(&mut request, &self.endpoint, sees_files);
            if let Some(container) = container.take() {
                container.remove().await?;
            }
        }
        let unmounted = request.clone();
        let request = match sees_files {
            true => sources.mounted(request, client.facts().selinux),
            false => Sources::empty(request),
        };
        let made = match container {
            Some(container) => container,
            None => client.create(&request).await.map_err(|error| access::without_socket(error, &request))?,
        };
        let container = match sees_files {
            true if Sources::copied(&made)? => made,
            // It sees other folders of this machine, and not this one.
            true => {
                made.remove().await?;
                let container = client.create(&Sources::empty(unmounted)).await?;
                sources.send(&container).await?;
                container
            }
            false => {
                sources.send(&made).await?;
                made
            }
        };
        sources.prepare(&container).await?;
        if let Some(emulator) = &session.emulator {
            emulation::bring(&container, emulator).await?;
        }
        if let OutputFolder::Programs(folder) = session.output {
            super::sources::send_folder(&container, folder, OUTPUT).await?;
        }
        if let Some(access) = session.docker
            && let Err(error) = access::open(&container, access).await
        {
            container.remove().await?;
            return Err(error);
        }
        let relay = match &session.agent {
            Some(agent) => Some(AgentRelay::open(&container, agent).await?),
            None => None,
        };
        Ok((container, relay))
    }

    /// Has a container removed whose commands have ended.
    fn removed(&self, container: Container, workshop: &Workshop) -> Ending {
        let task = self.runtime.spawn(container.remove());
        Ending::of(Removal { task: Some(task), runtime: self.runtime.clone(), events: workshop.events.clone() })
    }

    /// Finds out whether the engine sees the files of this machine; the container that showed it by copying them, if so.
    async fn look(&self, client: &Client, request: &ContainerRequest, sources: &Sources) -> Result<Option<Container>> {
        // Where the folders are not there, some engines refuse the mounts, and others make empty ones.
        let seen = match client.create(&sources.mounted(request.clone(), client.facts().selinux)).await {
            Ok(container) if Sources::copied(&container)? => Some(container),
            Ok(container) => {
                container.remove().await?;
                None
            }
            Err(_) => None,
        };
        let sees = seen.is_some();
        self.sees_files.get_or_init(|| async { sees }).await;
        Ok(seen)
    }
}

impl Engine for DockerEngine {
    fn greet(&self, workshop: &Workshop, _target: Option<Arch>) -> Result<()> {
        self.runtime.block_on(unless_stopped(&workshop.stop, self.client())).map(drop)
    }

    fn run(&self, workshop: &Workshop, session: &Session<'_>, tell: &mut Tell<'_>) -> Result<Ending> {
        let (container, relay) = self.runtime.block_on(unless_stopped(&workshop.stop, self.open(workshop, session)))?;
        session.start()?;
        let container = Arc::new(container);
        let (sender, happenings) = mpsc::sync_channel(UNHEARD);
        let slots = Arc::new(Semaphore::new(session.parallel.max(1)));
        let mut tasks = tokio::task::JoinSet::new();
        for (index, mut command) in session.commands.iter().cloned().enumerate() {
            if let Some(emulator) = &session.emulator {
                command.argv = emulation::emulated(&command.argv, emulator);
            }
            let (container, sender, slots) = (container.clone(), sender.clone(), slots.clone());
            let task = async move {
                let _slot = slots.acquire_owned().await;
                run_command(&container, index, &command, &sender).await
            };
            tasks.spawn_on(task, &self.runtime);
        }
        drop(sender);
        let mut heard = Instant::now();
        let left = Leftovers { container: &container, runtime: &self.runtime, session };
        let result = loop {
            let happening = happenings.recv_timeout(LOOK);
            if happening.is_ok() {
                heard = Instant::now();
            }
            let told = match happening {
                Ok(Happening::Started(index)) => tell(index, Notice::Started, &left),
                Ok(Happening::Output(index, stream, bytes)) => tell(index, Notice::Output(stream, &bytes), &left),
                Ok(Happening::Exited(index, exit)) => tell(index, Notice::Exited(exit), &left),
                Ok(Happening::Lost(error)) => Err(error),
                Err(mpsc::RecvTimeoutError::Disconnected) => break Ok(()),
                Err(mpsc::RecvTimeoutError::Timeout) if self.is_elsewhere() && heard.elapsed() > SILENCE => {
                    heard = Instant::now();
                    match self.runtime.block_on(self.answers()) {
                        true => Ok(()),
                        false => Err(Error::environment(format!("{} does not answer any more", self.endpoint))),
                    }
                }
                Err(mpsc::RecvTimeoutError::Timeout) => Ok(()),
            };
            if let Err(error) = told.and_then(|()| workshop.stop.check()) {
                break Err(error);
            }
        };
        drop(relay);
        tasks.abort_all();
        // Whoever waits until there is room in it need not any longer.
        drop(happenings);
        let result = result.and_then(|()| match session.source {
            Source::Tree { changes: Some(folder), .. } => {
                let kept = changes::keep(&container, workshop, folder, session.scratch);
                self.runtime.block_on(unless_stopped(&workshop.stop, kept))
            }
            _ => Ok(()),
        });
        self.runtime.block_on(async {
            while tasks.join_next().await.is_some() {}
            let container = Arc::into_inner(container).ok_or_else(|| Error::bug("a container that is still used"))?;
            match result {
                // It goes with its connection, if its engine is there at all.
                Err(error) => Err(error),
                Ok(()) => Ok(self.removed(container, workshop)),
            }
        })
    }

    fn interact(
        &self,
        workshop: &Workshop,
        session: &Session<'_>,
        _started: Option<crate::engine::native::sandbox::Waiting>,
    ) -> Result<Interaction> {
        let [command] = session.commands.as_slice() else { return Err(Error::bug("not one command")) };
        let (container, relay) = self.runtime.block_on(unless_stopped(&workshop.stop, self.open(workshop, session)))?;
        let request = request(command);
        let talk = container.interactive(&request, std::io::stdin().is_terminal());
        let code = self.runtime.block_on(unless_stopped(&workshop.stop, talk));
        drop(relay);
        let ending = self.removed(container, workshop);
        let code = i32::try_from(code?).unwrap_or(1);
        Ok(Interaction { exit: exit(code, None, 0.0, 0.0), ending })
    }

    fn make_builder(&self, workshop: &Workshop, wanted: &WantedBuilder) -> Result<(Record, Outcome)> {
        self.runtime.block_on(unless_stopped(&workshop.stop, async {
            self.builders.make(self.client().await?, workshop, wanted).await
        }))
    }

    fn build_image(&self, workshop: &Workshop, wanted: &WantedImage<'_>, archive: &Path) -> Result<()> {
        self.runtime.block_on(async {
            let client = unless_stopped(&workshop.stop, self.client()).await?;
            images::build(client, workshop, wanted, archive, &self.images).await
        })
    }
}

/// A container that is being removed. All that was wanted of it is here, so that it stays is only worth a warning.
struct Removal {
    task: Option<JoinHandle<Result<()>>>,
    runtime: Handle,
    events: Events,
}

impl Drop for Removal {
    fn drop(&mut self) {
        let ended = self.task.take().map(|task| self.runtime.block_on(task));
        if let Some(Ok(Err(error))) = ended {
            self.events.emit(Event::Warning { text: error.with_hints() });
        }
    }
}

/// What happens to a command, on its way from the task that runs it.
enum Happening {
    Started(usize),
    Output(usize, Stream, Vec<u8>),
    Exited(usize, Exit),
    /// The container or the engine is gone.
    Lost(Error),
}

async fn run_command(container: &Container, index: usize, command: &Command, sender: &SyncSender<Happening>) {
    // Nobody listens any more when the session was stopped.
    let send = |happening| _ = tokio::task::block_in_place(|| sender.send(happening));
    send(Happening::Started(index));
    let mut told = |stream: Stream, bytes: &[u8]| send(Happening::Output(index, stream, bytes.to_vec()));
    let request = ExecRequest { together: true, ..request(command) };
    send(match container.exec(&request, &mut told).await {
        Ok(end) => Happening::Exited(index, ended(&end)),
        Err(error) => Happening::Lost(error),
    });
}

pub(super) fn request(command: &Command) -> ExecRequest {
    ExecRequest {
        argv: command.argv.clone(),
        env: command.env.clone(),
        cwd: command.cwd.display().to_string(),
        time: command.limits.time,
        ..ExecRequest::default()
    }
}

fn ended(end: &ExecEnd) -> Exit {
    let exceeded = match (end.timed_out, end.out_of_memory) {
        (true, _) => Some(Exceeded::Time),
        (_, true) => Some(Exceeded::Memory),
        _ => None,
    };
    let code = i32::try_from(end.code).unwrap_or(1);
    exit(code, exceeded, end.wall.as_secs_f64(), end.cpu.as_secs_f64())
}

fn exit(code: i32, exceeded: Option<Exceeded>, wall: f64, cpu: f64) -> Exit {
    // A shell's way of telling of a signal, which is all that the engine says.
    let signal = (code > 128 && code < 128 + 64).then_some(code - 128);
    Exit { code: if signal.is_none() { Some(code) } else { None }, signal, exceeded, wall, cpu, peak_memory: 0 }
}

//! What every step works with.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use tokio::runtime::Handle;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};

use super::dispatch::Dispatch;
use super::docker::{Builders, DockerEngine, Machines};
use super::host::Host;
use super::native::Native;
use super::native::sandbox::{Identity, Stop};
use super::session::{Engine, WantedImage};
use super::turns::Queue;
use crate::debian::Mirrors;
use crate::docker::Endpoint;
use crate::domain::{Arch, Digest, EngineChoice, Error, Event, Events, Result};
use crate::plan::{HostTools, StepId};
use crate::registry;
use crate::store::{KeyLock, Store};

/// Shared by all steps of a run.
pub struct Workshop {
    /// The cache.
    pub store: Store,
    /// Hears what happens.
    pub events: Events,
    /// Stops the run.
    pub stop: Stop,
    /// What runs commands.
    pub(super) engine: Box<dyn Engine>,
    /// How sandboxes map ids.
    pub identity: Identity,
    /// The machine's architecture.
    pub host: Arch,
    /// The architecture that builders run on.
    pub builder_host: Arch,
    /// The project's folder; records of steps are told apart by it.
    pub project: PathBuf,
    /// The tree's metadata outside the project, which steps see read-only.
    pub git_folders: Vec<PathBuf>,
    /// Processors that all steps may use together.
    pub jobs: usize,
    /// Nothing may be downloaded.
    pub offline: bool,
    /// Package lists are resolved anew.
    pub update: bool,
    /// What names of bases stand for is asked anew.
    pub pull: bool,
    /// The architecture of the machines that build for a target instead of this one.
    pub machines: BTreeMap<Arch, Arch>,
    /// Steps that run at once.
    pub slots: Arc<Semaphore>,
    /// Where Go programs of each target wait for each other.
    pub(super) queues: BTreeMap<Arch, Arc<Queue>>,
    /// Names of bases that were asked for in this run.
    pub(super) asked: Mutex<BTreeSet<Digest>>,
    registry: OnceLock<registry::Client>,
    mirrors: OnceLock<Mirrors>,
}

/// What makes one run differ from another.
#[derive(Debug, Clone)]
pub struct WorkshopOptions {
    /// What runs commands.
    pub engine: EngineChoice,
    /// What the machine itself has to build with, where that is wanted.
    pub host_tools: HostTools,
    /// Engines that build for some targets instead.
    pub builders: BTreeMap<Arch, Vec<Endpoint>>,
    /// The project's folder.
    pub project: PathBuf,
    /// Folders of git outside the project.
    pub git_folders: Vec<PathBuf>,
    /// Processors to use.
    pub jobs: usize,
    /// Whether nothing may be downloaded.
    pub offline: bool,
    /// Whether package lists are resolved anew.
    pub update: bool,
    /// Whether it is asked anew what names of bases stand for.
    pub pull: bool,
}

impl Workshop {
    /// Sets up a run.
    ///
    /// # Errors
    /// An environment error on an architecture that xbuild does not know, or without the engine.
    pub fn new(mut store: Store, events: Events, stop: Stop, options: WorkshopOptions) -> Result<Workshop> {
        let WorkshopOptions { engine, host_tools, builders, project, git_folders, jobs, offline, update, pull } =
            options;
        let stopped = stop.clone();
        store.wait_while(move || stopped.check());
        let shared = Arc::new(Builders::default());
        let docker = |endpoint| DockerEngine::new(endpoint, Handle::current(), shared.clone());
        let warn = |text| events.emit(Event::Warning { text });
        let machines = Machines::open(builders, &docker, Handle::current(), &warn)?;
        let slots = jobs.max(1) + Machines::slots(&machines);
        let machine_arches = machines.iter().map(|(target, pool)| (*target, pool.arch())).collect();
        let host = Arch::host()?;
        let mut builder_host = host;
        let engine: Box<dyn Engine> = match engine {
            EngineChoice::Native => Box::new(Native),
            EngineChoice::Host => Box::new(Host { tools: host_tools }),
            EngineChoice::Docker(place) => {
                let engine = docker(Endpoint::find(place.as_deref())?);
                if engine.is_elsewhere() {
                    builder_host = Handle::current().block_on(engine.facts())?.arch;
                }
                Box::new(engine)
            }
        };
        let engine = match machines.is_empty() {
            true => engine,
            false => Box::new(Dispatch { local: engine, machines }),
        };
        Ok(Workshop {
            store,
            events,
            stop,
            engine,
            identity: Identity::detect(),
            host,
            builder_host,
            project,
            git_folders,
            jobs: jobs.max(1),
            offline,
            update,
            pull,
            asked: Mutex::default(),
            registry: OnceLock::new(),
            slots: Arc::new(Semaphore::new(slots)),
            queues: Arch::ALL.into_iter().map(|arch| (arch, Arc::default())).collect(),
            machines: machine_arches,
            mirrors: OnceLock::new(),
        })
    }

    /// Waits until one more step may run; it may until the value is dropped.
    ///
    /// # Errors
    /// When the run was stopped.
    pub async fn slot(&self) -> Result<OwnedSemaphorePermit> {
        let slot = self.slots.clone().acquire_owned().await.map_err(|_| Error::interrupted())?;
        self.stop.check()?;
        Ok(slot)
    }

    /// Waits until no other process makes a step, and tells if there is one; it may have made it then. Blocks.
    ///
    /// # Errors
    /// When the run was stopped, or the lock cannot be made.
    pub(super) fn lock(&self, step: &StepId, key: &Digest) -> Result<KeyLock> {
        if let Some(lock) = self.store.try_lock(key)? {
            return Ok(lock);
        }
        self.events.emit(Event::Waiting { step: step.to_string() });
        self.store.lock(key)
    }

    /// Has an engine build a whole image for its architecture, and writes what comes of it into `archive`, as `docker save`
    /// does. Blocks.
    ///
    /// # Errors
    /// A build error when the Dockerfile is at fault or a command of it fails; an environment error when the engine is; a
    /// usage error when it has no builder, or none that can do what the Dockerfile asks for.
    pub fn build_image(&self, wanted: &WantedImage<'_>, archive: &Path) -> Result<()> {
        self.engine.build_image(self, wanted, archive)
    }

    /// What the project's steps are remembered under.
    pub fn scope(&self) -> String {
        self.project.display().to_string()
    }

    /// The client of registries.
    ///
    /// # Errors
    /// An environment error when it cannot be set up.
    pub fn registry(&self) -> Result<&registry::Client> {
        if let Some(client) = self.registry.get() {
            return Ok(client);
        }
        let client = registry::Client::new(&registry::Options::default())?;
        Ok(self.registry.get_or_init(|| client))
    }

    /// The Debian mirrors: `$XBUILD_DEBIAN_MIRROR`, else those that the machine is configured with.
    ///
    /// # Errors
    /// An environment error when there are none.
    pub fn mirrors(&self) -> Result<&Mirrors> {
        if let Some(mirrors) = self.mirrors.get() {
            return Ok(mirrors);
        }
        let named = std::env::var("XBUILD_DEBIAN_MIRROR").ok();
        let found = Mirrors::find(named.as_deref())?;
        Ok(self.mirrors.get_or_init(|| found))
    }
}

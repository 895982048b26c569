//! Engines on several machines as one: work goes where there is room, and from a machine that dies to another one.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::DockerEngine;
use crate::domain::{Arch, Error, ErrorKind, Event, Outcome, Result};
use crate::engine::native::sandbox::{Notice, Waiting};
use crate::engine::session::{Engine, ImageWish, Interaction, Session, Tell};
use crate::engine::{Assessment, Workshop};
use crate::plan::{BuilderImage, Step};
use crate::store::Record;

/// Machines that may do the same work.
pub(crate) struct Machines {
    machines: Vec<Machine>,
    runtime: Handle,
}

struct Machine {
    engine: DockerEngine,
    /// Sessions that it may have at once: one for each processor.
    slots: Arc<Semaphore>,
    dead: AtomicBool,
}

impl Machines {
    /// Greets all of them. One that does not answer is left out with a warning, as long as another does.
    ///
    /// # Errors
    /// When none answers, or they are of different architectures.
    pub(crate) fn open(engines: Vec<DockerEngine>, runtime: Handle, warn: &dyn Fn(String)) -> Result<Machines> {
        let mut machines = Vec::new();
        let mut failure = None;
        for engine in engines {
            match runtime.block_on(engine.facts()) {
                Ok(facts) => {
                    let slots = Arc::new(Semaphore::new(facts.processors.max(1)));
                    machines.push(Machine { engine, slots, dead: AtomicBool::new(false) });
                }
                Err(error) => {
                    warn(format!("the builder {} is left out: {error}", engine.endpoint()));
                    failure = Some(error);
                }
            }
        }
        if machines.is_empty() {
            return Err(failure.unwrap_or_else(|| Error::bug("no machines")));
        }
        let machines = Machines { machines, runtime };
        let arches: BTreeSet<Arch> = machines.machines.iter().map(|machine| machine.arch()).collect::<Result<_>>()?;
        match arches.len() {
            1 => Ok(machines),
            _ => Err(Error::usage("builders of one platform run on machines of different architectures")
                .hint("their programs would come out of different compilers; name builders of one kind")),
        }
    }

    /// The architecture of the machines.
    pub(crate) fn arch(&self) -> Result<Arch> {
        self.machines.first().ok_or_else(|| Error::bug("no machines"))?.arch()
    }

    /// Sessions that all of them may have at once.
    pub(crate) fn slots(&self) -> usize {
        self.machines.iter().map(|machine| machine.slots.available_permits()).sum()
    }

    /// The living machine with the most room, and a place on it.
    fn pick(&self) -> Result<(&Machine, OwnedSemaphorePermit)> {
        let alive = || self.machines.iter().filter(|machine| !machine.dead.load(Ordering::Acquire));
        let machine = alive().max_by_key(|machine| machine.slots.available_permits());
        let machine = machine.ok_or_else(|| Error::environment("none of the builders answers any more"))?;
        let place = self.runtime.block_on(machine.slots.clone().acquire_owned());
        Ok((machine, place.map_err(|_| Error::interrupted())?))
    }

    /// Does something on a machine; when that dies, on another one.
    fn on_some<T>(&self, workshop: &Workshop, mut work: impl FnMut(&DockerEngine) -> Result<T>) -> Result<T> {
        loop {
            let (machine, _place) = self.pick()?;
            let error = match work(&machine.engine) {
                Err(error) if error.kind() == ErrorKind::Environment => error,
                other => return other,
            };
            workshop.stop.check()?;
            if self.runtime.block_on(machine.engine.answers()) {
                return Err(error);
            }
            machine.dead.store(true, Ordering::Release);
            let name = machine.engine.endpoint();
            let text = format!("the builder {name} is gone, and its work goes to another one: {error}");
            workshop.events.emit(Event::Warning { text });
        }
    }
}

impl Machine {
    fn arch(&self) -> Result<Arch> {
        self.engine.known_facts().map(|facts| facts.arch).ok_or_else(|| Error::bug("a machine that was not greeted"))
    }
}

impl Engine for Machines {
    fn run(&self, workshop: &Workshop, session: &Session<'_>, tell: &mut Tell<'_>) -> Result<()> {
        let mut ended: BTreeSet<usize> = BTreeSet::new();
        self.on_some(workshop, |engine| {
            let left: Vec<usize> = (0..session.commands.len()).filter(|index| !ended.contains(index)).collect();
            let commands = left.iter().map(|index| session.commands[*index].clone()).collect();
            let part = Session { commands, ..session.clone() };
            engine.run(workshop, &part, &mut |index, notice, at| {
                if matches!(notice, Notice::Exited(_)) {
                    ended.insert(left[index]);
                }
                tell(left[index], notice, at);
            })
        })
    }

    fn interact(&self, workshop: &Workshop, session: &Session<'_>, _: Option<Waiting>) -> Result<Interaction> {
        let (machine, _place) = self.pick()?;
        machine.engine.interact(workshop, session, None)
    }

    fn make_builder(
        &self,
        workshop: &Workshop,
        step: &Step,
        image: &BuilderImage,
        assessment: &Assessment,
    ) -> Result<(Record, Outcome)> {
        self.on_some(workshop, |engine| engine.make_builder(workshop, step, image, assessment))
    }

    fn build_image(&self, workshop: &Workshop, wish: &ImageWish<'_>, archive: &Path) -> Result<()> {
        self.on_some(workshop, |engine| engine.build_image(workshop, wish, archive))
    }
}

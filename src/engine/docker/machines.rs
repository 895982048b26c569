//! Engines on several machines as one: work goes where there is room, and from a machine that dies to another one.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;

use super::DockerEngine;
use crate::domain::{Arch, Error, ErrorKind, Event, Outcome, Result};
use crate::engine::native::sandbox::{Notice, Waiting};
use crate::engine::session::{Engine, Interaction, Session, Tell, WantedBuilder};
use crate::engine::{LOOK, Workshop};
use crate::store::Record;

/// Machines that may do the same work.
pub(crate) struct Machines {
    machines: Vec<Machine>,
    /// What each of them is doing.
    loads: Mutex<Vec<Load>>,
    /// A session has ended, or a machine has died.
    changed: Condvar,
    runtime: Handle,
}

struct Machine {
    engine: DockerEngine,
    /// Sessions that it may have at once: one for each processor.
    slots: usize,
}

#[derive(Clone, Copy, Default)]
struct Load {
    sessions: usize,
    dead: bool,
}

/// Room for a session on a machine.
struct Place<'a> {
    machines: &'a Machines,
    index: usize,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.machines.change(self.index, |load| load.sessions -= 1);
    }
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
                    let slots = facts.processors.max(1);
                    machines.push(Machine { engine, slots });
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
        let loads = Mutex::new(vec![Load::default(); machines.len()]);
        let machines = Machines { machines, loads, changed: Condvar::new(), runtime };
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
        self.machines.iter().map(|machine| machine.slots).sum()
    }

    fn loads(&self) -> MutexGuard<'_, Vec<Load>> {
        self.loads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, index: usize, change: impl FnOnce(&mut Load)) {
        change(&mut self.loads()[index]);
        self.changed.notify_all();
    }

    /// A place on the living machine with the most room, as soon as there is one.
    fn pick(&self, workshop: &Workshop) -> Result<(&Machine, Place<'_>)> {
        let mut loads = self.loads();
        loop {
            workshop.stop.check()?;
            let room = |(machine, load): (&Machine, &Load)| machine.slots.saturating_sub(load.sessions);
            let alive = || self.machines.iter().zip(&*loads).enumerate().filter(|(_, (_, load))| !load.dead);
            let roomiest = alive().max_by_key(|(_, machine)| room(*machine));
            let (index, machine) =
                roomiest.ok_or_else(|| Error::environment("none of the builders answers any more"))?;
            if room(machine) > 0 {
                loads[index].sessions += 1;
                return Ok((&self.machines[index], Place { machines: self, index }));
            }
            loads = self.changed.wait_timeout(loads, LOOK).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Does something on a machine; when that dies, on another one.
    fn on_some<T>(&self, workshop: &Workshop, mut work: impl FnMut(&DockerEngine) -> Result<T>) -> Result<T> {
        loop {
            let (machine, place) = self.pick(workshop)?;
            let error = match work(&machine.engine) {
                Err(error) if error.kind() == ErrorKind::Environment => error,
                other => return other,
            };
            workshop.stop.check()?;
            if self.runtime.block_on(machine.engine.answers()) {
                return Err(error);
            }
            self.change(place.index, |load| load.dead = true);
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
                let over = matches!(notice, Notice::Exited(_));
                tell(left[index], notice, at)?;
                if over {
                    // Not before: what it made may have gone with its machine.
                    ended.insert(left[index]);
                }
                Ok(())
            })
        })
    }

    fn interact(&self, workshop: &Workshop, session: &Session<'_>, _: Option<Waiting>) -> Result<Interaction> {
        let (machine, _place) = self.pick(workshop)?;
        machine.engine.interact(workshop, session, None)
    }

    fn make_builder(&self, workshop: &Workshop, wanted: &WantedBuilder) -> Result<(Record, Outcome)> {
        self.on_some(workshop, |engine| engine.make_builder(workshop, wanted))
    }
}

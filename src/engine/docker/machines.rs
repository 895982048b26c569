//! Engines on several machines as one: work goes where there is room, and from a machine that dies to another one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;

use super::DockerEngine;
use crate::docker::Endpoint;
use crate::domain::{Arch, Error, ErrorKind, Event, Outcome, Result, ResultExt};
use crate::engine::native::sandbox::{Notice, Waiting};
use crate::engine::session::{Ending, Engine, Interaction, Session, Tell, WantedBuilder, WantedImage};
use crate::engine::{LOOK, Workshop};
use crate::store::Record;

/// Engines that build for some targets, each of them once, whatever it builds for.
struct Farm {
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

/// What a machine says of itself.
struct Greeting {
    arch: Arch,
    processors: usize,
}

#[derive(Clone, Copy, Default)]
struct Load {
    sessions: usize,
    dead: bool,
}

/// Room for a session on a machine.
struct Place<'a> {
    farm: &'a Farm,
    index: usize,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.farm.change(self.index, |load| load.sessions -= 1);
    }
}

/// Machines that may do the same work.
pub(crate) struct Machines {
    farm: Arc<Farm>,
    /// Their architecture.
    arch: Arch,
    /// Which of the farm's they are.
    members: Vec<usize>,
}

impl Machines {
    /// Greets all of them, at once. One that does not answer is left out with a warning, as long as another does.
    ///
    /// # Errors
    /// When none answers for a target, or those of one are of different architectures.
    pub(crate) fn open(
        builders: BTreeMap<Arch, Vec<Endpoint>>,
        engine: &dyn Fn(Endpoint) -> DockerEngine,
        runtime: Handle,
        warn: &dyn Fn(String),
    ) -> Result<BTreeMap<Arch, Machines>> {
        let mut engines: Vec<DockerEngine> = Vec::new();
        let known = |engines: &[DockerEngine], endpoint: &Endpoint| {
            engines.iter().position(|engine| engine.endpoint().address == endpoint.address)
        };
        for endpoint in builders.values().flatten() {
            if known(&engines, endpoint).is_none() {
                engines.push(engine(endpoint.clone()));
            }
        }
        let greet = |engine: &DockerEngine| {
            let facts = runtime.block_on(engine.facts())?;
            Ok(Greeting { arch: facts.arch, processors: facts.processors.max(1) })
        };
        let greetings: Vec<Result<Greeting>> = std::thread::scope(|scope| {
            let threads: Vec<_> = engines.iter().map(|engine| scope.spawn(|| greet(engine))).collect();
            let bug = |_| Err(Error::bug("greeting a machine panicked"));
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(bug)).collect()
        });
        let mut pools = Vec::new();
        for (target, endpoints) in builders {
            let mut members: Vec<usize> = endpoints.iter().filter_map(|endpoint| known(&engines, endpoint)).collect();
            members.sort_unstable();
            members.dedup();
            let arch = common_arch(members.iter().map(|member| greetings[*member].as_ref()));
            pools.push((target, arch.context(|| format!("the builders for {target}"))?, members));
        }
        let (mut machines, mut loads) = (Vec::new(), Vec::new());
        for (engine, greeting) in engines.into_iter().zip(greetings) {
            loads.push(Load { sessions: 0, dead: greeting.is_err() });
            if let Err(error) = &greeting {
                warn(format!("the builder {} is left out: {error}", engine.endpoint()));
            }
            machines.push(Machine { engine, slots: greeting.map_or(0, |greeting| greeting.processors) });
        }
        let farm = Arc::new(Farm { machines, loads: Mutex::new(loads), changed: Condvar::new(), runtime });
        let pool = |(target, arch, members)| (target, Machines { farm: farm.clone(), arch, members });
        Ok(pools.into_iter().map(pool).collect())
    }

    /// The architecture of the machines.
    pub(crate) fn arch(&self) -> Arch {
        self.arch
    }

    /// Sessions that all machines of a run may have at once.
    pub(crate) fn slots(pools: &BTreeMap<Arch, Machines>) -> usize {
        let farm = pools.values().next().map(|pool| &pool.farm);
        farm.map_or(0, |farm| farm.machines.iter().map(|machine| machine.slots).sum())
    }

    /// A place on the living machine with the most room, as soon as there is one.
    fn pick(&self, workshop: &Workshop) -> Result<(&Machine, Place<'_>)> {
        let farm = &*self.farm;
        let mut loads = farm.loads();
        loop {
            workshop.stop.check()?;
            let alive = self.members.iter().copied().filter(|index| !loads[*index].dead);
            let room = |index: &usize| farm.machines[*index].slots.saturating_sub(loads[*index].sessions);
            let roomiest = alive.max_by_key(|index| (room(index), std::cmp::Reverse(*index)));
            let index = roomiest.ok_or_else(|| Error::environment("none of the builders answers any more"))?;
            if room(&index) > 0 {
                loads[index].sessions += 1;
                return Ok((&farm.machines[index], Place { farm, index }));
            }
            loads = farm.changed.wait_timeout(loads, LOOK).unwrap_or_else(PoisonError::into_inner).0;
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
            if self.farm.runtime.block_on(machine.engine.answers()) {
                return Err(error);
            }
            self.farm.change(place.index, |load| load.dead = true);
            let name = machine.engine.endpoint();
            let text = format!("the builder {name} is gone, and its work goes to another one: {error}");
            workshop.events.emit(Event::Warning { text });
        }
    }
}

/// The architecture of machines that are to do the same work, of which some have not answered.
fn common_arch<'a>(greetings: impl Iterator<Item = Result<&'a Greeting, &'a Error>>) -> Result<Arch> {
    let (mut arches, mut failure) = (BTreeSet::new(), None);
    for greeting in greetings {
        match greeting {
            Ok(greeting) => _ = arches.insert(greeting.arch),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    let mut arches = arches.into_iter();
    match (arches.next(), arches.next(), failure) {
        (Some(arch), None, _) => Ok(arch),
        (Some(_), Some(_), _) => {
            Err(Error::usage("builders of one platform run on machines of different architectures")
                .hint("their programs would come out of different compilers; name builders of one kind"))
        }
        (None, _, Some(error)) => Err(error.again()),
        (None, _, None) => Err(Error::bug("no machines")),
    }
}

impl Farm {
    fn loads(&self) -> MutexGuard<'_, Vec<Load>> {
        self.loads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, index: usize, change: impl FnOnce(&mut Load)) {
        change(&mut self.loads()[index]);
        self.changed.notify_all();
    }
}

impl Engine for Machines {
    fn run(&self, workshop: &Workshop, session: &Session<'_>, tell: &mut Tell<'_>) -> Result<Ending> {
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

    fn build_image(&self, workshop: &Workshop, wanted: &WantedImage<'_>, archive: &Path) -> Result<()> {
        self.on_some(workshop, |engine| engine.build_image(workshop, wanted, archive))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_of_a_target_have_one_architecture_whether_all_answer_or_not() {
        let of = |arch| Ok(Greeting { arch, processors: 1 });
        let silent = || Err(Error::environment("nobody answers"));
        let common = |greetings: &[Result<Greeting>]| {
            common_arch(greetings.iter().map(Result::as_ref)).map_err(|error| error.to_string())
        };
        assert_eq!(common(&[of(Arch::Arm64), silent(), of(Arch::Arm64)]), Ok(Arch::Arm64));
        assert_eq!(common(&[silent(), silent()]), Err("nobody answers".into()));
        assert!(common(&[of(Arch::Arm64), silent(), of(Arch::Amd64)]).is_err_and(|text| text.contains("different")));
    }
}

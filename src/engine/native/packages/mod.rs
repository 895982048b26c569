//! Makes layers of distribution packages: those of a run together, so that one download serves them in the right order.
//!
//! Layers come in waves: first what stands on nothing, then what stands on that. A wave is downloaded and unpacked
//! while the packages of the next one are still being chosen.

mod complete;
mod layers;
mod resolver;
mod wave;

pub(crate) use complete::make_mount_points;

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use crate::debian::Package;
use crate::domain::{Digest, Error, Event, Outcome, Result};
use crate::engine::board::Board;
use crate::engine::{Assessment, Workshop, assess, made};
use crate::plan::{PackageLayer, Step, StepId, Work};
use crate::store::{KeyLock, Scratch};

use layers::Layers;
use resolver::{Choice, Resolver};

/// A layer that has to be made.
struct Pending<'a> {
    /// All steps that it is the result of, one at least.
    steps: Vec<&'a Step>,
    layer: &'a PackageLayer,
    assessment: Assessment,
    packages: Vec<Package>,
    scratch: Scratch,
    started: Instant,
    _lock: KeyLock,
}

/// Makes all package layers of a plan, and tells each as soon as it is there. Blocks.
pub(crate) fn install(workshop: &Workshop, board: &Board, steps: &[Step]) {
    let layers = Layers::default();
    let installer = Installer { workshop, board, resolver: Resolver::new(workshop, &layers), layers: &layers };
    if let Err(error) = installer.run(steps) {
        for step in steps {
            if matches!(board.receiver(&step.id).map(|receiver| receiver.borrow().is_some()), Ok(false)) {
                board.failed(workshop, &step.id, error.again(), Duration::ZERO);
            }
        }
    }
}

struct Installer<'a> {
    workshop: &'a Workshop,
    board: &'a Board,
    resolver: Resolver<'a>,
    layers: &'a Layers,
}

impl Installer<'_> {
    fn run(&self, steps: &[Step]) -> Result<()> {
        thread::scope(|scope| {
            let mut lists: BTreeMap<StepId, Choice> = BTreeMap::new();
            let mut makers = Vec::new();
            let mut result = Ok(());
            for (number, wave) in waves(steps).into_iter().enumerate() {
                match self.resolver.choose(&wave, &mut lists).and_then(|()| self.look_up(&wave, &lists)) {
                    Ok(pending) if pending.is_empty() => {}
                    Ok(pending) => makers.push(scope.spawn(move || self.make(number, &pending))),
                    Err(error) => {
                        self.layers.give_up();
                        result = Err(error);
                        break;
                    }
                }
            }
            for maker in makers {
                let made = maker.join().unwrap_or_else(|_| Err(Error::bug("making packages' layers panicked")));
                result = result.and(made);
            }
            result
        })
    }

    /// Tells of the layers that are there, and gives those that are not.
    fn look_up<'a>(
        &self,
        wave: &[(&'a Step, &'a PackageLayer)],
        lists: &BTreeMap<StepId, Choice>,
    ) -> Result<Vec<Pending<'a>>> {
        // Targets whose packages are the same share a layer; by key, the order in which all processes lock them.
        let mut found: BTreeMap<Digest, (Assessment, &PackageLayer, Vec<&Step>)> = BTreeMap::new();
        for (step, layer) in wave {
            let choice = lists.get(&step.id).map(|choice| choice.digest);
            let assessment =
                assess(&self.workshop.store, &self.workshop.scope(), step, &|id| self.layers.key(id), choice)
                    .ok_or_else(|| Error::bug("a layer without the one below"))?;
            self.layers.name(&step.id, assessment.key);
            found.entry(assessment.key).or_insert_with(|| (assessment, layer, Vec::new())).2.push(step);
        }
        // Held to the end of the run, so before any key: a process that waited for it with a key would be waited for.
        if let Some((_, layer, _)) = found.values().find(|(assessment, ..)| assessment.record.is_none()) {
            self.resolver.apt(&layer.suite)?;
        }
        let mut pending = Vec::new();
        for (mut assessment, layer, steps) in found.into_values() {
            let (started, step) = (Instant::now(), steps[0]);
            let mut lock = None;
            if assessment.record.is_none() {
                lock = Some(self.workshop.lock(&step.id, &assessment.key)?);
                // Somebody else may have made it while we waited.
                assessment.record = made(&self.workshop.store, step, &assessment.key);
            }
            match (&assessment.record, lock) {
                (Some(record), _) => {
                    self.layers.done(assessment.key);
                    for step in steps {
                        self.board.done(self.workshop, &step.id, record.clone(), Outcome::Cached, Duration::ZERO);
                    }
                }
                (None, lock) => {
                    let lock = lock.ok_or_else(|| Error::bug("a layer without its lock"))?;
                    let choice = lists.get(&step.id).ok_or_else(|| Error::bug("a layer without its packages"))?;
                    let packages = self.resolver.packages(choice)?;
                    let scratch = self.workshop.store.scratch()?;
                    for step in &steps {
                        let (step, reason) = (step.id.to_string(), assessment.reason.clone());
                        self.workshop.events.emit(Event::Started { step, reason });
                    }
                    pending.push(Pending { steps, layer, assessment, packages, scratch, started, _lock: lock });
                }
            }
        }
        Ok(pending)
    }
}

/// Layers in the order in which they can be made: each wave stands on earlier ones.
fn waves(steps: &[Step]) -> Vec<Vec<(&Step, &PackageLayer)>> {
    let mut waves: Vec<Vec<(&Step, &PackageLayer)>> = Vec::new();
    for step in steps {
        let Work::Packages(layer) = &step.work else { continue };
        let holds =
            |wave: &Vec<(&Step, &PackageLayer)>| wave.iter().any(|(other, _)| Some(&other.id) == layer.below.as_ref());
        let number = waves.iter().position(holds).map_or(0, |below| below + 1);
        if waves.len() == number {
            waves.push(Vec::new());
        }
        waves[number].push((step, layer));
    }
    waves
}

impl Pending<'_> {
    /// The step that stands for all.
    fn step(&self) -> &Step {
        self.steps[0]
    }
}

/// The key of the layer below: a package layer's digest is its key, and the key is an input.
fn below(pending: &Pending<'_>) -> Result<Option<Digest>> {
    let Some(id) = &pending.layer.below else { return Ok(None) };
    let key = pending.assessment.inputs.get(id.as_str()).and_then(|text| text.parse().ok());
    key.map(Some).ok_or_else(|| Error::bug("a layer without the one below"))
}

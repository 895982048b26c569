//! Sends each session to the engine that builds for its target.

use std::collections::BTreeMap;
use std::path::Path;

use super::Workshop;
use super::docker::Machines;
use super::native::sandbox::Waiting;
use super::session::{Ending, Engine, Interaction, Session, Tell, WantedBuilder, WantedImage};
use crate::domain::{Arch, Outcome, Result};
use crate::store::Record;

/// An engine for everything, but for targets that have builders of their own.
pub(super) struct Dispatch {
    pub(super) local: Box<dyn Engine>,
    pub(super) machines: BTreeMap<Arch, Machines>,
}

impl Dispatch {
    fn engine(&self, target: Option<Arch>) -> &dyn Engine {
        match target.and_then(|target| self.machines.get(&target)) {
            Some(machines) => machines,
            None => self.local.as_ref(),
        }
    }
}

impl Engine for Dispatch {
    fn greet(&self, workshop: &Workshop, target: Option<Arch>) -> Result<()> {
        self.engine(target).greet(workshop, target)
    }

    fn run(&self, workshop: &Workshop, session: &Session<'_>, tell: &mut Tell<'_>) -> Result<Ending> {
        self.engine(session.target).run(workshop, session, tell)
    }

    fn interact(&self, workshop: &Workshop, session: &Session<'_>, started: Option<Waiting>) -> Result<Interaction> {
        self.engine(session.target).interact(workshop, session, started)
    }

    fn make_builder(&self, workshop: &Workshop, wanted: &WantedBuilder) -> Result<(Record, Outcome)> {
        self.engine(wanted.step.arch).make_builder(workshop, wanted)
    }

    fn build_image(&self, workshop: &Workshop, wanted: &WantedImage<'_>, archive: &Path) -> Result<()> {
        self.engine(Some(wanted.order.arch)).build_image(workshop, wanted, archive)
    }
}

//! What planning must know beside the project.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::builders::Builders;
use super::step::StepId;
use crate::config::{Binary, Variables};
use crate::domain::{Arch, Digest, Name, TimeLimit};

/// What planning must know beside the project.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The machine's architecture.
    pub host: Arch,
    /// The architecture that builders run on: another one, where the engine is on another machine.
    pub builder_host: Arch,
    /// What builders are.
    pub builders: Builders,
    /// Targets whose builders are images on machines of an architecture of their own.
    pub machines: BTreeMap<Arch, Arch>,
    /// Digest of the project's tree; absent when nothing is built from it.
    pub tree: Option<Digest>,
    /// Names for templates, with those of git.
    pub variables: Variables,
    /// The time that outputs carry, in seconds since 1970.
    pub epoch: u64,
    /// What commands see of xbuild's own environment.
    pub environment: BTreeMap<String, String>,
    /// How long commands may run that do not say so themselves.
    pub time_limit: Option<Duration>,
    /// Labels that every image gets.
    pub labels: BTreeMap<String, String>,
    /// The images that an image of the project starts from or copies from, for one of its architectures; those of the
    /// project itself are not among them.
    pub bases: BTreeMap<(Name, Arch), BTreeSet<BaseName>>,
    /// The images that run commands of another architecture than the machine's.
    pub emulated: BTreeSet<(Name, Arch)>,
    /// The stage that images end with, if it is none that they say themselves.
    pub stage: Option<String>,
}

impl Facts {
    /// For a machine that builds with builders of its own architecture, where nothing else is known or asked for.
    pub fn new(host: Arch, builders: Builders) -> Facts {
        Facts {
            host,
            builder_host: host,
            builders,
            machines: BTreeMap::new(),
            tree: None,
            variables: Variables::default(),
            epoch: 0,
            environment: BTreeMap::new(),
            time_limit: None,
            labels: BTreeMap::new(),
            bases: BTreeMap::new(),
            emulated: BTreeSet::new(),
            stage: None,
        }
    }

    /// What the builder for a target is; without one, what all targets share.
    pub(super) fn builders_for(&self, target: Option<Arch>) -> &Builders {
        match target.and_then(|target| self.machines.get(&target)) {
            Some(_) => &Builders::Images,
            None => &self.builders,
        }
    }

    /// How long a program's command or test may run.
    pub(super) fn time_limit(&self, binary: &Binary) -> Option<Duration> {
        binary.time_limit.map(TimeLimit::duration).or(self.time_limit)
    }

    /// The architecture that the builder for a target runs on.
    pub fn host_of(&self, target: Arch) -> Arch {
        self.machines.get(&target).copied().unwrap_or(self.builder_host)
    }
}

/// An image that is none of the project's, by its name after FROM, for an architecture: not always that of the image
/// that it is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BaseName {
    /// As in `debian:trixie-slim`.
    pub name: String,
    /// For whom.
    pub arch: Arch,
}

impl BaseName {
    /// The step that has it.
    pub fn step(&self) -> StepId {
        StepId::new(&["base", &self.name, self.arch.name()])
    }
}

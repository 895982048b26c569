//! Which packages a layer gets: as chosen before, or as apt chooses now.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::layers::Layers;
use crate::debian::{self, Apt, Base, Package, PackageName, Suite};
use crate::domain::{Digest, Error, Event, Result, ResultExt};
use crate::engine::{Resolution, Workshop, assess, layer_path, resolution_key};
use crate::plan::{PackageLayer, Step, StepId};
use crate::store::{Bucket, KeyLock};

/// A layer's packages, which are in the store.
#[derive(Debug, Clone, Copy)]
pub(super) struct Choice {
    /// Where in the store.
    key: Digest,
    /// Stands for them.
    pub(super) digest: Digest,
}

/// apt with fresh indexes; the lock keeps other processes out.
pub(super) struct Opened {
    pub(super) apt: Apt,
    _lock: KeyLock,
}

pub(super) struct Resolver<'a> {
    workshop: &'a Workshop,
    /// Keys of the layers below.
    layers: &'a Layers,
    /// Opened when something has to be chosen or downloaded.
    opened: Mutex<Option<Arc<Opened>>>,
}

impl Resolver<'_> {
    pub(super) fn new<'a>(workshop: &'a Workshop, layers: &'a Layers) -> Resolver<'a> {
        Resolver { workshop, layers, opened: Mutex::default() }
    }

    /// Adds the packages of a wave's layers to `lists`, which has those of the layers below.
    pub(super) fn choose(&self, wave: &[(&Step, &PackageLayer)], lists: &mut BTreeMap<StepId, Choice>) -> Result<()> {
        let known = &*lists;
        let queue = Mutex::new(wave.iter());
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
        // apt thinks on one processor.
        let chosen: Vec<Result<Vec<(StepId, Choice)>>> = thread::scope(|scope| {
            let worker = || {
                let mut chosen = Vec::new();
                while let Some((step, layer)) = next() {
                    let below = layer.below.as_ref().and_then(|id| known.get(id));
                    chosen.push((step.id.clone(), self.layer(step, layer, below)?));
                }
                Ok(chosen)
            };
            let workers: Vec<_> = (0..self.workshop.jobs.min(wave.len())).map(|_| scope.spawn(worker)).collect();
            let joined = workers.into_iter().map(|worker| worker.join());
            joined.map(|result| result.unwrap_or_else(|_| Err(Error::bug("choosing packages panicked")))).collect()
        });
        for result in chosen {
            lists.extend(result?);
        }
        Ok(())
    }

    fn layer(&self, step: &Step, layer: &PackageLayer, below: Option<&Choice>) -> Result<Choice> {
        let key = resolution_key(step, layer, below.map(|choice| choice.digest));
        let store = &self.workshop.store;
        if !self.workshop.update
            && let Some(list) = store.read_json::<Resolution>(Bucket::Resolutions, &key)
            && (!list.packages.is_empty() || self.is_there(step, &list))
        {
            return Ok(Choice { key, digest: list.digest });
        }
        let resolution = self.ask(step, layer, below)?;
        store.save_json(Bucket::Resolutions, &key, &resolution)?;
        Ok(Choice { key, digest: resolution.digest })
    }

    /// Whether the layer of a list is in the store. One that came from an engine has a list without packages, which is good
    /// for nothing else.
    fn is_there(&self, step: &Step, list: &Resolution) -> bool {
        let below = |id: &StepId| self.layers.key(id);
        let assessment = assess(&self.workshop.store, &self.workshop.scope(), step, &below, Some(list.digest));
        assessment.is_some_and(|assessment| assessment.record.is_some())
    }

    /// The packages themselves.
    pub(super) fn packages(&self, choice: &Choice) -> Result<Vec<Package>> {
        let list: Option<Resolution> = self.workshop.store.read_json(Bucket::Resolutions, &choice.key);
        list.map(|list| list.packages).ok_or_else(|| {
            Error::environment("a list of packages has left the store").hint("was it emptied meanwhile?")
        })
    }

    fn ask(&self, step: &Step, layer: &PackageLayer, below: Option<&Choice>) -> Result<Resolution> {
        let progress = Event::Progress { step: step.id.to_string(), what: "choosing packages", done: 0, total: None };
        self.workshop.events.emit(progress);
        let opened = self.apt(&layer.suite)?;
        let names = layer
            .names
            .iter()
            .map(|name| name.parse::<PackageName>().or_usage(|| format!("{}", step.id)))
            .collect::<Result<Vec<_>>>()?;
        let (base, installed) = match below {
            Some(choice) => (Base::Below, self.installed(step, layer, choice, &opened.apt)?),
            None if layer.keep.is_empty() => (Base::Essential, String::new()),
            None => (Base::Below, String::new()),
        };
        let packages = opened.apt.resolve(&names, base, &installed).context(|| format!("{}", step.id))?;
        Ok(Resolution::new(packages))
    }

    /// The status of the packages of the layer below. One that was not made here has no list, but is there.
    fn installed(&self, step: &Step, layer: &PackageLayer, below: &Choice, apt: &Apt) -> Result<String> {
        let packages = self.packages(below)?;
        let key = layer.below.as_ref().and_then(|id| self.layers.key(id)).filter(|_| packages.is_empty());
        match key {
            Some(key) => debian::read_status(&layer_path(&self.workshop.store, &key)),
            None => apt.status_of(&packages),
        }
        .context(|| step.id.to_string())
    }

    /// apt, with fresh indexes.
    pub(super) fn apt(&self, suite: &str) -> Result<Arc<Opened>> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(opened) = &*opened {
            return Ok(opened.clone());
        }
        let workshop = self.workshop;
        let name: Suite = suite.parse().or_usage(|| "bootstrap".into())?;
        let lock = workshop.store.lock(&Digest::of(format!("apt {name}")))?;
        let apt = Apt::new(&self.folder(suite).join("apt"), workshop.mirrors()?, name, workshop.host)?;
        if workshop.offline {
            return Err(Error::environment(format!(
                "the packages of {suite} are not in the store, and --offline forbids downloads"
            )));
        }
        apt.update()?;
        Ok(opened.insert(Arc::new(Opened { apt, _lock: lock })).clone())
    }

    /// Where a suite's indexes and archives are.
    pub(super) fn folder(&self, suite: &str) -> PathBuf {
        self.workshop.store.bucket(Bucket::Packages).join(suite)
    }
}

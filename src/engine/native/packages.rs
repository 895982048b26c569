//! Makes layers of distribution packages: all of a run's together, so that one download serves them in the right order.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::root::{RootRequest, open_root};
use super::sandbox::{self, Command, Identity, Network};
use super::tree_digest;
use crate::debian::{self, Apt, Base, Limits, Ownership, PackageName, Suite, Unpacked, Unpacking};
use crate::domain::{Digest, Error, Event, Outcome, Result, ResultExt, Stream};
use crate::engine::board::Board;
use crate::engine::{Assessment, Resolution, Workshop, assess, layer_path, resolution_key};
use crate::plan::{PackageLayer, Step, StepId, Work};
use crate::store::{Bucket, KeyLock, Record, Scratch, remove_tree};

/// A layer that has to be made.
struct Pending<'a> {
    step: &'a Step,
    layer: &'a PackageLayer,
    assessment: Assessment,
    resolution: Resolution,
    scratch: Scratch,
    started: Instant,
    _lock: KeyLock,
}

/// Makes all package layers of a plan, and tells each as soon as it is there. Blocks.
pub(crate) fn install(workshop: &Workshop, board: &Board, steps: &[Step]) {
    let mut finished: Vec<StepId> = Vec::new();
    let result = Installer { workshop, board, apt: None, finished: &mut finished }.run(steps);
    if let Err(error) = result {
        for step in steps.iter().filter(|step| !finished.contains(&step.id)) {
            board.failed(workshop, &step.id, error.again(), Duration::ZERO);
        }
    }
}

struct Installer<'a> {
    workshop: &'a Workshop,
    board: &'a Board,
    /// Opened when something has to be resolved or downloaded; the lock keeps others out.
    apt: Option<(Apt, KeyLock)>,
    finished: &'a mut Vec<StepId>,
}

impl Installer<'_> {
    fn run(&mut self, steps: &[Step]) -> Result<()> {
        let mut lists: BTreeMap<StepId, (Digest, Resolution)> = BTreeMap::new();
        let mut digests: BTreeMap<StepId, Digest> = BTreeMap::new();
        let mut pending = Vec::new();
        for step in steps {
            let Work::Packages(layer) = &step.work else { continue };
            let below = layer.below.as_ref().and_then(|id| lists.get(id));
            let resolution = self.resolve(step, layer, below.map(|(digest, list)| (*digest, list)))?;
            let list = resolution.digest();
            lists.insert(step.id.clone(), (list, resolution.clone()));
            let look = || {
                let needs = |id: &StepId| digests.get(id).copied();
                assess(&self.workshop.store, &self.workshop.scope(), step, &needs, Some(list))
                    .ok_or_else(|| Error::bug("a layer without the one below"))
            };
            let mut assessment = look()?;
            let started = Instant::now();
            let mut lock = None;
            if assessment.record.is_none() {
                lock = Some(self.workshop.store.lock(&assessment.key)?);
                // Somebody else may have made it while we waited.
                assessment = look()?;
            }
            digests.insert(step.id.clone(), assessment.key);
            match (&assessment.record, lock) {
                (Some(record), _) => {
                    self.board.done(self.workshop, &step.id, record.clone(), Outcome::Cached, Duration::ZERO);
                    self.finished.push(step.id.clone());
                }
                (None, lock) => {
                    let lock = lock.ok_or_else(|| Error::bug("a layer without its lock"))?;
                    let scratch = self.workshop.store.scratch()?;
                    let reason = assessment.reason.clone();
                    self.workshop.events.emit(Event::Started { step: step.id.to_string(), reason });
                    pending.push(Pending { step, layer, assessment, resolution, scratch, started, _lock: lock });
                }
            }
        }
        if pending.is_empty() { Ok(()) } else { self.make(pending) }
    }

    /// The packages of a layer: as chosen before, or as apt chooses now.
    fn resolve(
        &mut self,
        step: &Step,
        layer: &PackageLayer,
        below: Option<(Digest, &Resolution)>,
    ) -> Result<Resolution> {
        let key = resolution_key(step, layer, below.map(|(digest, _)| digest));
        let store = &self.workshop.store;
        if !self.workshop.update
            && let Some(resolution) = store.read_json(Bucket::Resolutions, &key)
        {
            return Ok(resolution);
        }
        let what = "choosing packages";
        let progress = Event::Progress { step: step.id.to_string(), what, done: 0, total: None };
        self.workshop.events.emit(progress);
        let apt = self.apt(layer)?;
        let names = layer
            .names
            .iter()
            .map(|name| name.parse::<PackageName>().or_usage(|| format!("{}", step.id)))
            .collect::<Result<Vec<_>>>()?;
        let (base, installed) = match below {
            Some((_, list)) => (Base::Below, apt.status_of(&list.packages)?),
            None if layer.keep.is_empty() => (Base::Essential, String::new()),
            None => (Base::Below, String::new()),
        };
        let packages = apt.resolve(&names, base, &installed).context(|| format!("{}", step.id))?;
        let resolution = Resolution { packages };
        store.save_json(Bucket::Resolutions, &key, &resolution)?;
        Ok(resolution)
    }

    fn apt(&mut self, layer: &PackageLayer) -> Result<&Apt> {
        if self.apt.is_none() {
            let suite: Suite = layer.suite.parse().or_usage(|| "bootstrap".into())?;
            let lock = self.workshop.store.lock(&Digest::of(format!("apt {suite}")))?;
            let folder = self.folder(&layer.suite);
            let apt = Apt::new(&folder.join("apt"), self.workshop.mirrors()?, suite, self.workshop.host)?;
            if self.workshop.offline {
                return Err(Error::environment(format!(
                    "the packages of {} are not in the store, and --offline forbids downloads",
                    layer.suite
                )));
            }
            apt.update()?;
            self.apt = Some((apt, lock));
        }
        self.apt.as_ref().map(|(apt, _)| apt).ok_or_else(|| Error::bug("apt was not opened"))
    }

    fn folder(&self, suite: &str) -> PathBuf {
        self.workshop.store.bucket(Bucket::Packages).join(suite)
    }

    /// Downloads, unpacks and configures, all at the same time where one does not wait for the other.
    fn make(&mut self, pending: Vec<Pending<'_>>) -> Result<()> {
        let workshop = self.workshop;
        let first = pending[0].layer;
        self.apt(first)?;
        let archives = self.folder(&first.suite).join("archives");
        let ownership = if workshop.identity == Identity::Root { Ownership::Apply } else { Ownership::Ignore };
        let mut roots = Vec::new();
        for layer in &pending {
            let below = self.below(layer, &pending)?;
            let place = layer.scratch.path().join("layer");
            roots.push(Unpacking::new(&place, below, ownership, Limits::default())?);
        }
        let apt = &self.apt.as_ref().ok_or_else(|| Error::bug("apt was not opened"))?.0;
        let layers: Vec<debian::Layer<'_>> = pending
            .iter()
            .zip(&roots)
            .map(|(layer, unpacking)| debian::Layer { packages: &layer.resolution.packages, unpacking })
            .collect();
        let (sender, receiver) = mpsc::channel::<(usize, Vec<Unpacked>)>();
        let sender = std::sync::Mutex::new(sender);
        let board = self.board;
        let finished = &mut *self.finished;
        let (made, unpackings) = (&pending, &roots);
        std::thread::scope(|scope| {
            let configure = scope.spawn(move || {
                let mut waiting: Vec<(usize, Vec<Unpacked>)> = Vec::new();
                let mut done: Vec<Digest> = Vec::new();
                loop {
                    let ready = waiting.iter().position(|(index, _)| {
                        let layer = &made[*index];
                        match below_key(layer, made) {
                            Some(below) => done.contains(&below),
                            None => true,
                        }
                    });
                    match ready {
                        Some(place) => {
                            let (index, unpacked) = waiting.remove(place);
                            let layer = &made[index];
                            let record = complete(workshop, layer, &unpackings[index], &unpacked)?;
                            done.push(layer.assessment.key);
                            finished.push(layer.step.id.clone());
                            board.done(workshop, &layer.step.id, record, Outcome::Built, layer.started.elapsed());
                        }
                        None => match receiver.recv() {
                            Ok(message) => waiting.push(message),
                            Err(_) => return Ok(()),
                        },
                    }
                }
            });
            let steps: Vec<String> = pending.iter().map(|layer| layer.step.id.to_string()).collect();
            let mut progress = |done, total| {
                workshop.stop.check()?;
                for step in &steps {
                    let step = step.clone();
                    let total = Some(total);
                    workshop.events.emit(Event::Progress { step, what: "downloading", done, total });
                }
                Ok(())
            };
            let on_layer = |index: usize, unpacked: Vec<Unpacked>| {
                let sender = sender.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                sender.send((index, unpacked)).map_err(|_| Error::interrupted())
            };
            let installed = debian::install(apt, &layers, &archives, workshop.jobs, &mut progress, &on_layer);
            drop(sender);
            let configured: Result<()> =
                configure.join().unwrap_or_else(|_| Err(Error::bug("configuring packages panicked")));
            configured.and(installed)
        })?;
        // Their contents are in the layers now.
        remove_tree(&archives)
    }

    fn below(&self, layer: &Pending<'_>, pending: &[Pending<'_>]) -> Result<Vec<PathBuf>> {
        if layer.layer.below.is_none() {
            return Ok(Vec::new());
        }
        let key = match below_key(layer, pending) {
            Some(key) => key,
            None => below_input(layer)?,
        };
        Ok(vec![layer_path(&self.workshop.store, &key)])
    }
}

/// The key of the layer below, if that is made now too.
fn below_key(layer: &Pending<'_>, pending: &[Pending<'_>]) -> Option<Digest> {
    let below = layer.layer.below.as_ref()?;
    pending.iter().find(|other| other.step.id == *below).map(|other| other.assessment.key)
}

/// The key of the layer below: a package layer's digest is its key, and the key is an input.
fn below_input(layer: &Pending<'_>) -> Result<Digest> {
    let below = layer.layer.below.as_ref().and_then(|id| layer.assessment.inputs.get(id.as_str()));
    below.and_then(|text| text.parse().ok()).ok_or_else(|| Error::bug("a layer without the one below"))
}

/// Configures a layer whose packages are unpacked, and moves it into the store.
fn complete(workshop: &Workshop, layer: &Pending<'_>, unpacking: &Unpacking, unpacked: &[Unpacked]) -> Result<Record> {
    let place = layer.scratch.path().join("layer");
    let mut cpu = 0.0;
    let finished = if layer.layer.keep.is_empty() {
        let below = match layer.layer.below {
            Some(_) => Some(below_input(layer)?),
            None => None,
        };
        let installed = match below {
            Some(key) => debian::read_status(&layer_path(&workshop.store, &key))?,
            None => String::new(),
        };
        unpacking.complete(unpacked, &installed)?;
        let epoch = debian::newest_mtime(unpacked);
        cpu = configure(workshop, layer, below, &debian::configure_script(unpacked, epoch))?;
        debian::clean(&place, epoch)?;
        place
    } else {
        keep_only(layer, &place)?
    };
    let tree = tree_digest(&finished)?;
    workshop.store.keep(&finished, &layer_path(&workshop.store, &layer.assessment.key))?;
    let record = Record {
        key: layer.assessment.key,
        step: layer.step.id.to_string(),
        inputs: layer.assessment.inputs.clone(),
        argv: Vec::new(),
        environment: BTreeMap::new(),
        mounts: BTreeMap::new(),
        source: None,
        started: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs()),
        wall: layer.started.elapsed().as_secs_f64(),
        cpu,
        digest: layer.assessment.key,
        tree: Some(tree),
        outputs: BTreeMap::new(),
    };
    workshop.store.save_record(&workshop.scope(), &record)?;
    Ok(record)
}

fn configure(workshop: &Workshop, layer: &Pending<'_>, below: Option<Digest>, script: &str) -> Result<f64> {
    let layers: Vec<Digest> = below.into_iter().collect();
    let scratch = workshop.store.scratch()?;
    let request = RootRequest { layers: &layers, scratch: &scratch, network: Network::None };
    let mut spec = open_root(workshop, &request)?;
    if let Some(root) = &mut spec.root {
        root.upper = layer.scratch.path().join("layer");
        // The overlay's work folder must be on the file system of the upper one, which it is: both are in the store.
    }
    let env = BTreeMap::from([("PATH".to_owned(), "/usr/sbin:/usr/bin:/sbin:/bin".to_owned())]);
    let argv = vec!["/bin/sh".to_owned(), "-c".to_owned(), script.to_owned()];
    spec.commands.push(Command { argv, env, cwd: "/".into(), gate: false });
    let step = layer.step.id.to_string();
    let mut output = |stream: Stream, bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        workshop.events.emit(Event::Output { step: step.clone(), stream, text });
    };
    let exit = sandbox::run_one(&spec, &workshop.stop, &mut output)?;
    if exit.success() {
        Ok(exit.cpu)
    } else {
        Err(Error::environment(format!("cannot configure the packages of {step}: {exit}")))
    }
}

/// Moves the wanted files of a layer to a new one.
fn keep_only(layer: &Pending<'_>, place: &std::path::Path) -> Result<PathBuf> {
    let kept = layer.scratch.folder("kept")?;
    for path in &layer.layer.keep {
        let target = kept.join(path);
        let failed = || format!("{}: the packages bring no {path}", layer.step.id);
        fs::create_dir_all(target.parent().unwrap_or(&kept)).or_environment(failed)?;
        fs::rename(place.join(path), target).or_environment(failed)?;
    }
    Ok(kept)
}

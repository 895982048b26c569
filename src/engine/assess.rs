//! Whether a step is done already, and if not, why.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::{known_choice, open_images};
use crate::debian::Package;
use crate::domain::Digest;
use crate::image::BaseImage;
use crate::plan::{PackageLayer, Plan, State, Step, StepId, Work};
use crate::store::{Bucket, Record, Store};

/// Goes up when steps do something else with the same inputs.
const FORMAT: &str = "1";

/// What a list of package names came to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Resolution {
    /// Stands for exactly these packages, wherever they come from.
    pub digest: Digest,
    /// Packages in order of installation.
    pub packages: Vec<Package>,
}

/// The digest of a [`Resolution`] alone: all that it takes to find a layer that is there.
#[derive(Debug, Deserialize)]
pub struct Resolved {
    /// Stands for exactly these packages.
    pub digest: Digest,
}

impl Resolution {
    /// A list with its digest.
    pub fn new(packages: Vec<Package>) -> Resolution {
        let facts: Vec<_> = packages.iter().map(|p| (&p.name, &p.version, &p.architecture, p.digest)).collect();
        Resolution { digest: Digest::of_json(&facts), packages }
    }
}

/// What is known of a step whose needs are known.
#[derive(Debug, Clone)]
pub struct Assessment {
    /// Everything that the result depends on.
    pub inputs: BTreeMap<String, String>,
    /// Hash of the inputs.
    pub key: Digest,
    /// The record, if the step is done.
    pub record: Option<Record>,
    /// Why it has to be done, else.
    pub reason: String,
}

impl Assessment {
    /// The record of a step that is done now, with what all records say; `wall` is how long it took, in seconds.
    pub(super) fn done(&self, step: &Step, digest: Digest, wall: f64) -> Record {
        Record {
            key: self.key,
            step: step.id.to_string(),
            inputs: self.inputs.clone(),
            argv: Vec::new(),
            environment: BTreeMap::new(),
            mounts: BTreeMap::new(),
            source: None,
            started: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs()),
            wall,
            cpu: 0.0,
            digest,
            tree: None,
            outputs: BTreeMap::new(),
        }
    }
}

/// Where a step's layer is.
pub fn layer_path(store: &Store, key: &Digest) -> PathBuf {
    store.place(Bucket::RootFilesystems, key)
}

/// What a layer's package list is remembered under; `below` is the digest of the list of the layer below.
pub fn resolution_key(step: &Step, layer: &PackageLayer, below: Option<Digest>) -> Digest {
    Digest::of_json(&(&step.inputs, &layer.names, below))
}

/// Looks a step up. `needs` gives the result digests of the steps that it needs, `resolved` the digest of its package
/// list, where it has one.
pub fn assess(
    store: &Store,
    scope: &str,
    step: &Step,
    needs: &dyn Fn(&StepId) -> Option<Digest>,
    resolved: Option<Digest>,
) -> Option<Assessment> {
    let mut inputs = step.inputs.clone();
    inputs.insert("xbuild's format".into(), FORMAT.into());
    match &step.work {
        Work::Packages(_) => _ = inputs.insert("package versions".into(), resolved?.to_string()),
        Work::Base(_) => _ = inputs.insert("what the name stands for".into(), resolved?.to_string()),
        _ => {}
    }
    for id in &step.needs {
        inputs.insert(id.to_string(), needs(id)?.to_string());
    }
    let key = Digest::of_json(&inputs);
    let record = made(store, step, &key);
    let reason = match &record {
        Some(_) => String::new(),
        None => match store.last_record(scope, step.id.as_str()) {
            Some(last) => last.difference(&inputs),
            None => "it was never built here".into(),
        },
    };
    Some(Assessment { inputs, key, record, reason })
}

/// The record of a step with a key, if that is done and its result is there.
pub(super) fn made(store: &Store, step: &Step, key: &Digest) -> Option<Record> {
    store.record(key).filter(|record| is_whole(store, step, record))
}

/// Whether what a record speaks of is still there; contents are `cache fsck`'s business.
fn is_whole(store: &Store, step: &Step, record: &Record) -> bool {
    match &step.work {
        Work::Packages(_) | Work::Archive(_) | Work::Library(_) | Work::Preparation(_) => {
            layer_path(store, &record.key).is_dir()
        }
        Work::Program(_) => {
            let folder = store.place(Bucket::Outputs, &record.key);
            record.outputs.iter().all(|(name, output)| {
                folder.join(name).symlink_metadata().is_ok_and(|m| m.is_file() && m.len() == output.size)
            })
        }
        Work::Base(_) => {
            let find = |layout| BaseImage::find(&layout, &record.key.hex(), step.arch?).ok().flatten();
            open_images(store).ok().and_then(find).is_some_and(|image| image.descriptor.digest == record.digest)
        }
        // Only its engine knows, which is asked when somebody needs it.
        Work::Builder(_) => true,
        Work::Image(_) => false,
    }
}

/// Looks steps up, those that others need first, as far as that can be done before anything runs; else why it cannot.
pub fn survey<'a>(
    store: &Store,
    scope: &str,
    steps: impl IntoIterator<Item = &'a Step>,
) -> BTreeMap<StepId, Result<Assessment, String>> {
    let mut digests: BTreeMap<StepId, Digest> = BTreeMap::new();
    let mut lists: BTreeMap<StepId, Digest> = BTreeMap::new();
    let mut known = BTreeMap::new();
    for step in steps {
        let mut waits = step.needs.iter().find(|id| !digests.contains_key(*id)).map(|id| format!("after {id}"));
        let mut resolved = None;
        if let Work::Packages(layer) = &step.work {
            let below = layer.below.as_ref().and_then(|id| lists.get(id).copied());
            let list: Option<Resolved> = store.read_json(Bucket::Resolutions, &resolution_key(step, layer, below));
            resolved = list.map(|list| list.digest);
            match resolved {
                Some(digest) => _ = lists.insert(step.id.clone(), digest),
                None => waits = Some("its packages are not chosen yet".into()),
            }
        }
        if let Work::Base(base) = &step.work {
            resolved = known_choice(store, step, base).map(|choice| choice.digest());
            if resolved.is_none() {
                waits = Some("what its name stands for is not known yet".into());
            }
        }
        let found = match (waits, assess(store, scope, step, &|id| digests.get(id).copied(), resolved)) {
            (None, Some(assessment)) => {
                // A layer's digest is its key; what other steps make is not known before they ran.
                let layer = matches!(step.work, Work::Packages(_) | Work::Archive(_)).then_some(assessment.key);
                let digest = assessment.record.as_ref().map(|record| record.digest).or(layer);
                digests.extend(digest.map(|digest| (step.id.clone(), digest)));
                Ok(assessment)
            }
            (waits, _) => Err(waits.unwrap_or_default()),
        };
        known.insert(step.id.clone(), found);
    }
    known
}

/// The states of all steps, as far as they can be known before anything runs.
pub fn states(store: &Store, scope: &str, plan: &Plan) -> BTreeMap<StepId, State> {
    let mut known = survey(store, scope, &plan.steps);
    let state = |step: &Step| match known.remove(&step.id) {
        Some(Ok(Assessment { key, record: Some(_), .. })) => State::Cached { key },
        // What it consists of is known by its instructions.
        Some(Ok(_)) if matches!(step.work, Work::Image(_)) => {
            State::Build { key: None, reason: "is assembled each time".into() }
        }
        Some(Ok(Assessment { key, reason, .. })) => State::Build { key: Some(key), reason },
        Some(Err(reason)) => State::Build { key: None, reason },
        None => State::Build { key: None, reason: String::new() },
    };
    plan.steps.iter().map(|step| step.id.clone()).zip(plan.steps.iter().map(state)).collect()
}

//! Takes a builder that an engine has built from its Dockerfile apart, into the layers that the native engine would make
//! of packages: what one engine has made the other need not make again.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use super::builder;
use crate::docker::{Client, Endpoint};
use crate::domain::{Digest, Error, ErrorKind, Event, Outcome, Result, ResultExt};
use crate::engine::native::make_mount_points;
use crate::engine::{Assessment, Resolution, Workshop, assess, layer_path, made, resolution_key};
use crate::image::SavedImage;
use crate::plan::{BuilderImage, Step, StepId, Work};
use crate::store::{Bucket, Record, tree_digest};

/// So long an engine may take to answer: what it has can be made without it.
const PATIENCE: Duration = Duration::from_secs(2);

/// Takes those builders from the engine of this machine that it has, and the store has not. That there is no engine, or
/// that it does not answer, is no error: then they are made. Says whether it took one.
pub(crate) async fn adopt(workshop: &Workshop, builders: &[Step]) -> Result<bool> {
    let Ok(endpoint) = Endpoint::find(None) else { return Ok(false) };
    if Client::greet(&endpoint, PATIENCE).await.is_err() {
        return Ok(false);
    }
    let Ok(client) = Client::connect(&endpoint).await else { return Ok(false) };
    if client.facts().arch != workshop.host {
        return Ok(false);
    }
    let mut any = false;
    for step in builders {
        let Work::Builder(image) = &step.work else { continue };
        let Some(Assessment { key, .. }) = assess(&workshop.store, &workshop.scope(), step, &|_| None, None) else {
            continue;
        };
        if builder::layers(workshop, image).is_some() || client.image(&builder::name(&key)).await?.is_none() {
            continue;
        }
        let started = Instant::now();
        let reason = format!("{endpoint} has it");
        workshop.events.emit(Event::Started { step: step.id.to_string(), reason });
        let outcome = match take(workshop, &client, image, &key).await {
            Ok(()) => {
                any = true;
                Outcome::Built
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => return Err(error),
            // What is in it can be made.
            Err(error) => {
                let text = format!("{} is not taken from {endpoint}: {error}", step.id);
                workshop.events.emit(Event::Warning { text });
                Outcome::Skipped("a builder that can be taken apart".into())
            }
        };
        workshop.events.emit(Event::Finished { step: step.id.to_string(), outcome, took: started.elapsed() });
    }
    Ok(any)
}

async fn take(workshop: &Workshop, client: &Client, image: &BuilderImage, key: &Digest) -> Result<()> {
    let scratch = workshop.store.scratch()?;
    let archive = scratch.path().join("image.tar");
    let failed = || format!("cannot write {}", archive.display());
    let mut file = tokio::fs::File::create(&archive).await.or_environment(failed)?;
    client.save(&builder::name(key), &mut file).await?;
    tokio::io::AsyncWriteExt::flush(&mut file).await.or_environment(failed)?;
    tokio::task::block_in_place(|| {
        let saved = SavedImage::open(&archive, &scratch.path().join("image"))?;
        keep(workshop, image, &saved, scratch.path())
    })
}

/// Puts the layers of an image into the store under the steps that they stand for.
fn keep(workshop: &Workshop, image: &BuilderImage, saved: &SavedImage, scratch: &Path) -> Result<()> {
    let lowest = lowest(image, saved)?;
    let mut digests: BTreeMap<StepId, Digest> = BTreeMap::new();
    let mut lists: BTreeMap<StepId, Digest> = BTreeMap::new();
    for (number, id) in image.stack.iter().enumerate() {
        let step =
            image.layers.iter().find(|step| step.id == *id).ok_or_else(|| Error::bug("a layer without a step"))?;
        let place = scratch.join(format!("layer-{number}"));
        match number {
            0 => {
                saved.unpack_lowest(lowest, &place, scratch)?;
                make_mount_points(&place)?;
            }
            _ => saved.unpack_one(lowest + number - 1, &place)?,
        }
        let tree = tree_digest(&place)?;
        let mut resolved = None;
        if let Work::Packages(layer) = &step.work {
            // Which packages there are, the layer itself knows.
            let below = layer.below.as_ref().and_then(|id| lists.get(id).copied());
            let resolution = Resolution { digest: tree, packages: Vec::new() };
            workshop.store.save_json(Bucket::Resolutions, &resolution_key(step, layer, below), &resolution)?;
            lists.insert(step.id.clone(), tree);
            resolved = Some(tree);
        }
        let assessment = assess(&workshop.store, &workshop.scope(), step, &|id| digests.get(id).copied(), resolved)
            .ok_or_else(|| Error::bug("a layer without those that it needs"))?;
        let _lock = workshop.lock(&step.id, &assessment.key)?;
        if let Some(record) = made(&workshop.store, step, &assessment.key) {
            digests.insert(step.id.clone(), record.digest);
            continue;
        }
        let digest = if matches!(step.work, Work::Library(_)) { tree } else { assessment.key };
        workshop.store.replace(&place, &layer_path(&workshop.store, &assessment.key))?;
        let record = Record { tree: Some(tree), ..assessment.done(step, digest, 0.0) };
        workshop.store.save_record(&workshop.scope(), &record)?;
        digests.insert(step.id.clone(), digest);
    }
    Ok(())
}

/// How many of an image's layers, from the lowest one, are those of the lowest step.
fn lowest(image: &BuilderImage, saved: &SavedImage) -> Result<usize> {
    let steps = image.stack.len();
    let own = saved.config.config.labels.as_ref().is_some_and(|labels| labels.contains_key(builder::DIGEST));
    if own {
        // Made of layers of a store: one for each step.
        return match saved.layers() == steps {
            true => Ok(1),
            false => Err(Error::environment(format!("it has {} layers for {steps} steps", saved.layers()))),
        };
    }
    // A part of the toolchain without packages has no instruction, and so no layer.
    let bare = |step: &Step| matches!(&step.work, Work::Packages(layer) if layer.names.is_empty());
    if image.layers.iter().skip(1).any(bare) {
        return Err(Error::environment("its Dockerfile has fewer instructions than there are steps"));
    }
    // From the top: the working directory, then one layer for each step but the lowest, which has all that are left.
    let lowest = saved.layers().checked_sub(steps).filter(|count| *count > 0);
    lowest.ok_or_else(|| Error::environment("it has fewer layers than its Dockerfile"))
}

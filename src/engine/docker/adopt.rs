//! Takes a builder that an engine has built from its Dockerfile apart, into the layers that the native engine would make
//! of packages: what one engine has made the other need not make again.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use super::builder;
use crate::docker::{Client, Endpoint};
use crate::domain::{Digest, Error, Event, Outcome, Result, ResultExt};
use crate::engine::native::make_mount_points;
use crate::engine::{Assessment, Resolution, Workshop, assess, layer_path, resolution_key};
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
        let result = take(workshop, &client, image, &key).await;
        let outcome = Outcome::of(&result);
        workshop.events.emit(Event::Finished { step: step.id.to_string(), outcome, took: started.elapsed() });
        result?;
        any = true;
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
    // From the top: the working directory, then one layer for each step but the lowest, which has all that are left.
    let above = image.stack.len().saturating_sub(1);
    let lowest = saved.layers().checked_sub(above + 1).filter(|count| *count > 0);
    let lowest =
        lowest.ok_or_else(|| Error::environment("the engine's builder has fewer layers than its Dockerfile"))?;
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
        let digest = if matches!(step.work, Work::Library(_)) { tree } else { assessment.key };
        workshop.store.keep(&place, &layer_path(&workshop.store, &assessment.key))?;
        let record = Record { tree: Some(tree), ..assessment.done(step, digest, 0.0) };
        workshop.store.save_record(&workshop.scope(), &record)?;
        digests.insert(step.id.clone(), digest);
    }
    Ok(())
}

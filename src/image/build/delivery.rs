//! What an engine's builder has made of an order, as an image of a layout like xbuild's own.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::image::BuiltImage;
use super::order::Order;
use super::request::Request;
use super::stack::Stack;
use super::stage::FinishedStage;
use crate::domain::{Digest, Error, Result, without_passwords};
use crate::image::{
    BaseImage, BuiltLayer, Descriptor, History, ImageConfig, Layout, Manifest, Origin, Platform, SavedImage,
    compression, media_type, rfc3339,
};
use crate::store::Bucket;

/// What an order came to; kept under the order's key. Labels and times are not in it: they are the present ones.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Delivered {
    layers: Vec<DeliveredLayer>,
    history: Vec<History>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeliveredLayer {
    blob: Descriptor,
    diff_id: Digest,
}

/// The image that an order came to before, if its blobs are still there.
///
/// # Errors
/// A layout that cannot be read or written.
pub fn delivered(order: &Order, request: &Request<'_>) -> Result<Option<BuiltImage>> {
    let store = request.folders.store();
    let Some(delivered) = store.read_json::<Delivered>(Bucket::EngineImages, &order.key) else { return Ok(None) };
    for layer in &delivered.layers {
        // What is damaged or gone is built again.
        if !request.layout.has_blob(&layer.blob.digest, layer.blob.size)? {
            return Ok(None);
        }
    }
    image(order, request, &delivered, |_| Origin::Reused, false).map(Some)
}

/// Puts what an engine has built into the layout, and remembers it if the order would come to the same again.
///
/// The layers are the engine's; those of the images that it started from are as they were. The configuration is what the
/// Dockerfile says, as in xbuild's own builds; the history is the engine's, with the time of the order.
///
/// # Errors
/// An image for another architecture, or one that is damaged; a layout that cannot be written.
pub fn deliver(order: &Order, saved: &SavedImage, request: &Request<'_>) -> Result<BuiltImage> {
    if saved.config.os != "linux" || saved.config.architecture != order.arch.go() {
        let (found, wanted) = (&saved.config.architecture, order.arch.go());
        return Err(Error::environment(format!("the engine has built an image for {found}, and not for {wanted}")));
    }
    let mut known: BTreeMap<Digest, (&Descriptor, &std::path::Path)> = BTreeMap::new();
    for base in order.bases.values() {
        for (layer, diff_id) in base.image.manifest.layers.iter().zip(&base.image.config.rootfs.diff_ids) {
            known.insert(*diff_id, (layer, &base.layout));
        }
    }
    let mut layers = Vec::new();
    for (diff_id, archive) in saved.archives() {
        let blob = match known.get(&diff_id) {
            Some((layer, folder)) => {
                request.layout.take_blob(&Layout::blob_in(folder, &layer.digest), &layer.digest, layer.size)?;
                (*layer).clone()
            }
            None => request.cache.archive(diff_id, compression::any(archive)?, request.layout)?.descriptor,
        };
        layers.push(DeliveredLayer { blob, diff_id });
    }
    let delivered = Delivered { layers, history: history(&saved.config) };
    if order.lasting {
        request.folders.store().save_json(Bucket::EngineImages, &order.key, &delivered)?;
    }
    let origin = |diff_id: &Digest| if known.contains_key(diff_id) { Origin::Base } else { Origin::Written };
    image(order, request, &delivered, origin, true)
}

/// The engine's own account of what it did, without the time; none where it does not fit the layers.
fn history(saved: &ImageConfig) -> Vec<History> {
    let layers = saved.history.iter().filter(|entry| !entry.empty_layer).count();
    if layers != saved.rootfs.diff_ids.len() {
        return Vec::new();
    }
    let created_by = |entry: &History| match entry.created_by.as_deref() {
        // As in xbuild's own builds, an address tells no password.
        Some(text) if text.starts_with("ADD ") => Some(without_passwords(text)),
        other => other.map(str::to_owned),
    };
    let told = |entry: &History| History { created: None, created_by: created_by(entry), ..entry.clone() };
    saved.history.iter().map(told).collect()
}

/// Writes the configuration and the manifest of what an order came to.
fn image(
    order: &Order,
    request: &Request<'_>,
    delivered: &Delivered,
    origin: impl Fn(&Digest) -> Origin,
    ran: bool,
) -> Result<BuiltImage> {
    let created = rfc3339(request.target.created);
    let mut config = order.stage.config(&created);
    config.rootfs.diff_ids = delivered.layers.iter().map(|layer| layer.diff_id).collect();
    let history = delivered.history.iter();
    config.history = history.map(|entry| History { created: Some(created.clone()), ..entry.clone() }).collect();
    let config = request.layout.write_json(media_type::CONFIG, &config)?;
    let layers = delivered.layers.iter().map(|layer| layer.blob.clone()).collect();
    let mut manifest = request.layout.write_json(media_type::MANIFEST, &Manifest::new(config, layers))?;
    manifest.platform = Some(Platform::of(order.arch));
    let image = BaseImage::read(request.layout, manifest, order.arch)?;
    Ok(built(order, request.layout, &image, origin, ran))
}

fn built(
    order: &Order,
    layout: &Layout,
    image: &BaseImage,
    origin: impl Fn(&Digest) -> Origin,
    ran: bool,
) -> BuiltImage {
    let layers = image.manifest.layers.iter().zip(&image.config.rootfs.diff_ids);
    let layer = |(descriptor, diff_id): (&Descriptor, &Digest)| BuiltLayer {
        descriptor: descriptor.clone(),
        diff_id: *diff_id,
        origin: origin(diff_id),
    };
    let history = image.config.history.clone();
    let stage = FinishedStage { stack: Stack::of_image(image, layout.dir()), history, ran, ..(*order.stage).clone() };
    BuiltImage {
        manifest: image.descriptor.clone(),
        config: image.manifest.config.digest,
        layers: layers.map(layer).collect(),
        ran,
        stage: Arc::new(stage),
    }
}

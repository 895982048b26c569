//! The layers of a stage, lowest first.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::folders::Folders;
use super::view::View;
use crate::domain::{Digest, Error, Result, ResultExt};
use crate::image::cache::{BuiltLayer, LayerCache, Origin};
use crate::image::layer::{self, Entries};
use crate::image::{BaseImage, Descriptor, Layout, compression};

/// One layer.
#[derive(Debug)]
pub(super) struct StackLayer {
    identity: Digest,
    /// The blob, if it comes from an image.
    blob: Option<Blob>,
    /// Known from the start, or read from the store.
    entries: OnceLock<Arc<Entries>>,
}

/// A layer of a base image.
#[derive(Debug)]
struct Blob {
    descriptor: Descriptor,
    diff_id: Digest,
    path: PathBuf,
}

impl StackLayer {
    /// A layer of entries.
    pub(super) fn of_entries(entries: Entries) -> StackLayer {
        StackLayer { identity: layer::identity(&entries), blob: None, entries: Arc::new(entries).into() }
    }

    /// A layer whose files are in the store.
    pub(super) fn kept(identity: Digest) -> StackLayer {
        StackLayer { identity, blob: None, entries: OnceLock::new() }
    }

    pub(super) fn identity(&self) -> Digest {
        self.identity
    }

    /// What is in it.
    pub(super) fn entries(&self, folders: &Folders<'_>) -> Result<Arc<Entries>> {
        if let Some(entries) = self.entries.get() {
            return Ok(entries.clone());
        }
        self.folder(folders)?;
        let entries = Arc::new(folders.listing(&self.identity)?);
        Ok(self.entries.get_or_init(|| entries).clone())
    }

    /// Its files.
    pub(super) fn folder(&self, folders: &Folders<'_>) -> Result<PathBuf> {
        if let Some(root) = folders.find(&self.identity) {
            return Ok(root);
        }
        if let Some(blob) = &self.blob {
            return blob.unpack(&self.identity, folders);
        }
        match self.entries.get() {
            Some(entries) => folders.of_entries(&self.identity, entries),
            None => Err(Error::environment(format!("the layer {} is gone from the store", self.identity))
                .hint("run the command again: it is made anew")),
        }
    }

    /// The layer as a blob of a layout.
    fn pack(&self, target: &Packing<'_>) -> Result<BuiltLayer> {
        match &self.blob {
            Some(blob) => {
                target.layout.take_blob(&blob.path, &blob.descriptor.digest, blob.descriptor.size)?;
                let descriptor = blob.descriptor.clone();
                Ok(BuiltLayer { descriptor, diff_id: blob.diff_id, origin: Origin::Base })
            }
            None => {
                let entries = || self.entries(target.folders);
                target.cache.layer(self.identity, entries, target.mtime, target.layout)
            }
        }
    }
}

impl Blob {
    fn unpack(&self, identity: &Digest, folders: &Folders<'_>) -> Result<PathBuf> {
        let failed = || format!("layer {}", self.descriptor.digest);
        let file = std::fs::File::open(&self.path).or_environment(failed)?;
        let archive = compression::layer(file, &self.descriptor.media_type).context(failed)?;
        folders.of_archive(identity, archive, Some(&self.diff_id)).context(failed)
    }
}

/// Where the layers of an image go.
pub(super) struct Packing<'a> {
    pub(super) layout: &'a Layout,
    pub(super) cache: &'a LayerCache,
    pub(super) folders: &'a Folders<'a>,
    /// The time of entries without one.
    pub(super) mtime: u64,
}

/// The layers of a stage so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Stack {
    layers: Vec<Arc<StackLayer>>,
    view: OnceLock<Arc<View>>,
}

impl Stack {
    /// The layers of an image in a layout, which is a folder.
    pub(super) fn of_image(image: &BaseImage, layout: &Path) -> Stack {
        let layers = image.manifest.layers.iter().zip(&image.config.rootfs.diff_ids).map(|(descriptor, diff_id)| {
            let path = Layout::blob_in(layout, &descriptor.digest);
            let blob = Blob { descriptor: descriptor.clone(), diff_id: *diff_id, path };
            Arc::new(StackLayer { identity: *diff_id, blob: Some(blob), entries: OnceLock::new() })
        });
        Stack { layers: layers.collect(), view: OnceLock::new() }
    }

    /// How many layers there are.
    pub(super) fn len(&self) -> usize {
        self.layers.len()
    }

    /// Stands for everything in it.
    pub(super) fn identities(&self) -> Vec<Digest> {
        self.layers.iter().map(|layer| layer.identity()).collect()
    }

    /// What its layers hold together.
    pub(super) fn view(&self, folders: &Folders<'_>) -> Result<Arc<View>> {
        if let Some(view) = self.view.get() {
            return Ok(view.clone());
        }
        let mut view = View::default();
        for layer in &self.layers {
            view.apply(&*layer.entries(folders)?);
        }
        Ok(self.view.get_or_init(|| Arc::new(view)).clone())
    }

    /// Takes the view out, to change it; [`Stack::push_viewed`] puts it back.
    pub(super) fn take_view(&mut self, folders: &Folders<'_>) -> Result<View> {
        let view = self.view(folders)?;
        self.view.take();
        Ok(Arc::unwrap_or_clone(view))
    }

    /// Adds a layer of entries that the view has already.
    pub(super) fn push_viewed(&mut self, entries: Entries, view: View) {
        self.view = Arc::new(view).into();
        self.layers.push(Arc::new(StackLayer::of_entries(entries)));
    }

    /// Adds a layer.
    pub(super) fn push(&mut self, layer: StackLayer) {
        // The view is made anew when somebody looks again.
        self.view.take();
        self.layers.push(Arc::new(layer));
    }

    /// The folders of the layers. No overlay takes one twice; what the higher of two equal ones holds hides the lower.
    pub(super) fn folders(&self, folders: &Folders<'_>) -> Result<Vec<PathBuf>> {
        let mut seen = BTreeSet::new();
        let highest = self.layers.iter().rev().filter(|layer| seen.insert(layer.identity()));
        let mut found = highest.map(|layer| layer.folder(folders)).collect::<Result<Vec<_>>>()?;
        found.reverse();
        Ok(found)
    }

    /// The layers as blobs of a layout.
    pub(super) fn pack(&self, target: &Packing<'_>) -> Result<Vec<BuiltLayer>> {
        self.layers.iter().map(|layer| layer.pack(target)).collect()
    }
}

//! Images that others start from, read from a layout.

use std::collections::BTreeSet;
use std::io::Read;

use super::{Descriptor, ImageConfig, Index, Layout, Manifest, Platform, REF_NAME};
use crate::domain::{Arch, Error, Result, ResultExt};

/// An image in a layout, to start another one from. Its layers are reused by digest.
#[derive(Debug, Clone)]
pub struct BaseImage {
    /// What names it.
    pub descriptor: Descriptor,
    /// Its manifest.
    pub manifest: Manifest,
    /// Its configuration.
    pub config: ImageConfig,
}

impl BaseImage {
    /// The image of a name for an architecture; `None` if the layout has no such name.
    ///
    /// # Errors
    /// A name without that architecture, or documents that are damaged or do not agree.
    pub fn find(layout: &Layout, name: &str, arch: Arch) -> Result<Option<BaseImage>> {
        let Some(descriptor) = layout.find(name)? else { return Ok(None) };
        let failed = || format!("image {name}");
        let descriptor = platform(layout, descriptor, arch).context(failed)?;
        BaseImage::read(layout, descriptor, arch).map(Some).context(failed)
    }

    /// The image of a layout that gives one name, or none: its entries are then of one image each for a platform.
    ///
    /// # Errors
    /// As [`BaseImage::find`].
    pub fn only(layout: &Layout, arch: Arch) -> Result<Option<BaseImage>> {
        let mut entries = layout.index()?.manifests;
        entries.dedup_by_key(|entry| entry.digest);
        if entries.iter().any(|entry| entry.annotations.contains_key(REF_NAME)) && entries.len() > 1 {
            return Ok(None);
        }
        let descriptor = match entries.len() {
            0 => return Ok(None),
            1 => platform(layout, entries.remove(0), arch)?,
            _ => choose(entries, arch)?,
        };
        BaseImage::read(layout, descriptor, arch).map(Some)
    }

    /// The image of a manifest.
    ///
    /// # Errors
    /// Documents that are damaged or do not agree, another architecture, a missing layer.
    pub fn read(layout: &Layout, descriptor: Descriptor, arch: Arch) -> Result<BaseImage> {
        if !descriptor.is_manifest() {
            return Err(Error::usage(format!("{} is no image manifest", descriptor.media_type)));
        }
        let manifest: Manifest = layout.read_json(&descriptor)?;
        let config: ImageConfig = layout.read_json(&manifest.config)?;
        let (layers, diffs) = (manifest.layers.len(), config.rootfs.diff_ids.len());
        if layers != diffs {
            return Err(Error::environment(format!("{layers} layers, but {diffs} diff_ids in its configuration")));
        }
        if config.os != "linux" || config.architecture != arch.go() {
            let found = format!("{}/{}", config.os, config.architecture);
            return Err(Error::usage(format!("it is for {found}, not for {}", arch.platform())));
        }
        for layer in &manifest.layers {
            if !layout.has_blob(&layer.digest, layer.size)? {
                return Err(Error::environment(format!("its layer {} is not in the layout", layer.digest)));
            }
        }
        Ok(BaseImage { descriptor, manifest, config })
    }

    /// Puts the image's blobs from its layout into another.
    ///
    /// # Errors
    /// A blob that is damaged, as far as it was read; a layout that cannot be written.
    pub fn copy(&self, from: &Layout, to: &Layout) -> Result<()> {
        for blob in self.blobs() {
            to.take_blob(&from.blob_path(&blob.digest), &blob.digest, blob.size)?;
        }
        Ok(())
    }

    /// The same, reading every blob: for a layout that others may write to, or that was never checked.
    ///
    /// # Errors
    /// A blob whose bytes do not have its digest; a layout that cannot be written.
    pub fn copy_bytes(&self, from: &Layout, to: &Layout) -> Result<()> {
        for blob in self.blobs() {
            if to.has_blob(&blob.digest, blob.size)? {
                continue;
            }
            let failed = || format!("cannot copy {}", from.blob_path(&blob.digest).display());
            let mut writer = to.blob_writer()?;
            std::io::copy(&mut from.open_blob(blob)?.take(blob.size), &mut writer).or_environment(failed)?;
            writer.expect(blob.digest).context(failed)?;
        }
        Ok(())
    }

    /// All that the image consists of; its manifest comes last.
    fn blobs(&self) -> impl Iterator<Item = &Descriptor> {
        [&self.manifest.config].into_iter().chain(&self.manifest.layers).chain([&self.descriptor])
    }
}

/// The manifest of an architecture; an index is looked into.
fn platform(layout: &Layout, descriptor: Descriptor, arch: Arch) -> Result<Descriptor> {
    match descriptor.is_index() {
        true => choose(layout.read_json::<Index>(&descriptor)?.manifests, arch),
        false => Ok(descriptor),
    }
}

/// The entry of an index for an architecture. Attestations, whose platform is `unknown/unknown`, are for nobody.
///
/// # Errors
/// A usage error that says what there is.
pub fn choose(entries: Vec<Descriptor>, arch: Arch) -> Result<Descriptor> {
    let platforms: Vec<&Platform> = entries.iter().filter_map(|entry| entry.platform.as_ref()).collect();
    let names: BTreeSet<String> =
        platforms.iter().filter(|platform| platform.os != "unknown").map(ToString::to_string).collect();
    let fits = |entry: &Descriptor| entry.platform.as_ref().is_some_and(|platform| platform.fits(arch));
    // Of several, the one that names the variant.
    let mut fitting: Vec<Descriptor> = entries.into_iter().filter(fits).collect();
    fitting.sort_by_key(|entry| entry.platform.as_ref().is_none_or(|platform| platform.variant.is_none()));
    fitting.into_iter().next().ok_or_else(|| {
        let error = Error::usage(format!("it is not there for {}", arch.platform()));
        match names.is_empty() {
            true => error.hint("it is there for no platform at all"),
            false => error.hint(format!("it is there for {}", names.into_iter().collect::<Vec<_>>().join(", "))),
        }
    })
}

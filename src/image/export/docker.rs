//! The archive that `docker load` takes.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;

use serde::Serialize;

use crate::domain::{Digest, Result, ResultExt};
use crate::image::{Descriptor, ImageConfig, Layout, Manifest};

/// An image, and the names that it is to have.
#[derive(Debug, Clone)]
pub struct NamedImage {
    /// Its manifest.
    pub manifest: Descriptor,
    /// Names with tags.
    pub names: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Image {
    config: String,
    repo_tags: Vec<String>,
    layers: Vec<String>,
}

/// One file of an archive that never depends on when or by whom it was made.
pub(super) fn add(builder: &mut tar::Builder<impl Write>, name: &str, size: u64, data: impl Read) -> Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    builder.append_data(&mut header, name, data).or_environment(|| format!("cannot write {name} into the archive"))
}

/// Writes images with their names; layers that several have are written once, and stay compressed.
///
/// # Errors
/// Blobs that are damaged or missing; an archive that cannot be written.
pub fn docker_archive(layout: &Layout, images: &[NamedImage], writer: impl Write) -> Result<()> {
    let mut builder = tar::Builder::new(writer);
    let mut written = BTreeSet::new();
    let mut list = Vec::new();
    for image in images {
        let manifest: Manifest = layout.read_json(&image.manifest)?;
        let name = |blob: &Descriptor, ending: &str| format!("{}{ending}", blob.digest.hex());
        let layers: Vec<String> = manifest.layers.iter().map(|layer| name(layer, ".tar.gz")).collect();
        let config = name(&manifest.config, ".json");
        let blobs = manifest.layers.iter().zip(&layers).chain([(&manifest.config, &config)]);
        for (blob, name) in blobs {
            if written.insert(name.clone()) {
                add(&mut builder, name, blob.size, layout.open_blob(blob)?)?;
            }
        }
        list.push(Image { config, repo_tags: image.names.clone(), layers });
    }
    finish(builder, &list)
}

/// A layer as an archive that is not compressed.
#[derive(Debug, Clone)]
pub struct PackedLayer {
    /// The archive.
    pub path: PathBuf,
    /// Of its bytes.
    pub diff_id: Digest,
    /// In bytes.
    pub size: u64,
}

/// Writes one image from layers that are not compressed, lowest first: for an engine on this machine.
///
/// # Errors
/// A layer that cannot be read; an archive that cannot be written.
pub fn unpacked_archive(config: &ImageConfig, layers: &[PackedLayer], name: &str, writer: impl Write) -> Result<()> {
    let mut builder = tar::Builder::new(writer);
    let mut names = Vec::new();
    for layer in layers {
        let name = format!("{}.tar", layer.diff_id.hex());
        let failed = || format!("cannot read {}", layer.path.display());
        if !names.contains(&name) {
            add(&mut builder, &name, layer.size, File::open(&layer.path).or_environment(failed)?)?;
        }
        names.push(name);
    }
    let text = serde_json::to_vec(config).or_bug(|| "cannot write JSON".into())?;
    let config = format!("{}.json", Digest::of(&text).hex());
    add(&mut builder, &config, text.len() as u64, text.as_slice())?;
    finish(builder, &[Image { config, repo_tags: vec![name.to_owned()], layers: names }])
}

fn finish(mut builder: tar::Builder<impl Write>, list: &[Image]) -> Result<()> {
    let text = serde_json::to_vec(list).or_bug(|| "cannot write JSON".into())?;
    add(&mut builder, "manifest.json", text.len() as u64, text.as_slice())?;
    builder.into_inner().and_then(|mut writer| writer.flush()).or_environment(|| "cannot write the archive".into())
}

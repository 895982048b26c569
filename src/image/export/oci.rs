//! An OCI layout in one archive.

use std::collections::BTreeMap;
use std::io::Write;

use super::docker::add;
use crate::domain::{Digest, Error, Result, ResultExt};
use crate::image::{Descriptor, Index, Layout, Manifest};

/// Writes what some names of a layout stand for, and nothing else of it.
///
/// # Errors
/// A name that the layout has not; blobs that are damaged or missing; an archive that cannot be written.
pub fn oci_archive(layout: &Layout, names: &[String], writer: impl Write) -> Result<()> {
    let mut blobs: BTreeMap<Digest, Descriptor> = BTreeMap::new();
    let mut roots = Vec::new();
    for name in names {
        let root = layout.find(name)?.ok_or_else(|| Error::usage(format!("{name} is not in the layout")))?;
        let mut manifests = vec![root.clone()];
        if root.is_index() {
            manifests.extend(layout.read_json::<Index>(&root)?.manifests);
        }
        for descriptor in manifests {
            if descriptor.is_manifest() {
                let manifest: Manifest = layout.read_json(&descriptor)?;
                blobs.insert(manifest.config.digest, manifest.config);
                blobs.extend(manifest.layers.into_iter().map(|layer| (layer.digest, layer)));
            }
            blobs.insert(descriptor.digest, descriptor);
        }
        roots.push(root);
    }
    let mut builder = tar::Builder::new(writer);
    let mark = br#"{"imageLayoutVersion":"1.0.0"}"#;
    add(&mut builder, "oci-layout", mark.len() as u64, mark.as_slice())?;
    let index = serde_json::to_vec(&Index::new(roots)).or_bug(|| "cannot write JSON".into())?;
    add(&mut builder, "index.json", index.len() as u64, index.as_slice())?;
    for (digest, blob) in &blobs {
        add(&mut builder, &format!("blobs/sha256/{}", digest.hex()), blob.size, layout.open_blob(blob)?)?;
    }
    builder.into_inner().and_then(|mut writer| writer.flush()).or_environment(|| "cannot write the archive".into())
}

//! A builder's layers of the store as an archive that `docker load` takes.

use std::fs::File;
use std::io::{BufWriter, Seek, Write};
use std::path::Path;

use super::builder::{DIGEST, labels};
use crate::domain::{Arch, Digest, DigestWriter, Result, ResultExt};
use crate::engine::native::sandbox::Identity;
use crate::engine::{Workshop, layer_path};
use crate::image::export::{PackedLayer, unpacked_archive};
use crate::image::{ImageConfig, RootLayer};
use crate::plan::SOURCE;

/// Packs layers, lowest first, as one image. It is not compressed: it goes no further than this machine.
pub(super) fn archive(
    workshop: &Workshop,
    layers: &[Digest],
    name: &str,
    key: &Digest,
    digest: &Digest,
) -> Result<File> {
    let scratch = workshop.store.scratch()?;
    let as_root = workshop.identity == Identity::Root;
    let mut packed = Vec::new();
    for layer in layers {
        let path = scratch.path().join(layer.hex());
        let failed = || format!("cannot write {}", path.display());
        let file = DigestWriter::new(BufWriter::new(File::create(&path).or_environment(failed)?));
        let folder = layer_path(&workshop.store, layer);
        // What a sandbox shows as root's is root's.
        let owner = |_: &Path, found| if as_root { found } else { (0, 0) };
        let layer = RootLayer { folder: &folder, owner: &owner, threads: workshop.jobs };
        let (diff_id, size, mut file) = layer.pack(file)?.finish();
        file.flush().or_environment(failed)?;
        packed.push(PackedLayer { path, diff_id, size });
        workshop.stop.check()?;
    }
    let mut config = ImageConfig::scratch(Arch::host()?);
    let mut labels = labels(key);
    labels.insert(DIGEST.into(), digest.to_string());
    config.config.labels = Some(labels);
    config.config.working_dir = SOURCE.into();
    config.rootfs.diff_ids = packed.iter().map(|layer| layer.diff_id).collect();
    let mut file = tempfile::tempfile_in(scratch.path()).or_environment(|| "cannot make an archive".into())?;
    unpacked_archive(&config, &packed, name, BufWriter::new(&mut file))?;
    file.rewind().or_environment(|| "cannot read an archive".into())?;
    Ok(file)
}

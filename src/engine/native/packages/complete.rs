//! Configures the packages of a layer, and puts it into the store.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::{Pending, below};
use crate::debian::{self, Unpacked, Unpacking};
use crate::domain::{Digest, Error, Result, ResultExt};
use crate::engine::native::configure;
use crate::engine::native::root::{RootRequest, open_root};
use crate::engine::native::sandbox::Network;
use crate::engine::{Workshop, layer_path};
use crate::plan::{CACHE, OUTPUT, SOURCE};
use crate::store::{Record, tree_digest};

/// Configures a layer whose packages are unpacked, and moves it into the store.
pub(super) fn complete(
    workshop: &Workshop,
    layer: &Pending<'_>,
    unpacking: &Unpacking,
    unpacked: &[Unpacked],
) -> Result<Record> {
    let place = layer.scratch.path().join("layer");
    let mut cpu = 0.0;
    let finished = if layer.layer.keep.is_empty() {
        let below = below(layer)?;
        let installed = match below {
            Some(key) => debian::read_status(&layer_path(&workshop.store, &key))?,
            None => String::new(),
        };
        unpacking.complete(unpacked, &installed)?;
        if below.is_none() {
            make_mount_points(&place)?;
        }
        let epoch = debian::newest_mtime(unpacked);
        cpu = configure(workshop, layer, below, &debian::configure_script(unpacked, epoch))?;
        debian::clean(&place, epoch)?;
        place
    } else {
        keep_only(layer, &place)?
    };
    let tree = tree_digest(&finished)?;
    workshop.store.replace(&finished, &layer_path(&workshop.store, &layer.assessment.key))?;
    let assessment = &layer.assessment;
    let done = assessment.done(layer.step(), assessment.key, layer.started.elapsed().as_secs_f64());
    let record = Record { cpu, tree: Some(tree), ..done };
    workshop.store.save_record(&workshop.scope(), &record)?;
    Ok(record)
}

fn configure(workshop: &Workshop, layer: &Pending<'_>, below: Option<Digest>, script: &str) -> Result<f64> {
    let layers: Vec<Digest> = below.into_iter().collect();
    let scratch = workshop.store.scratch()?;
    let upper = layer.scratch.path().join("layer");
    let request = RootRequest { layers: &layers, upper: Some(upper), scratch: &scratch, network: Network::None };
    let spec = open_root(workshop, request)?;
    let exit = configure::configure(workshop, &layer.step().id, spec, script)?;
    if exit.success() {
        Ok(exit.cpu)
    } else {
        Err(Error::environment(format!("cannot configure the packages of {}: {exit}", layer.step().id)))
    }
}

/// What every builder mounts is mounted on folders of its base: where one is missing, each sandbox makes it and removes it.
pub(crate) fn make_mount_points(root: &Path) -> Result<()> {
    for point in [SOURCE, OUTPUT, CACHE] {
        let folder = root.join(point.trim_start_matches('/'));
        fs::create_dir_all(&folder)
            .and_then(|()| fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)))
            .or_environment(|| format!("cannot make {}", folder.display()))?;
    }
    Ok(())
}

/// Moves the wanted files of a layer to a new one.
fn keep_only(layer: &Pending<'_>, place: &Path) -> Result<PathBuf> {
    let kept = layer.scratch.folder("kept")?;
    for path in &layer.layer.keep {
        let target = kept.join(path);
        let failed = || format!("{}: the packages bring no {path}", layer.step().id);
        fs::create_dir_all(target.parent().unwrap_or(&kept)).or_environment(failed)?;
        fs::rename(place.join(path), target).or_environment(failed)?;
    }
    Ok(kept)
}

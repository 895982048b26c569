//! A root file system of packages, for any architecture, as an image of one layer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::choice::{mirrors, open_apt};
use super::make::Made;
use super::packages_folder;
use crate::config::{RootFilesystem, Variant};
use crate::debian::{self, Limits, Ownership, Suite, Unpacked, Unpacking};
use crate::domain::{Arch, Digest, Error, Event, Result, ResultExt};
use crate::engine::native::configure;
use crate::engine::native::sandbox::{Emulator, Identity, Network};
use crate::engine::native::{RootRequest, open_root};
use crate::engine::{Resolution, Workshop, layer_path};
use crate::image::{Descriptor, History, ImageConfig, Layout, Manifest, Platform, RootLayer, media_type, rfc3339};
use crate::plan::{BaseBuild, Step};
use crate::store::{Scratch, remove_tree};

/// Downloads, unpacks and configures the packages, and packs what comes of it. Blocks.
pub(super) fn bootstrap(
    workshop: &Workshop,
    step: &Step,
    base: &BaseBuild,
    root: &RootFilesystem,
    resolution: &Resolution,
    emulator: Option<Digest>,
    layout: &Layout,
) -> Result<Made> {
    let arch = step.arch.ok_or_else(|| Error::bug("a base without an architecture"))?;
    let scratch = workshop.store.scratch()?;
    let place = scratch.path().join("root");
    let ownership = if workshop.identity == Identity::Root { Ownership::Apply } else { Ownership::Ignore };
    let unpacking = Unpacking::new(&place, Vec::new(), ownership, Limits::default())?;
    let unpacked = download(workshop, step, root, resolution, arch, &unpacking)?;
    unpacking.complete(&unpacked, "")?;
    let epoch = debian::newest_mtime(&unpacked);
    let cpu = configure(workshop, step, base, emulator, &scratch, &place, &debian::configure_script(&unpacked, epoch))?;
    let mut files = base.files.clone();
    if root.variant == Variant::Minbase {
        let mirrors = mirrors(workshop, root)?.without_passwords();
        let suite: Suite = root.suite.parse().or_usage(|| "bootstrap".into())?;
        files.insert("/etc/apt/sources.list.d/debian.sources".into(), mirrors.sources(&suite));
    }
    debian::write_files(&place, &files)?;
    debian::clean(&place, epoch)?;
    let owners = Owners::new(workshop, &place, &base.owners, &unpacked)?;
    let layer = RootLayer { folder: &place, owner: &|path, found| owners.of(path, found), threads: workshop.jobs };
    let descriptor = image(layout, arch, &layer, root, epoch)?;
    Ok(Made { image: descriptor, source: None, cpu })
}

/// Downloads and unpacks; the lock is held meanwhile, because two of one architecture would use one folder.
fn download(
    workshop: &Workshop,
    step: &Step,
    root: &RootFilesystem,
    resolution: &Resolution,
    arch: Arch,
    unpacking: &Unpacking,
) -> Result<Vec<Unpacked>> {
    if workshop.offline {
        return Err(Error::environment(format!("{} is not in the store, and --offline forbids downloads", step.id)));
    }
    let (apt, _lock) = open_apt(workshop, root, arch)?;
    let archives = packages_folder(&workshop.store, root, arch).join("archives");
    let unpacked = Mutex::new(Vec::new());
    let mut progress = |done, total| {
        let (step, total) = (step.id.to_string(), Some(total));
        workshop.events.emit(Event::Progress { step, what: "downloading", done, total });
        workshop.stop.check()
    };
    let on_layer = |_, all: Vec<Unpacked>| {
        *unpacked.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = all;
        Ok(())
    };
    let layer = debian::Layer { packages: &resolution.packages, unpacking };
    debian::install(&apt, &[layer], &archives, workshop.jobs, &mut progress, &on_layer)?;
    remove_tree(&archives)?;
    Ok(unpacked.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))
}

fn configure(
    workshop: &Workshop,
    step: &Step,
    base: &BaseBuild,
    emulator: Option<Digest>,
    scratch: &Scratch,
    place: &Path,
    script: &str,
) -> Result<f64> {
    let request = RootRequest { layers: &[], upper: Some(place.to_owned()), scratch, network: Network::None };
    let mut spec = open_root(workshop, request)?;
    if let (Some(program), Some(arch)) = (&base.emulator, step.arch) {
        let layer = emulator.ok_or_else(|| Error::bug("an emulator without its layer"))?;
        spec.emulators.push(Emulator { arch, program: layer_path(&workshop.store, &layer).join(&program.path) });
    }
    let name = step.id.to_string();
    workshop.events.emit(Event::Progress { step: name.clone(), what: "configuring", done: 0, total: None });
    let exit = configure::configure(workshop, &step.id, spec, script)?;
    if let Some(emulator) = &base.emulator {
        let text = format!("{name}: packages' scripts ran under {} for {:.0} s", emulator.path, exit.wall);
        workshop.events.emit(Event::Warning { text });
    }
    match exit.success() {
        true => Ok(exit.cpu),
        false => Err(Error::environment(format!("cannot configure the packages of {name}: {exit}"))),
    }
}

/// Who owns what: the same whoever unpacked it, as far as the packages and their distribution tell.
struct Owners {
    told: BTreeMap<PathBuf, (u32, u32)>,
    identity: Identity,
}

impl Owners {
    fn new(
        workshop: &Workshop,
        place: &Path,
        named: &BTreeMap<String, String>,
        unpacked: &[Unpacked],
    ) -> Result<Owners> {
        let mut told = BTreeMap::new();
        for package in unpacked {
            told.extend(package.owners());
        }
        let ids = debian::Ids::read(place)?;
        for (path, owner) in named {
            told.insert(PathBuf::from(path.trim_start_matches('/')), ids.owner(owner).context(|| path.clone())?);
        }
        Ok(Owners { told, identity: workshop.identity.clone() })
    }

    fn of(&self, path: &Path, found: (u32, u32)) -> (u32, u32) {
        match (self.told.get(path), &self.identity) {
            (Some(told), _) => *told,
            (None, Identity::Root) => found,
            (None, Identity::Range { uids, gids }) => (inside(found.0, *uids), inside(found.1, *gids)),
            (None, Identity::Single) => (0, 0),
        }
    }
}

/// An id of the machine's as it is in the sandbox: the caller is root there, a subordinate id counts from 1.
fn inside(id: u32, (first, count): (u32, u32)) -> u32 {
    match id.checked_sub(first) {
        Some(offset) if offset < count => offset + 1,
        _ => 0,
    }
}

/// The image of one layer, as Debian's own are: a shell, and nothing else set.
fn image(layout: &Layout, arch: Arch, layer: &RootLayer<'_>, root: &RootFilesystem, epoch: i64) -> Result<Descriptor> {
    let layer = layer.write(layout)?;
    let created = rfc3339(u64::try_from(epoch).unwrap_or_default());
    let mut config = ImageConfig::scratch(arch);
    config.created = Some(created.clone());
    config.config.set_env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    config.config.cmd = Some(vec!["bash".to_owned()]);
    config.rootfs.diff_ids = vec![layer.diff_id];
    let created_by = Some(format!("xbuild: packages of {}", root.suite));
    config.history = vec![History { created: Some(created), created_by, ..History::default() }];
    let config = layout.write_json(media_type::CONFIG, &config)?;
    let mut manifest = layout.write_json(media_type::MANIFEST, &Manifest::new(config, vec![layer.descriptor]))?;
    manifest.platform = Some(Platform::of(arch));
    Ok(manifest)
}

//! What a base's name stands for just now: remembered, so that it is the same the next time.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::packages_folder;
use crate::config::{BaseSource, RootFilesystem, Variant};
use crate::debian::{self, Apt, Mirrors, PackageName, Suite};
use crate::domain::{Arch, Digest, Error, Event, ImageReference, Result, ResultExt};
use crate::engine::{Resolution, Workshop, unless_stopped};
use crate::image::{BaseImage, Layout};
use crate::plan::{BaseBuild, Step};
use crate::registry::Remote;
use crate::store::{Bucket, KeyLock, Store};

/// What a name came to.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BaseChoice {
    /// A manifest or an index.
    Image(Digest),
    /// Packages.
    Packages(Resolution),
}

impl BaseChoice {
    /// Stands for the choice in a step's key.
    pub fn digest(&self) -> Digest {
        match self {
            BaseChoice::Image(digest) => *digest,
            BaseChoice::Packages(resolution) => resolution.digest,
        }
    }
}

/// What a choice is remembered under. A tag is the same for all architectures, and what a folder holds is looked at
/// each time.
fn key(step: &Step, base: &BaseBuild) -> Digest {
    match &base.source {
        BaseSource::Registry { image, .. } => Digest::of_json(&("tag", image)),
        BaseSource::Bootstrap(root) => Digest::of_json(&("root file system", root, step.arch)),
        BaseSource::Layout { folder, name } => Digest::of_json(&("layout", folder, name)),
    }
}

/// The choice as far as it is known without asking anybody.
pub fn known_choice(store: &Store, step: &Step, base: &BaseBuild) -> Option<BaseChoice> {
    match &base.source {
        BaseSource::Layout { folder, name } => {
            let image = in_layout(folder, name.as_deref(), &base.image, step.arch?).ok()?;
            Some(BaseChoice::Image(image.1.descriptor.digest))
        }
        BaseSource::Registry { image, .. } => match image.parse::<ImageReference>().ok()?.digest() {
            Some(digest) => Some(BaseChoice::Image(digest)),
            None => store.read_json(Bucket::Resolutions, &key(step, base)),
        },
        BaseSource::Bootstrap(_) => store.read_json(Bucket::Resolutions, &key(step, base)),
    }
}

/// The image that a folder in the OCI layout has for an architecture, and the folder.
pub(super) fn in_layout(folder: &Path, name: Option<&str>, own: &str, arch: Arch) -> Result<(Layout, BaseImage)> {
    let layout = Layout::read(folder)?;
    let image = match name {
        Some(name) => BaseImage::find(&layout, name, arch)?,
        None => match BaseImage::find(&layout, own, arch)? {
            None => BaseImage::only(&layout, arch).context(|| format!("the layout {}", folder.display()))?,
            found => found,
        },
    };
    let image = image.ok_or_else(|| {
        let name = name.unwrap_or(own);
        let error = Error::usage(format!("the layout {} has no image '{name}'", folder.display()));
        match layout.names().unwrap_or_default() {
            names if names.is_empty() => error.hint("its index.json gives no names"),
            names => error.hint(format!("`name:` says which; it has {}", names.join(", "))),
        }
    })?;
    Ok((layout, image))
}

/// Chooses, or remembers what was chosen. Asked anew with `--update` and `--pull`, once in a run.
pub(in crate::engine) async fn choose(
    workshop: &std::sync::Arc<Workshop>,
    step: &Step,
    base: &BaseBuild,
) -> Result<BaseChoice> {
    let arch = step.arch.ok_or_else(|| Error::bug("a base without an architecture"))?;
    let key = key(step, base);
    match &base.source {
        BaseSource::Layout { folder, name } => {
            let (_, image) = in_layout(folder, name.as_deref(), &base.image, arch)?;
            Ok(BaseChoice::Image(image.descriptor.digest))
        }
        BaseSource::Registry { image, insecure } => {
            let reference: ImageReference = image.parse()?;
            if let Some(digest) = reference.digest() {
                return Ok(BaseChoice::Image(digest));
            }
            // One architecture asks, and all of them get the same.
            let mut asked = workshop.asked.lock().await;
            let fresh = asked.contains(&key) || !workshop.pull;
            if fresh && let Some(choice) = workshop.store.read_json(Bucket::Resolutions, &key) {
                return Ok(choice);
            }
            if workshop.offline {
                return Err(Error::environment(format!(
                    "what {reference} is was never asked, and --offline forbids to ask"
                )));
            }
            tell(workshop, step, "asking the registry");
            let remote = Remote { reference, insecure: *insecure };
            let digest = unless_stopped(&workshop.stop, workshop.registry()?.digest(&remote)).await?;
            let choice = BaseChoice::Image(digest);
            workshop.store.save_json(Bucket::Resolutions, &key, &choice)?;
            asked.insert(key);
            Ok(choice)
        }
        BaseSource::Bootstrap(root) => {
            let anew = workshop.update || workshop.pull;
            if !anew && let Some(choice) = workshop.store.read_json(Bucket::Resolutions, &key) {
                return Ok(choice);
            }
            tell(workshop, step, "choosing packages");
            let (workshop, root) = (workshop.clone(), root.clone());
            let resolved = tokio::task::spawn_blocking(move || {
                let choice = BaseChoice::Packages(resolve(&workshop, &root, arch)?);
                workshop.store.save_json(Bucket::Resolutions, &key, &choice)?;
                Ok(choice)
            });
            resolved.await.map_err(|error| Error::bug("choosing packages panicked").because(error))?
        }
    }
}

fn tell(workshop: &Workshop, step: &Step, what: &'static str) {
    workshop.events.emit(Event::Progress { step: step.id.to_string(), what, done: 0, total: None });
}

/// The package manager for a release and an architecture, and the lock that keeps others out.
pub(super) fn open_apt(workshop: &Workshop, root: &RootFilesystem, arch: Arch) -> Result<(Apt, KeyLock)> {
    let name: Suite = root.suite.parse().or_usage(|| "bootstrap".into())?;
    let folder = packages_folder(&workshop.store, root, arch);
    let lock = workshop.store.lock(&Digest::of(format!("apt {}", folder.display())))?;
    Ok((Apt::new(&folder.join("apt"), &mirrors(workshop, root)?, name, arch)?, lock))
}

/// Where a root's packages come from.
pub(super) fn mirrors(workshop: &Workshop, root: &RootFilesystem) -> Result<Mirrors> {
    let mirrors = workshop.mirrors()?.clone();
    Ok(if root.updates { mirrors } else { mirrors.without_updates() })
}

fn resolve(workshop: &Workshop, root: &RootFilesystem, arch: Arch) -> Result<Resolution> {
    let named = root.packages.iter().map(|name| name.parse::<PackageName>().or_usage(|| "packages".into()));
    let mut names = named.collect::<Result<Vec<_>>>()?;
    let (apt, _lock) = open_apt(workshop, root, arch)?;
    if workshop.offline {
        return Err(Error::environment(format!(
            "the packages of {} for {arch} were never chosen, and --offline forbids to ask for them",
            root.suite
        )));
    }
    apt.update()?;
    if root.variant == Variant::Minbase {
        names.extend(apt.required()?);
        names.push("apt".parse().or_bug(|| "apt".into())?);
    }
    names.sort();
    names.dedup();
    let packages = apt.resolve(&names, debian::Base::Essential, "")?;
    Ok(Resolution::new(packages))
}

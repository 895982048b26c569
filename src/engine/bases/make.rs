//! Puts a base into the store's layout, and writes down what it was made of.

use std::sync::Arc;
use std::time::Instant;

use super::bootstrap::bootstrap;
use super::choice::in_layout;
use super::{BaseChoice, open_images};
use crate::config::BaseSource;
use crate::domain::{Arch, Digest, Error, Event, Outcome, Result};
use crate::engine::board::{Board, Job};
use crate::engine::locks::lock;
use crate::engine::{Workshop, unless_stopped};
use crate::image::{Descriptor, Layout};
use crate::plan::Work;
use crate::registry::Remote;
use crate::store::{Record, Source};

/// Makes a base whose choice is made, and tells of it.
pub(in crate::engine) async fn make(
    workshop: &Arc<Workshop>,
    board: &Arc<Board>,
    job: Job,
    choice: BaseChoice,
) -> Result<()> {
    let started = Instant::now();
    let slot = workshop.slot().await?;
    let Some((job, _lock)) = lock(workshop, board, vec![job]).await?.pop() else { return Ok(()) };
    let Work::Base(base) = &job.step.work else { return Err(Error::bug("a step of another kind")) };
    let arch = job.step.arch.ok_or_else(|| Error::bug("a base without an architecture"))?;
    let reason = job.assessment.reason.clone();
    workshop.events.emit(Event::Started { step: job.step.id.to_string(), reason });
    let layout = open_images(&workshop.store)?;
    let made = match (&base.source, choice) {
        (BaseSource::Layout { folder, name }, BaseChoice::Image(digest)) => {
            let (from, image) = in_layout(folder, name.as_deref(), &base.image, arch)?;
            if image.descriptor.digest != digest {
                return Err(Error::environment(format!("the layout {} changed meanwhile", folder.display())));
            }
            // Read and checked, not linked: the folder is the user's, who may write to it.
            image.copy_bytes(&from, &layout)?;
            let place = folder.strip_prefix(&workshop.project).unwrap_or(folder);
            let source = Source { from: place.display().to_string(), sha256: digest };
            Made { image: image.descriptor, source: Some(source), cpu: 0.0 }
        }
        (BaseSource::Registry { image, insecure }, BaseChoice::Image(digest)) => {
            from_registry(workshop, &job, image, *insecure, digest, arch, &layout).await?
        }
        (BaseSource::Bootstrap(root), BaseChoice::Packages(resolution)) => {
            let (workshop, step, base, root) = (workshop.clone(), job.step.clone(), base.clone(), root.clone());
            let emulator = job.root.compilers.first().copied();
            let made = tokio::task::spawn_blocking(move || {
                bootstrap(&workshop, &step, &base, &root, &resolution, emulator, &layout)
            });
            made.await.map_err(|error| Error::bug("a bootstrap panicked").because(error))??
        }
        _ => return Err(Error::bug("a base whose choice is of another kind")),
    };
    drop(slot);
    let layout = open_images(&workshop.store)?;
    layout.set_name(&job.assessment.key.hex(), made.image.clone())?;
    let done = job.assessment.done(&job.step, made.image.digest, started.elapsed().as_secs_f64());
    let record = Record { source: made.source, cpu: made.cpu, ..done };
    workshop.store.save_record(&workshop.scope(), &record)?;
    board.done(workshop, &job.step.id, record, Outcome::Built, started.elapsed());
    Ok(())
}

/// A base in the store's layout.
pub(super) struct Made {
    pub(super) image: Descriptor,
    pub(super) source: Option<Source>,
    pub(super) cpu: f64,
}

async fn from_registry(
    workshop: &Workshop,
    job: &Job,
    image: &str,
    insecure: bool,
    digest: Digest,
    arch: Arch,
    into: &Layout,
) -> Result<Made> {
    let remote = Remote { reference: image.parse()?, insecure };
    if workshop.offline {
        return Err(Error::environment(format!("{image} is not in the store, and --offline forbids downloads")));
    }
    let mut progress = |done, total| {
        let (step, total) = (job.step.id.to_string(), Some(total));
        workshop.events.emit(Event::Progress { step, what: "downloading", done, total });
        workshop.stop.check()
    };
    let pull = workshop.registry()?.pull(&remote, digest, arch, into, &mut progress);
    let descriptor = unless_stopped(&workshop.stop, pull).await?;
    let source = Source {
        from: format!("{}/{}@{digest}", remote.reference.registry(), remote.reference.repository()),
        sha256: digest,
    };
    Ok(Made { image: descriptor, source: Some(source), cpu: 0.0 })
}

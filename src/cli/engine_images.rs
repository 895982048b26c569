//! `xbuild images --built-by engine`: whole images from the builder of a Docker or Podman engine.

use super::commands::Commands;
use super::dockerfiles::{self, Dockerfiles};
use crate::domain::{EngineChoice, Error, ErrorKind, Result};
use crate::engine::WantedImage;
use crate::image::{BuiltImage, Request, SavedImage, Services, Steps, deliver, delivered, order};
use crate::plan::{Facts, ImageBuild};

/// Whether there is an engine with a builder for every image.
///
/// # Errors
/// A usage error that says which engine has none.
pub(super) fn check(engine: &EngineChoice, facts: &Facts, dockerfiles: &Dockerfiles) -> Result<()> {
    let alone = dockerfiles.order.iter().find(|(_, arch)| !facts.machines.contains_key(arch));
    match (engine, alone) {
        (EngineChoice::Docker(_), _) | (_, None) => Ok(()),
        (EngineChoice::Native | EngineChoice::Host, Some((_, arch))) => {
            let text = format!("the engine '{engine}', which is to build images for {arch}, has no builder of images");
            Err(Error::usage(text)
                .hint("--engine docker or docker=ENDPOINT names Docker or Podman")
                .hint(format!("--builders {}=ENDPOINT names one for {arch} alone", arch.platform())))
        }
    }
}

/// The error of a sandbox, with another way where the machine is at fault.
pub(super) fn or_by_engine(error: Error) -> Error {
    match error.kind() == ErrorKind::Environment {
        true => error.hint("`--built-by engine --engine docker` has Docker or Podman carry out Dockerfiles"),
        false => error,
    }
}

/// Has an engine build an image, unless it came to the same before.
///
/// # Errors
/// What is wrong with the Dockerfile, what the engine's builder cannot do, a command that fails; the engine's own faults.
pub(super) fn by_engine(
    commands: &Commands<'_>,
    build: &ImageBuild,
    request: &Request<'_>,
    services: &Services<'_>,
) -> Result<BuiltImage> {
    let text = dockerfiles::expand(build)?.text;
    let Commands { workshop, network, .. } = *commands;
    let order = order(&text, network, request, services)?;
    let anew = request.steps == Steps::Anew;
    if !anew && let Some(built) = delivered(&order, request)? {
        return Ok(built);
    }
    if let Some(span) = order.download.filter(|_| workshop.offline) {
        return Err(span.place(Error::environment("an engine would download this, and --offline forbids downloads")));
    }
    let _slot = commands.slot()?;
    let scratch = workshop.store.scratch()?;
    let archive = scratch.path().join("image.tar");
    let wanted = WantedImage { step: request.name, order: &order, anew, network };
    workshop.build_image(&wanted, &archive).map_err(|error| match error.kind() {
        // The engine's words tell the line, if at all.
        ErrorKind::Build => Error::build(build.dockerfile.display().to_string()).because(error),
        _ => error,
    })?;
    let saved = SavedImage::open(&archive, &scratch.path().join("image"))?;
    deliver(&order, &saved, request)
}

//! `xbuild images --load`: built images into Docker or Podman.

use std::collections::BTreeSet;
use std::io::{BufWriter, Seek, Write};
use std::time::Instant;

use super::assembly::Assembly;
use super::setup::{Loaded, Setup};
use crate::docker::{Client, Endpoint};
use crate::domain::{Arch, EngineChoice, Event, Outcome, Result, ResultExt};
use crate::image::export::{NamedImage, docker_archive};
use crate::plan::Plan;

/// Loads the images that were asked for: under the names of their architectures, and those of the engine's own
/// architecture under their plain names too.
pub(super) async fn load(setup: &Setup<'_>, loaded: &Loaded, assembly: &Assembly<'_>, plan: &Plan) -> Result<()> {
    let place = match setup.engine(&loaded.project)? {
        EngineChoice::Docker(place) => place,
        EngineChoice::Native | EngineChoice::Host => None,
    };
    let endpoint = Endpoint::find(place.as_deref())?;
    let (events, started) = (&loaded.workshop.events, Instant::now());
    let step = format!("load/{}", endpoint.name);
    events.emit(Event::Started { step: step.clone(), reason: "images are loaded each time".into() });
    let result = into(&endpoint, loaded, assembly, plan).await;
    let outcome = Outcome::of(&result);
    events.emit(Event::Finished { step, outcome, took: started.elapsed() });
    result
}

async fn into(endpoint: &Endpoint, loaded: &Loaded, assembly: &Assembly<'_>, plan: &Plan) -> Result<()> {
    let client = Client::connect(endpoint).await?;
    let images = named(assembly, plan, client.facts().arch);
    let scratch = loaded.workshop.store.scratch()?;
    let failed = || "cannot pack images for the engine".to_owned();
    let mut file = tempfile::tempfile_in(scratch.path()).or_environment(failed)?;
    let mut writer = BufWriter::with_capacity(1 << 18, &mut file);
    docker_archive(assembly.layout(), &images, &mut writer)?;
    writer.flush().or_environment(failed)?;
    drop(writer);
    file.rewind().or_environment(failed)?;
    client.load(tokio::fs::File::from_std(file)).await
}

fn named(assembly: &Assembly<'_>, plan: &Plan, own: Arch) -> Vec<NamedImage> {
    let exportable = assembly.exportable(plan);
    let images = exportable.into_iter().map(|(build, arch, built)| {
        let mut names: BTreeSet<String> = build.names_for(arch).iter().map(ToString::to_string).collect();
        if arch == own {
            names.extend(build.names.iter().map(ToString::to_string));
        }
        NamedImage { manifest: built.manifest, names: names.into_iter().collect() }
    });
    images.collect()
}

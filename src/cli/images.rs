//! `xbuild images`

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use super::arguments::ImagesOptions;
use super::assembly::Assembly;
use super::build::{build, publish};
use super::setup::{ImageWish, Setup, exit};
use crate::config::Project;
use crate::domain::{Result, ResultExt};
use crate::engine::native::sandbox::{Identity, enter_namespace};
use crate::plan::{Goal, ProjectImages, plan};

pub(super) async fn run(setup: &Setup<'_>, options: &ImagesOptions) -> Result<ExitCode> {
    let project = setup.project(&options.selection.arch.arches)?;
    if !Identity::is_root() && runs_commands(&project) {
        // The files that commands make belong to many users, and only root of their namespace can read them all.
        return enter_namespace(&Identity::detect());
    }
    let wish = ImageWish {
        names: &options.selection.names,
        update: options.selection.update,
        pull: options.pull,
        stage: options.target.as_deref(),
    };
    let (loaded, dockerfiles) = setup.load_images(project, &wish)?;
    let plan = plan(&loaded.project, &loaded.facts, &Goal::Images(dockerfiles.names()))?;
    let built = build(&loaded, &plan).await?;
    let images = ProjectImages::of(&plan)?;
    let mut assembly = Assembly::new(&loaded, &built.execution, &dockerfiles, &images, options)?;
    assembly.run(&plan)?;
    let indexes = assembly.indexes(&plan)?;
    let failures = [built.failures(), assembly.failures()].concat();
    publish(&loaded, &plan, &built.execution, &indexes, &assembly.gone())?;
    loaded.digests.save(&loaded.workshop.store)?;
    if failures.is_empty() {
        assembly.export(&plan)?;
    }
    loaded.workshop.stop.check()?;
    setup.printer.summary();
    print_names(setup, &loaded.project.folder.join("dist/images"), &indexes)?;
    Ok(exit(&failures))
}

/// Whether any Dockerfile of the project has a RUN, as far as its text tells before it is expanded.
fn runs_commands(project: &Project) -> bool {
    let is_run = |line: &str| {
        let mut words = line.split_whitespace().map(str::to_ascii_uppercase);
        let first = words.next();
        let word = if first.as_deref() == Some("ONBUILD") { words.next() } else { first };
        word.as_deref() == Some("RUN")
    };
    let text = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
    project.images.values().any(|image| text(&image.dockerfile).lines().any(is_run))
}

fn print_names(setup: &Setup<'_>, layout: &Path, indexes: &BTreeMap<String, String>) -> Result<()> {
    if setup.global.json {
        let value = serde_json::json!({ "version": 1, "layout": layout, "images": indexes });
        let text = serde_json::to_string_pretty(&value).or_bug(|| "cannot write the result".into())?;
        return setup.print(&(text + "\n"));
    }
    setup.print(&indexes.iter().map(|(name, digest)| format!("{name}@{digest}\n")).collect::<String>())
}

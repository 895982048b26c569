//! `xbuild images`

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use super::arguments::{BuiltBy, ImagesOptions};
use super::assembly::Assembly;
use super::build::{build, publish};
use super::engine_images;
use super::export;
use super::load::load;
use super::misspelt;
use super::secrets::SecretOption;
use super::setup::{ImageWish, Setup, exit};
use crate::domain::{Result, ResultExt};
use crate::engine::native::sandbox::{Identity, enter_namespace};
use crate::plan::{Goal, ProjectImages, plan};

pub(super) async fn run(setup: &Setup<'_>, options: &ImagesOptions) -> Result<ExitCode> {
    options.secret.iter().try_for_each(SecretOption::check)?;
    let project = setup.project(&options.selection.arch.arches)?;
    let wish = ImageWish {
        names: &options.selection.names,
        update: options.selection.update,
        pull: options.pull,
        stage: options.target.as_deref(),
        tests: &options.tests,
        built_by: options.built_by,
    };
    let (loaded, dockerfiles) = setup.load_images(project, &wish)?;
    let goal = Goal::Images(dockerfiles.names());
    let plan = plan(&loaded.project, &loaded.facts, &goal)?;
    if options.built_by == BuiltBy::Engine {
        engine_images::check(&setup.engine(&loaded.project)?, &loaded.facts, &dockerfiles)?;
    }
    let asked = export::asked(&plan, &options.selection.names);
    options.outputs.iter().try_for_each(|output| output.check(&asked))?;
    if !Identity::is_root() && dockerfiles.runs_commands {
        // The files that commands make belong to many users, and only root of their namespace can read them all. What was
        // found out so far is found out again there, but files are not read again.
        loaded.digests.save(&loaded.workshop.store)?;
        return enter_namespace(&Identity::detect()).map_err(engine_images::or_by_engine);
    }
    let built = build(&loaded, &plan, &goal).await?;
    misspelt::warn(&loaded, &dockerfiles, &built.execution);
    let images = ProjectImages::of(&plan)?;
    let mut assembly = Assembly::new(&loaded, &built.execution, &dockerfiles, &images, options)?;
    assembly.run(&plan)?;
    let indexes = assembly.indexes(&plan)?;
    let failures = [built.failures(), assembly.failures()].concat();
    publish(&loaded, &plan, &built.execution, &indexes, &assembly.gone())?;
    loaded.digests.save(&loaded.workshop.store)?;
    if failures.is_empty() {
        assembly.export(&plan)?;
        if options.load {
            load(setup, &loaded, &assembly, &plan).await?;
        }
    }
    loaded.workshop.stop.check()?;
    setup.printer.summary();
    print_names(setup, &loaded.project.folder.join("dist/images"), &indexes)?;
    Ok(exit(&failures))
}

fn print_names(setup: &Setup<'_>, layout: &Path, indexes: &BTreeMap<String, String>) -> Result<()> {
    if setup.global.json {
        let value = serde_json::json!({ "version": 1, "layout": layout, "images": indexes });
        let text = serde_json::to_string_pretty(&value).or_bug(|| "cannot write the result".into())?;
        return setup.print(&(text + "\n"));
    }
    setup.print(&indexes.iter().map(|(name, digest)| format!("{name}@{digest}\n")).collect::<String>())
}

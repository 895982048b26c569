//! `xbuild toolchain`

use std::process::ExitCode;

use super::arguments::{ToolchainBuild, ToolchainOptions, ToolchainVerb};
use super::build::build;
use super::setup::{Setup, exit};
use crate::config::Catalogue;
use crate::domain::{Arch, Name, Result, ResultExt};
use crate::plan::{Goal, plan, render_dockerfile};

pub(super) async fn run(setup: &Setup<'_>, options: &ToolchainOptions) -> Result<ExitCode> {
    match &options.verb {
        None => prepare(setup, &options.build).await,
        Some(ToolchainVerb::Build(options)) => prepare(setup, options).await,
        Some(ToolchainVerb::Ls) => list(setup),
        Some(ToolchainVerb::Show { name, dockerfile, arch }) => show(setup, name, *dockerfile, &arch.arches),
    }
}

async fn prepare(setup: &Setup<'_>, options: &ToolchainBuild) -> Result<ExitCode> {
    let project = setup.project_or_toolchain(options.name.as_ref(), &options.arch.arches)?;
    let loaded = setup.load_builder(project, options.update)?;
    let goal = Goal::Toolchain;
    let plan = plan(&loaded.project, &loaded.facts, &goal)?;
    let built = build(&loaded, &plan, &goal).await?;
    setup.printer.summary();
    Ok(exit(&built.failures()))
}

fn list(setup: &Setup<'_>) -> Result<ExitCode> {
    let catalogue = Catalogue::of_project(&setup.global.folder);
    let mut toolchains = Vec::new();
    let mut text = String::new();
    for name in catalogue.toolchains() {
        let toolchain = catalogue.toolchain(&name)?;
        let arches: Vec<&str> = toolchain.arches.iter().map(|arch| arch.name()).collect();
        text += &format!("{name:<18} {}\n{:<18} {}\n", toolchain.summary, "", arches.join(" "));
        toolchains.push(serde_json::json!({ "name": name, "summary": toolchain.summary, "arches": arches }));
    }
    let mut libraries = Vec::new();
    for name in catalogue.recipes() {
        let recipe = catalogue.recipe(&name)?;
        let versions: Vec<&str> = recipe.versions.keys().map(Name::as_str).collect();
        text += &format!("{name:<18} library: {}; {}\n", recipe.summary, versions.join(", "));
        libraries.push(serde_json::json!({ "name": name, "summary": recipe.summary, "versions": versions }));
    }
    if setup.global.json {
        let value = serde_json::json!({ "version": 1, "toolchains": toolchains, "libraries": libraries });
        text = serde_json::to_string_pretty(&value).or_bug(|| "cannot write the list".into())? + "\n";
    }
    setup.print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn show(setup: &Setup<'_>, name: &Name, dockerfile: bool, arches: &[Arch]) -> Result<ExitCode> {
    let project = setup.project_or_toolchain(Some(name), arches)?;
    let text = if dockerfile {
        render_dockerfile(&project, Arch::host()?)?
    } else if setup.global.json {
        serde_json::to_string_pretty(&project.toolchain).or_bug(|| "cannot write the toolchain".into())? + "\n"
    } else {
        project.catalogue.toolchain_text(name)?
    };
    setup.print(&text)?;
    Ok(ExitCode::SUCCESS)
}

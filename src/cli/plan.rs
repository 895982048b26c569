//! `xbuild plan`

use std::process::ExitCode;

use super::arguments::{PlanFormat, PlanOptions};
use super::dockerfiles;
use super::foresight;
use super::setup::{ImageWish, Loaded, Setup};
use crate::config::{Project, nearest};
use crate::domain::{Error, Name, Result, ResultExt};
use crate::engine::states;
use crate::plan::{Format, Goal, Instructions, Plan, Work, plan, render};

pub(super) fn run(setup: &Setup<'_>, options: &PlanOptions) -> Result<ExitCode> {
    let project = setup.project(&options.arch.arches)?;
    options.names.iter().try_for_each(|name| check_name(&project, name))?;
    let (loaded, dockerfiles) = match project.images.is_empty() {
        true => (setup.load(project, false)?, None),
        false => setup.load_images(project, &ImageWish::default()).map(|(loaded, files)| (loaded, Some(files)))?,
    };
    if options.dockerfile {
        return print_dockerfiles(setup, &loaded, &options.names);
    }
    let (images, binaries): (Vec<Name>, Vec<Name>) =
        options.names.iter().cloned().partition(|name| loaded.project.images.contains_key(name));
    let mut whole = Plan::default();
    let mut goals = Vec::new();
    if options.names.is_empty() || !binaries.is_empty() {
        goals.push(Goal::Binaries(binaries));
    }
    if options.names.is_empty() || !images.is_empty() {
        goals.push(Goal::Images(images));
    }
    for goal in goals {
        for step in plan(&loaded.project, &loaded.facts, &goal)?.steps {
            if !whole.steps.iter().any(|known| known.id == step.id) {
                whole.steps.push(step);
            }
        }
    }
    let format = match options.format {
        PlanFormat::Json => Format::Json,
        PlanFormat::Text if setup.global.json => Format::Json,
        PlanFormat::Text => Format::Text,
        PlanFormat::Dot => Format::Dot,
    };
    let states = states(&loaded.workshop.store, &loaded.workshop.scope(), &whole);
    let instructions = match &dockerfiles {
        Some(dockerfiles) if whole.steps.iter().any(|step| matches!(step.work, Work::Image(_))) => {
            foresight::instructions(&loaded, dockerfiles, &whole)?
        }
        _ => Instructions::new(),
    };
    setup.print(&render(&whole, &states, &instructions, format)?)?;
    loaded.digests.save(&loaded.workshop.store)?;
    Ok(ExitCode::SUCCESS)
}

/// Objects to what is neither an image's name nor a program's.
fn check_name(project: &Project, name: &Name) -> Result<()> {
    if project.images.contains_key(name) || project.binaries.contains_key(name) {
        return Ok(());
    }
    let mut error = Error::usage(format!("the project has no image and no binary '{name}'"));
    let names = || project.images.keys().chain(project.binaries.keys()).map(Name::as_str);
    if let Some(near) = nearest(name.as_str(), names()) {
        error = error.hint(format!("did you mean '{near}'?"));
    }
    let list = |what: &str, names: Vec<&str>| match names.is_empty() {
        true => format!("no {what}"),
        false => format!("the {what} {}", names.join(", ")),
    };
    let images = list("images", project.images.keys().map(Name::as_str).collect());
    let binaries = list("binaries", project.binaries.keys().map(Name::as_str).collect());
    Err(error.hint(format!("it has {images} and {binaries}")))
}

/// A single Dockerfile stands for itself; several have a line before each that tells them apart.
fn print_dockerfiles(setup: &Setup<'_>, loaded: &Loaded, names: &[Name]) -> Result<ExitCode> {
    let plan = plan(&loaded.project, &loaded.facts, &Goal::Images(names.to_vec()))?;
    let images = plan.steps.iter().filter_map(|step| match &step.work {
        Work::Image(build) => Some((&step.id, build)),
        _ => None,
    });
    let mut texts = Vec::new();
    for (id, build) in images {
        let text = dockerfiles::expand(build).context(|| format!("image '{}'", build.image))?.text;
        texts.push((id, text.trim_end().to_owned() + "\n"));
    }
    let text: String = match &texts[..] {
        [(_, text)] => text.clone(),
        several => several.iter().map(|(id, text)| format!("# {id}\n{text}")).collect::<Vec<_>>().join("\n"),
    };
    setup.print(&text)?;
    Ok(ExitCode::SUCCESS)
}

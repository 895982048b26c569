//! `xbuild plan`

use std::process::ExitCode;

use super::arguments::{PlanFormat, PlanOptions};
use super::setup::Setup;
use crate::domain::{Name, Result};
use crate::engine::states;
use crate::plan::{Format, Goal, Plan, plan, render};

pub(super) fn run(setup: &Setup<'_>, options: &PlanOptions) -> Result<ExitCode> {
    let project = setup.project(&options.arch.arches)?;
    let loaded = setup.load(project, false)?;
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
    setup.print(&render(&whole, &states, format)?)?;
    loaded.digests.save(&loaded.workshop.store)?;
    Ok(ExitCode::SUCCESS)
}

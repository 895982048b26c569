//! `xbuild binaries`

use std::process::ExitCode;

use super::arguments::Selection;
use super::build::build;
use super::setup::{Setup, exit};
use crate::domain::Result;
use crate::plan::{Goal, plan};

pub(super) async fn run(setup: &Setup<'_>, options: &Selection) -> Result<ExitCode> {
    let project = setup.project(&options.arch.arches)?;
    let loaded = setup.load(project, options.update)?;
    let goal = Goal::Binaries(options.names.clone());
    let plan = plan(&loaded.project, &loaded.facts, &goal)?;
    let built = build(&loaded, &plan, &goal).await?;
    setup.printer.summary();
    setup.print_paths(&built.paths)?;
    Ok(exit(&built.failures()))
}

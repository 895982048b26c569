//! What `binaries`, `images` and `test` share: execute a plan, publish its programs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::setup::Loaded;
use crate::domain::{Arch, ErrorKind, Result};
use crate::engine::{Dist, Execution, Images, execute};
use crate::plan::{Goal, Plan, Work, builder_images};
use crate::store::Record;

/// What was built, and where it is now.
pub(super) struct Built {
    pub(super) execution: Execution,
    pub(super) paths: Vec<PathBuf>,
}

impl Built {
    /// Who must act on the steps that failed; empty when every step is done.
    pub(super) fn failures(&self) -> Vec<ErrorKind> {
        self.execution.errors.iter().map(|(_, error)| error.kind()).collect()
    }
}

/// Runs all steps but images, and puts the programs into `dist`.
pub(super) async fn build(loaded: &Loaded, plan: &Plan, goal: &Goal) -> Result<Built> {
    // Before anything is built for it.
    Dist::new(&loaded.project.folder, loaded.facts.epoch).check()?;
    let images = || builder_images(&loaded.project, &loaded.facts, goal);
    let execution = execute(&loaded.workshop, plan, &images).await?;
    let paths = publish(loaded, plan, &execution, &BTreeMap::new(), &BTreeSet::new())?;
    loaded.digests.save(&loaded.workshop.store)?;
    Ok(Built { execution, paths })
}

/// Writes `dist`; `images` are digests of indexes by name, `gone` the names of those that could not be made.
pub(super) fn publish(
    loaded: &Loaded,
    plan: &Plan,
    execution: &Execution,
    images: &BTreeMap<String, String>,
    gone: &BTreeSet<String>,
) -> Result<Vec<PathBuf>> {
    let mut records: BTreeMap<String, (Option<Arch>, Record)> = BTreeMap::new();
    for step in &plan.steps {
        if let Some(record) = execution.done(&step.id) {
            records.insert(step.id.to_string(), (step.arch, (**record).clone()));
        }
    }
    let dist = Dist::new(&loaded.project.folder, loaded.facts.epoch);
    let has_programs = records.values().any(|(_, record)| !record.outputs.is_empty());
    if !has_programs && images.is_empty() && !dist.folder().exists() {
        return Ok(Vec::new());
    }
    // What failed now is not what an earlier run has left: that must go.
    let failed: BTreeSet<String> = plan
        .steps
        .iter()
        .filter(|step| execution.done(&step.id).is_none())
        .filter_map(|step| match (&step.work, step.arch) {
            (Work::Program(program), Some(arch)) => Some((program, arch)),
            _ => None,
        })
        .flat_map(|(program, arch)| program.outputs.iter().map(move |output| format!("{arch}/{}", output.name)))
        .collect();
    let known: BTreeSet<String> = loaded
        .project
        .binaries
        .iter()
        .flat_map(|(name, binary)| binary.output_names(name))
        .flat_map(|name| Arch::ALL.map(|arch| format!("{arch}/{name}")))
        .filter(|place| !failed.contains(place))
        .collect();
    let project = loaded.project.name.as_str();
    dist.publish(&loaded.workshop.store, &loaded.digests, project, &records, &known, Images { made: images, gone })
}

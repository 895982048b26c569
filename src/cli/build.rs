//! What `binaries`, `images` and `test` share: execute a plan, publish its programs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::setup::Loaded;
use crate::domain::{Arch, Result};
use crate::engine::{Dist, Execution, StepResult, execute};
use crate::plan::Plan;
use crate::store::Record;

/// What was built, and where it is now.
pub(super) struct Built {
    pub(super) execution: Execution,
    pub(super) paths: Vec<PathBuf>,
}

impl Built {
    /// Whether every step is done.
    pub(super) fn success(&self) -> bool {
        self.execution.results.values().all(|result| matches!(result, StepResult::Done(_)))
    }
}

/// Runs all steps but images, and puts the programs into `dist`.
pub(super) async fn build(loaded: &Loaded, plan: &Plan) -> Result<Built> {
    let execution = execute(&loaded.workshop, plan).await?;
    let paths = publish(loaded, plan, &execution, BTreeMap::new())?;
    loaded.digests.save(&loaded.workshop.store)?;
    Ok(Built { execution, paths })
}

/// Writes `dist`; `images` are digests of indexes by name.
pub(super) fn publish(
    loaded: &Loaded,
    plan: &Plan,
    execution: &Execution,
    images: BTreeMap<String, String>,
) -> Result<Vec<PathBuf>> {
    let mut records: BTreeMap<String, (Option<Arch>, Record)> = BTreeMap::new();
    for step in &plan.steps {
        if let Some(StepResult::Done(record)) = execution.results.get(&step.id) {
            records.insert(step.id.to_string(), (step.arch, (**record).clone()));
        }
    }
    let has_programs = records.values().any(|(_, record)| !record.outputs.is_empty());
    if !has_programs && images.is_empty() {
        return Ok(Vec::new());
    }
    let known: BTreeSet<String> = loaded
        .project
        .binaries
        .iter()
        .flat_map(|(name, binary)| binary.output_names(name))
        .flat_map(|name| Arch::ALL.map(|arch| format!("{arch}/{name}")))
        .collect();
    let dist = Dist::new(&loaded.project.folder, loaded.facts.epoch);
    let project = loaded.project.name.as_str();
    dist.publish(&loaded.workshop.store, &loaded.digests, project, &records, &known, images)
}

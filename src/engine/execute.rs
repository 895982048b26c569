//! Runs a plan: every step is a task that waits for what it needs; what failed takes only its dependents along.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::board::{Board, Job, StepResult};
use super::docker::adopt;
use super::native::{Root, packages};
use super::session::WantedBuilder;
use super::{Assessment, BaseChoice, Workshop, assess, bases, build, survey, unless_stopped};
use crate::domain::{Arch, Digest, Error, Event, Outcome, Result};
use crate::plan::{BuilderImage, Plan, ProgramSource, Step, StepId, Work};
use crate::store::Record;

/// What came of a plan.
#[derive(Debug, Default)]
pub struct Execution {
    /// Every step's result; images are not among them.
    pub results: BTreeMap<StepId, StepResult>,
    /// The errors of the steps that failed.
    pub errors: Vec<(StepId, Error)>,
}

impl Execution {
    /// The record of a step that is done.
    pub fn done(&self, step: &StepId) -> Option<&Arc<Record>> {
        match self.results.get(step) {
            Some(StepResult::Done(record)) => Some(record),
            _ => None,
        }
    }
}

/// Runs all steps but images. Failures are in the result; an error means that the run itself could not go on. `images`
/// gives the builders of the plan as images, which an engine may have where the store has no layers.
///
/// # Errors
/// [`Error::interrupted`], or a bug.
pub async fn execute(
    workshop: &Arc<Workshop>,
    plan: &Plan,
    images: &dyn Fn() -> Result<Vec<Step>>,
) -> Result<Execution> {
    workshop.events.emit(Event::Planned { steps: plan.steps.len() });
    let board = Arc::new(Board::new(plan));
    let mut tasks = JoinSet::new();
    let mut known = look(workshop, plan);
    let lacks = |step: &Step| {
        matches!(step.work, Work::Packages(_))
            && !matches!(known.get(&step.id), Some(Ok(Assessment { record: Some(_), .. })))
    };
    let stacked = !plan.steps.iter().any(|step| matches!(step.work, Work::Builder(_)));
    if stacked
        && !workshop.update
        && plan.steps.iter().any(lacks)
        && unless_stopped(&workshop.stop, adopt(workshop, &images()?)).await?
    {
        known = look(workshop, plan);
    }
    let (package_steps, other_steps) = left(workshop, &board, plan, known);
    greet(workshop, &other_steps).await?;
    if !package_steps.is_empty() {
        let (workshop, board) = (workshop.clone(), board.clone());
        tasks.spawn_blocking(move || packages::install(&workshop, &board, &package_steps));
    }
    for group in groups(other_steps) {
        let (workshop, board) = (workshop.clone(), board.clone());
        tasks.spawn(async move { run_group(&workshop, &board, group).await });
    }
    while let Some(result) = tasks.join_next().await {
        result.map_err(|error| Error::bug("a step panicked").because(error))?;
    }
    workshop.stop.check()?;
    let mut execution = Execution::default();
    for step in plan.steps.iter().filter(|step| !matches!(step.work, Work::Image(_))) {
        let result = board.receiver(&step.id)?.borrow().clone();
        execution
            .results
            .insert(step.id.clone(), result.ok_or_else(|| Error::bug(format!("{} never ended", step.id)))?);
    }
    execution.errors = board.take_errors();
    Ok(execution)
}

/// One error for an engine that is not there, and not one for each step.
async fn greet(workshop: &Arc<Workshop>, steps: &[Step]) -> Result<()> {
    let builders = steps.iter().filter(|step| matches!(step.work, Work::Builder(_)));
    let targets: BTreeSet<Option<Arch>> = builders.map(|step| step.arch).collect();
    if targets.is_empty() {
        return Ok(());
    }
    let workshop = workshop.clone();
    let greeted = tokio::task::spawn_blocking(move || {
        targets.into_iter().try_for_each(|target| workshop.engine.greet(&workshop, target))
    });
    greeted.await.unwrap_or_else(|error| Err(Error::bug("greeting an engine panicked").because(error)))
}

/// What the store knows of the steps.
fn look(workshop: &Workshop, plan: &Plan) -> BTreeMap<StepId, Result<Assessment, String>> {
    // What a name stands for may have to be asked again.
    let kept = plan.steps.iter().filter(|step| !matches!(step.work, Work::Image(_) | Work::Base(_)));
    match workshop.update {
        true => BTreeMap::new(),
        false => survey(&workshop.store, &workshop.scope(), kept),
    }
}

/// What a look at the store leaves to do: package layers, which know each other, and all other steps but images. The rest
/// is told to be done: no task has to be started to find that nothing is to be done.
fn left(
    workshop: &Workshop,
    board: &Board,
    plan: &Plan,
    mut known: BTreeMap<StepId, Result<Assessment, String>>,
) -> (Vec<Step>, Vec<Step>) {
    let mut record = |step: &Step| known.remove(&step.id).and_then(|found| found.ok()?.record);
    let (packages, others): (Vec<&Step>, Vec<&Step>) = plan
        .steps
        .iter()
        .filter(|step| !matches!(step.work, Work::Image(_)))
        .partition(|step| matches!(step.work, Work::Packages(_)));
    let done = |step: &Step, record| board.done(workshop, &step.id, record, Outcome::Cached, Duration::ZERO);
    let records: Option<Vec<Record>> = packages.iter().map(|step| record(step)).collect();
    let packages = match records {
        Some(records) => {
            packages.into_iter().zip(records).for_each(|(step, record)| done(step, record));
            Vec::new()
        }
        None => packages.into_iter().cloned().collect(),
    };
    let (mut left, mut builders): (Vec<Step>, Vec<(Step, Record)>) = (Vec::new(), Vec::new());
    for step in others {
        match (&step.work, record(step)) {
            (Work::Builder(_), Some(record)) => builders.push((step.clone(), record)),
            (_, Some(record)) => done(step, record),
            (_, None) => left.push(step.clone()),
        }
    }
    // Whether an image is still there only its engine knows, which need not be asked for the sake of what is done.
    for (step, record) in builders {
        let mut users = plan.steps.iter().filter(|user| user.needs.contains(&step.id)).peekable();
        let wanted = users.peek().is_none() || users.any(|user| left.iter().any(|other| other.id == user.id));
        match wanted {
            true => left.push(step),
            false => done(&step, record),
        }
    }
    (packages, left)
}

/// Steps that share a sandbox: Go programs of one architecture, from one tree, in one root. All others are alone.
fn groups(steps: Vec<Step>) -> Vec<Vec<Step>> {
    let mut groups: Vec<Vec<Step>> = Vec::new();
    for step in steps {
        match &step.work {
            Work::Program(program) => {
                let shares = |group: &&mut Vec<Step>| match &group[0].work {
                    Work::Program(other) => {
                        program.shares_tree
                            && other.shares_tree
                            && (program.source == ProgramSource::Tree && other.source == ProgramSource::Tree)
                            && (&program.root, &program.libraries) == (&other.root, &other.libraries)
                            && program.preparation == other.preparation
                            && program.command.network == other.command.network
                    }
                    _ => false,
                };
                match groups.iter_mut().find(shares) {
                    Some(group) => group.push(step),
                    None => groups.push(vec![step]),
                }
            }
            _ => groups.push(vec![step]),
        }
    }
    groups
}

/// Waits for what the steps need, finds those that are not done, and makes these.
async fn run_group(workshop: &Arc<Workshop>, board: &Arc<Board>, group: Vec<Step>) {
    let mut jobs = Vec::new();
    let mut choice = None;
    for step in group {
        let id = step.id.clone();
        if let Work::Builder(image) = &step.work {
            return make_builder(workshop, board, &step, image).await;
        }
        if let Work::Base(base) = &step.work {
            match bases::choose(workshop, &step, base).await {
                Ok(made) => choice = Some(made),
                Err(error) => return board.failed(workshop, &id, error, Duration::ZERO),
            }
        }
        match prepare(workshop, board, step, choice.as_ref()).await {
            Ok(Some(job)) => jobs.push(job),
            Ok(None) => {}
            Err(error) => board.failed(workshop, &id, error, Duration::ZERO),
        }
    }
    if jobs.is_empty() {
        return;
    }
    let started = Instant::now();
    let ids: Vec<StepId> = jobs.iter().map(|job| job.step.id.clone()).collect();
    let result = match (choice, jobs.pop()) {
        (Some(choice), Some(job)) => bases::make(workshop, board, job, choice).await,
        (_, job) => build::build(workshop, board, jobs.into_iter().chain(job).collect()).await,
    };
    if let Err(error) = result {
        for id in ids {
            if matches!(board.receiver(&id).map(|receiver| receiver.borrow().is_some()), Ok(false)) {
                board.failed(workshop, &id, error.again(), started.elapsed());
            }
        }
    }
}

/// Has the engine see to a builder's image.
async fn make_builder(workshop: &Arc<Workshop>, board: &Board, step: &Step, image: &BuilderImage) {
    let started = Instant::now();
    let (at_work, step, image) = (workshop.clone(), step.clone(), image.clone());
    let id = step.id.clone();
    let made = tokio::task::spawn_blocking(move || {
        let workshop = at_work;
        let assessment = assess(&workshop.store, &workshop.scope(), &step, &|_| None, None)
            .ok_or_else(|| Error::bug("a builder that needs something"))?;
        // Another process may be making it.
        let _lock = workshop.lock(&step.id, &assessment.key)?;
        let wanted = WantedBuilder { step, image, assessment };
        workshop.engine.make_builder(&workshop, &wanted)
    });
    let made = made.await.unwrap_or_else(|error| Err(Error::bug("making a builder panicked").because(error)));
    match made {
        Ok((record, outcome)) => board.done(workshop, &id, record, outcome, started.elapsed()),
        Err(error) => board.failed(workshop, &id, error, started.elapsed()),
    }
}

async fn prepare(workshop: &Workshop, board: &Board, step: Step, choice: Option<&BaseChoice>) -> Result<Option<Job>> {
    let mut records: BTreeMap<StepId, Arc<Record>> = BTreeMap::new();
    for id in &step.needs {
        match board.wait(id).await? {
            StepResult::Done(record) => _ = records.insert(id.clone(), record),
            StepResult::Failed | StepResult::Skipped => {
                board.skipped(workshop, &step.id, id);
                return Ok(None);
            }
        }
    }
    workshop.stop.check()?;
    let digest = |id: &StepId| records.get(id).map(|record| record.digest);
    let assessment = assess(&workshop.store, &workshop.scope(), &step, &digest, choice.map(BaseChoice::digest))
        .ok_or_else(|| Error::bug("a step without its needs"))?;
    if let Some(record) = assessment.record {
        board.done(workshop, &step.id, record, Outcome::Cached, Duration::ZERO);
        return Ok(None);
    }
    let (root, libraries, preparation) = match &step.work {
        Work::Library(library) => (library.root.as_slice(), [].as_slice(), None),
        Work::Preparation(preparation) => (preparation.root.as_slice(), [].as_slice(), None),
        Work::Program(program) => (program.root.as_slice(), program.libraries.as_slice(), program.preparation.as_ref()),
        // The layer with the emulator.
        Work::Base(_) => (step.needs.as_slice(), [].as_slice(), None),
        _ => ([].as_slice(), [].as_slice(), None),
    };
    let keys = |ids: &[StepId]| -> Result<Vec<Digest>> {
        let key = |id| records.get(id).map(|record| record.key);
        ids.iter().map(key).collect::<Option<_>>().ok_or_else(|| Error::bug("a root that is not needed"))
    };
    let root = Root { compilers: keys(root)?, libraries: keys(libraries)? };
    let prepared = keys(preparation.map(std::slice::from_ref).unwrap_or_default())?.pop();
    Ok(Some(Job { step, assessment, root, prepared }))
}

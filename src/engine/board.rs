//! Where the steps of a run meet: each waits here for what it needs, and says here what came of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::native::Root;
use super::{Assessment, Workshop};
use crate::domain::{Digest, Error, ErrorKind, Event, Outcome, Result};
use crate::plan::{Plan, Step, StepId};
use crate::store::Record;

/// What came of a step.
#[derive(Debug, Clone)]
pub enum StepResult {
    /// It is done, now or before.
    Done(Arc<Record>),
    /// It failed; the error was told.
    Failed,
    /// It was not tried, because the step named failed.
    Skipped,
}

type Sender = watch::Sender<Option<StepResult>>;
type Receiver = watch::Receiver<Option<StepResult>>;

/// Where the steps of a run meet.
pub(super) struct Board {
    senders: BTreeMap<StepId, Sender>,
    errors: std::sync::Mutex<Vec<(StepId, Error)>>,
}

impl Board {
    pub(super) fn new(plan: &Plan) -> Board {
        let senders = plan.steps.iter().map(|step| (step.id.clone(), watch::channel(None).0)).collect();
        Board { senders, errors: std::sync::Mutex::default() }
    }

    pub(super) fn receiver(&self, id: &StepId) -> Result<Receiver> {
        self.senders.get(id).map(Sender::subscribe).ok_or_else(|| Error::bug(format!("the plan has no step {id}")))
    }

    /// The errors so far.
    pub(super) fn take_errors(&self) -> Vec<(StepId, Error)> {
        std::mem::take(&mut *self.errors.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// A step's result, once it is there.
    pub(super) async fn wait(&self, id: &StepId) -> Result<StepResult> {
        let mut receiver = self.receiver(id)?;
        let value = receiver.wait_for(Option::is_some).await;
        value
            .map_err(|_| Error::bug(format!("nobody makes {id}")))
            .and_then(|value| value.clone().ok_or_else(|| Error::bug("a result that is none")))
    }

    /// Tells everybody that a step is done.
    pub(super) fn done(&self, workshop: &Workshop, id: &StepId, record: Record, outcome: Outcome, took: Duration) {
        self.tell(workshop, id, StepResult::Done(Arc::new(record)), outcome, took);
    }

    /// Tells everybody that a step failed, and why.
    pub(super) fn failed(&self, workshop: &Workshop, id: &StepId, error: Error, took: Duration) {
        let interrupted = error.kind() == ErrorKind::Interrupted;
        let outcome = Outcome::Failed(error.with_hints());
        self.errors.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((id.clone(), error));
        if interrupted {
            // The step did not end; the run tells why.
            return self.settle(id, StepResult::Failed);
        }
        self.tell(workshop, id, StepResult::Failed, outcome, took);
    }

    /// Tells everybody that a step is not tried.
    pub(super) fn skipped(&self, workshop: &Workshop, id: &StepId, because: &StepId) {
        self.tell(workshop, id, StepResult::Skipped, Outcome::Skipped(because.to_string()), Duration::ZERO);
    }

    fn tell(&self, workshop: &Workshop, id: &StepId, result: StepResult, outcome: Outcome, took: Duration) {
        workshop.events.emit(Event::Finished { step: id.to_string(), outcome, took });
        self.settle(id, result);
    }

    fn settle(&self, id: &StepId, result: StepResult) {
        if let Some(sender) = self.senders.get(id) {
            sender.send_replace(Some(result));
        }
    }
}

/// A step that has to be made, and what is known of it.
pub(super) struct Job {
    pub(super) step: Step,
    pub(super) assessment: Assessment,
    pub(super) root: Root,
    /// The layer that is laid over the project's tree.
    pub(super) prepared: Option<Digest>,
}

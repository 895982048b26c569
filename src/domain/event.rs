//! What happens during a run, told as it happens; printers make of it what they like.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::Result;

/// Which of a command's streams a piece of output came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// An earlier run had done it.
    Cached,
    /// Done now.
    Built,
    /// Tried and failed; the text is the error.
    Failed(String),
    /// Not tried, because of the step named.
    Skipped(String),
}

impl Outcome {
    /// Of a step that was tried.
    pub fn of<T>(result: &Result<T>) -> Outcome {
        match result {
            Ok(_) => Outcome::Built,
            Err(error) => Outcome::Failed(error.with_hints()),
        }
    }
}

/// One thing that happened. Steps are named by their identifier in the plan, as in `binary/router/s390x`.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The work begins; said once for each plan that is carried out.
    Planned {
        /// How many steps will end, cached ones included.
        steps: usize,
    },
    /// A step waits for another xbuild that makes the same. It starts afterwards, or ends as cached.
    Waiting {
        /// The step.
        step: String,
    },
    /// A step starts.
    Started {
        /// The step.
        step: String,
        /// Why it was not cached.
        reason: String,
    },
    /// A step has got on; `done` and `total` are of one unit, bytes where `what` says download.
    Progress {
        /// The step.
        step: String,
        /// The activity, as in `downloading`.
        what: &'static str,
        /// So much is done.
        done: u64,
        /// Of so much, where it is known.
        total: Option<u64>,
    },
    /// A command of the step's printed something.
    Output {
        /// The step.
        step: String,
        /// Where it was printed.
        stream: Stream,
        /// What, with invalid UTF-8 replaced.
        text: String,
    },
    /// Something the user should know, and that does not stop the work.
    Warning {
        /// The text.
        text: String,
    },
    /// A step ended.
    Finished {
        /// The step.
        step: String,
        /// How.
        outcome: Outcome,
        /// Wall time.
        #[serde(serialize_with = "seconds")]
        took: Duration,
    },
}

fn seconds<S: serde::Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(value.as_secs_f64())
}

/// Where events go. Cheap to clone; safe to call from any thread.
#[derive(Clone)]
pub struct Events(Arc<dyn Fn(Event) + Send + Sync>);

impl Events {
    /// Events go to a function.
    pub fn new(sink: impl Fn(Event) + Send + Sync + 'static) -> Events {
        Events(Arc::new(sink))
    }

    /// Events go nowhere.
    pub fn discard() -> Events {
        Events::new(|_| {})
    }

    /// Tells one event.
    pub fn emit(&self, event: Event) {
        (self.0)(event);
    }
}

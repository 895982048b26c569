//! What has happened so far, as far as it is told again.

use std::time::{Duration, Instant};

use super::capture::{Kept, Lines};

/// A step at work.
pub(super) struct Running {
    pub(super) step: String,
    pub(super) reason: String,
    pub(super) since: Instant,
    pub(super) progress: Option<Progress>,
    /// When a line about it was last written to a log.
    pub(super) told: Option<Instant>,
    pub(super) lines: Lines,
    pub(super) kept: Kept,
}

impl Running {
    pub(super) fn new(step: String, reason: String, since: Instant) -> Running {
        let (lines, kept) = Default::default();
        Running { step, reason, since, progress: None, told: None, lines, kept }
    }
}

/// How far a step has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) what: &'static str,
    pub(super) done: u64,
    pub(super) total: Option<u64>,
}

/// The steps of a run by what became of them.
pub(super) struct Run {
    pub(super) began: Instant,
    /// How many steps the plan has, if that was told.
    pub(super) planned: usize,
    /// In the order in which they started.
    pub(super) running: Vec<Running>,
    pub(super) built: usize,
    pub(super) cached: usize,
    /// Step and error.
    pub(super) failed: Vec<(String, String)>,
    /// Step and the step it waited for.
    pub(super) skipped: Vec<(String, String)>,
}

impl Run {
    pub(super) fn new(began: Instant) -> Run {
        let (failed, skipped, running) = Default::default();
        Run { began, planned: 0, running, built: 0, cached: 0, failed, skipped }
    }

    /// A step is at work, or does something else now.
    pub(super) fn start(&mut self, step: String, reason: String, now: Instant) {
        match self.find(&step) {
            Some(running) => *running = Running::new(step, reason, now),
            None => self.running.push(Running::new(step, reason, now)),
        }
    }

    /// A step waits for another process.
    pub(super) fn wait(&mut self, step: String, now: Instant) {
        self.start(step, "another xbuild makes it".into(), now);
    }

    pub(super) fn find(&mut self, step: &str) -> Option<&mut Running> {
        self.running.iter_mut().find(|running| running.step == step)
    }

    pub(super) fn take(&mut self, step: &str) -> Option<Running> {
        let index = self.running.iter().position(|running| running.step == step)?;
        Some(self.running.remove(index))
    }

    /// How many steps have come to an end.
    pub(super) fn ended(&self) -> usize {
        self.built + self.cached + self.failed.len() + self.skipped.len()
    }

    /// The numbers that are not zero, in words.
    pub(super) fn counts(&self, words: [&'static str; 5]) -> Vec<(&'static str, usize)> {
        let numbers = [self.built, self.cached, self.failed.len(), self.skipped.len(), self.running.len()];
        words.into_iter().zip(numbers).filter(|(_, number)| *number > 0).collect()
    }

    /// For how long the step that runs longest has run.
    pub(super) fn longest(&self, now: Instant) -> Duration {
        self.running.iter().map(|running| now.saturating_duration_since(running.since)).max().unwrap_or_default()
    }
}

//! Keeps other processes from making the same steps, and takes what they have made meanwhile.

use std::sync::Arc;
use std::time::Duration;

use super::board::{Board, Job};
use super::{Workshop, made};
use crate::domain::{Error, Outcome, Result};
use crate::store::KeyLock;

/// Waits until no other process makes any of the steps. Those that another one has made meanwhile are told of, and left out.
///
/// # Errors
/// When the run was stopped, or a lock cannot be made.
pub(super) async fn lock(
    workshop: &Arc<Workshop>,
    board: &Arc<Board>,
    mut jobs: Vec<Job>,
) -> Result<Vec<(Job, KeyLock)>> {
    // In one order everywhere, so that two processes never wait for each other.
    jobs.sort_by_key(|job| job.assessment.key);
    let (workshop, board) = (workshop.clone(), board.clone());
    let locked = tokio::task::spawn_blocking(move || {
        let mut left = Vec::new();
        for job in jobs {
            let lock = workshop.lock(&job.step.id, &job.assessment.key)?;
            match made(&workshop.store, &job.step, &job.assessment.key) {
                Some(record) => board.done(&workshop, &job.step.id, record, Outcome::Cached, Duration::ZERO),
                None => left.push((job, lock)),
            }
        }
        Ok(left)
    });
    locked.await.map_err(|error| Error::bug("a lock panicked").because(error))?
}

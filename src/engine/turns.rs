//! When a group of steps may start its commands.
//!
//! Go programs of one target wait for each other where they share a cache: those that begin at once would each compile the
//! standard library, and one alone keeps all processors busy. Other machines have caches of their own.

use std::cell::RefCell;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::{Mutex, OwnedMutexGuard, OwnedSemaphorePermit};

use super::Workshop;
use super::board::Job;
use super::stopping::unless_stopped;
use crate::domain::Result;
use crate::plan::{ProgramBuild, Work};

/// The groups that share the compilers' cache of a target.
#[derive(Default)]
pub(crate) struct Queue {
    /// Whoever is next in line makes its builder ready meanwhile.
    next: Arc<Mutex<()>>,
    /// Whoever compiles.
    compiling: Arc<Mutex<()>>,
}

/// The place of a group of steps among all that want to run.
pub(super) struct Turn {
    workshop: Arc<Workshop>,
    queue: Option<Arc<Queue>>,
    held: RefCell<Held>,
}

#[derive(Default)]
struct Held {
    next: Option<OwnedMutexGuard<()>>,
    compiling: Option<OwnedMutexGuard<()>>,
    slot: Option<OwnedSemaphorePermit>,
}

impl Turn {
    /// Waits until a group may make its builder ready.
    pub(super) async fn of(workshop: &Arc<Workshop>, jobs: &[Job]) -> Result<Turn> {
        let queue = match &jobs[0].step.work {
            Work::Program(ProgramBuild { shares_tree: true, .. }) => {
                jobs[0].step.arch.filter(|arch| !workshop.machines.contains_key(arch))
            }
            _ => None,
        };
        let queue = queue.and_then(|arch| workshop.queues.get(&arch)).cloned();
        let mut held = Held::default();
        match &queue {
            Some(queue) => held.next = Some(queue.next.clone().lock_owned().await),
            None => held.slot = Some(workshop.slot().await?),
        }
        Ok(Turn { workshop: workshop.clone(), queue, held: RefCell::new(held) })
    }

    /// Waits until the commands may start. Blocks; asked again it is told at once.
    ///
    /// # Errors
    /// When the user does not want to wait any longer.
    pub(super) fn start(&self) -> Result<()> {
        let mut held = self.held.borrow_mut();
        let (Some(queue), Some(_)) = (&self.queue, &held.next) else { return Ok(()) };
        let wait = async { Ok((queue.compiling.clone().lock_owned().await, self.workshop.slot().await?)) };
        let (compiling, slot) = Handle::current().block_on(unless_stopped(&self.workshop.stop, wait))?;
        *held = Held { next: None, compiling: Some(compiling), slot: Some(slot) };
        Ok(())
    }

    /// Lets the next one compile; what is still to be done with the programs is no matter of the cache.
    pub(super) fn compiled(&self) {
        self.held.borrow_mut().compiling = None;
    }
}

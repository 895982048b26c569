//! Which layers of a run can be built upon.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::domain::{Digest, Error, Result};
use crate::plan::StepId;

/// Keys of layers, and which of these are in the store.
#[derive(Default)]
pub(super) struct Layers {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    keys: BTreeMap<StepId, Digest>,
    done: BTreeSet<Digest>,
    given_up: bool,
}

impl Layers {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers a step's key.
    pub(super) fn name(&self, id: &StepId, key: Digest) {
        self.state().keys.insert(id.clone(), key);
    }

    /// A step's key, once it is known.
    pub(super) fn key(&self, id: &StepId) -> Option<Digest> {
        self.state().keys.get(id).copied()
    }

    /// Tells that a layer is in the store.
    pub(super) fn done(&self, key: Digest) {
        self.state().done.insert(key);
        self.changed.notify_all();
    }

    /// Tells that something failed: nobody need wait any more.
    pub(super) fn give_up(&self) {
        self.state().given_up = true;
        self.changed.notify_all();
    }

    /// Waits until a layer is in the store.
    ///
    /// # Errors
    /// [`Error::interrupted`] after [`Layers::give_up`]: the error is somebody else's to tell.
    pub(super) fn wait(&self, key: &Digest) -> Result<()> {
        let waits = |state: &mut State| !state.given_up && !state.done.contains(key);
        let state = self.changed.wait_while(self.state(), waits).unwrap_or_else(PoisonError::into_inner);
        if state.done.contains(key) { Ok(()) } else { Err(Error::interrupted()) }
    }
}

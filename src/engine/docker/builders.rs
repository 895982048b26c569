//! The builders of a run, for engines that get them when they first need them.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::builder;
use crate::docker::Client;
use crate::domain::{Digest, Error, Outcome, Result};
use crate::engine::Workshop;
use crate::engine::session::WantedBuilder;
use crate::store::Record;

/// Builders by their keys.
#[derive(Default)]
pub(crate) struct Builders(Mutex<BTreeMap<Digest, Known>>);

/// A builder that some engine has.
#[derive(Clone)]
struct Known {
    wanted: WantedBuilder,
    at: Client,
}

impl Builders {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Digest, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sees to it that an engine has a builder, and remembers who has it.
    pub(super) async fn make(
        &self,
        client: &Client,
        workshop: &Workshop,
        wanted: &WantedBuilder,
    ) -> Result<(Record, Outcome)> {
        let made = builder::make(client, workshop, wanted, None).await?;
        let mut wanted = wanted.clone();
        wanted.assessment.record = Some(made.0.clone());
        self.lock().insert(wanted.assessment.key, Known { wanted, at: client.clone() });
        Ok(made)
    }

    /// What the compilers' caches of a builder are called after.
    pub(super) fn caches(&self, key: &Digest) -> Digest {
        self.lock().get(key).map_or(*key, |known| known.wanted.image.compilers)
    }

    /// Brings a builder to an engine that lacks it.
    pub(super) async fn bring(&self, client: &Client, workshop: &Workshop, key: &Digest) -> Result<()> {
        let known = self.lock().get(key).cloned().ok_or_else(|| {
            Error::environment(format!("{} has no image {}", client.endpoint(), builder::name(key)))
                .hint("`xbuild toolchain` makes the builders again")
        })?;
        let same = known.at.facts().arch == client.facts().arch;
        let other = Some(&known.at).filter(|other| same && other.endpoint() != client.endpoint());
        builder::make(client, workshop, &known.wanted, other).await.map(drop)
    }
}

//! The builders of a run, for engines that get them when they first need them.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::builder;
use crate::docker::Client;
use crate::domain::{Digest, Error, Outcome, Result};
use crate::engine::{Assessment, Workshop};
use crate::plan::{BuilderImage, Step};
use crate::store::Record;

/// Builders by their keys.
#[derive(Default)]
pub(crate) struct Builders(Mutex<BTreeMap<Digest, Known>>);

/// A builder that some engine has.
#[derive(Clone)]
struct Known {
    step: Step,
    image: BuilderImage,
    assessment: Assessment,
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
        step: &Step,
        image: &BuilderImage,
        assessment: &Assessment,
    ) -> Result<(Record, Outcome)> {
        let made = builder::make(client, workshop, step, image, assessment, None).await?;
        let assessment = Assessment { record: Some(made.0.clone()), ..assessment.clone() };
        let known = Known { step: step.clone(), image: image.clone(), assessment, at: client.clone() };
        self.lock().insert(known.assessment.key, known);
        Ok(made)
    }

    /// What the compilers' caches of a builder are called after.
    pub(super) fn caches(&self, key: &Digest) -> Digest {
        self.lock().get(key).map_or(*key, |known| known.image.compilers)
    }

    /// Brings a builder to an engine that lacks it.
    pub(super) async fn bring(&self, client: &Client, workshop: &Workshop, key: &Digest) -> Result<()> {
        let known = self.lock().get(key).cloned().ok_or_else(|| {
            Error::environment(format!("{} has no image {}", client.endpoint(), builder::name(key)))
                .hint("`xbuild toolchain` makes the builders again")
        })?;
        let same = known.at.facts().arch == client.facts().arch;
        let other = Some(&known.at).filter(|other| same && other.endpoint() != client.endpoint());
        builder::make(client, workshop, &known.step, &known.image, &known.assessment, other).await.map(drop)
    }
}

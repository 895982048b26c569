//! Removes what dead runs left on an engine.

use std::collections::HashMap;

use bollard::models::ContainerSummaryStateEnum as State;
use bollard::query_parameters::{ListContainersOptionsBuilder, ListVolumesOptionsBuilder};

use super::Client;
use super::owner::{IMAGES, LABEL, Life, Owner, image_owner};
use crate::domain::Result;

/// Seconds after which a container that never started is nobody's, whoever made it.
const NEVER_STARTED: i64 = 3600;

impl Client {
    /// Removes what earlier runs left when they, or the engine, died in the middle: containers and temporary volumes whose
    /// owner is dead, and containers that stopped, which nobody can use. What a run on another machine may still use stays.
    ///
    /// # Errors
    /// An environment error when the engine does not tell what it has. That something cannot be removed is none: another
    /// run may be doing the same.
    pub async fn sweep(&self) -> Result<()> {
        let filters = HashMap::from([("label".to_owned(), vec![LABEL.to_owned()])]);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let containers = self.at_once().list_containers(Some(options)).await.map_err(self.failed("list containers"))?;
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        for container in containers {
            let life = life(container.labels.as_ref());
            let age = i64::try_from(now.as_secs()).unwrap_or(i64::MAX) - container.created.unwrap_or(i64::MAX);
            if let Some(id) = container.id.filter(|_| is_left(container.state, life, age)) {
                let _ = self.remove_container(&id).await;
            }
        }
        let options = ListVolumesOptionsBuilder::default().filters(&filters).build();
        let volumes = self.at_once().list_volumes(Some(options)).await.map_err(self.failed("list volumes"))?;
        for volume in volumes.volumes.unwrap_or_default() {
            if life(Some(&volume.labels)) == Life::Dead {
                let _ = self.remove_volume(&volume.name).await;
            }
        }
        Ok(())
    }

    /// Removes the images that go with a run, where that is dead.
    ///
    /// # Errors
    /// As for [`Client::sweep`].
    pub async fn sweep_images(&self) -> Result<()> {
        for name in self.images_called(IMAGES).await? {
            if image_owner(&name).is_some_and(|owner| owner.life() == Life::Dead) {
                let _ = self.remove_image(&name).await;
            }
        }
        Ok(())
    }
}

/// Whether the owner of something is alive.
fn life(labels: Option<&HashMap<String, String>>) -> Life {
    let owner = labels.and_then(|labels| labels.get(LABEL)).and_then(|text| text.parse::<Owner>().ok());
    owner.map_or(Life::Unknown, |owner| owner.life())
}

/// Whether a container is of no use to anybody; `age` is in seconds.
fn is_left(state: Option<State>, life: Life, age: i64) -> bool {
    match (life, state) {
        (Life::Dead, _) => true,
        // It is about to be removed, or was forgotten: it will not run again.
        (_, Some(State::EXITED | State::DEAD)) => true,
        (Life::Unknown, Some(State::CREATED)) => age > NEVER_STARTED,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_in_use_stays() {
        for (state, life, age, left) in [
            (State::RUNNING, Life::Alive, 9999, false),
            (State::RUNNING, Life::Unknown, 9999, false),
            (State::RUNNING, Life::Dead, 0, true),
            (State::CREATED, Life::Alive, 9999, false),
            (State::CREATED, Life::Unknown, 10, false),
            (State::CREATED, Life::Unknown, 9999, true),
            (State::CREATED, Life::Dead, 0, true),
            (State::EXITED, Life::Unknown, 0, true),
            (State::DEAD, Life::Alive, 0, true),
            (State::PAUSED, Life::Unknown, 9999, false),
        ] {
            assert_eq!(is_left(Some(state), life, age), left, "{state:?} {life:?} {age}");
        }
    }

    #[test]
    fn a_label_of_somebody_else_says_nothing() {
        let labels = HashMap::from([(LABEL.to_owned(), "nonsense".to_owned())]);
        assert_eq!(life(Some(&labels)), Life::Unknown);
        assert_eq!(life(None), Life::Unknown);
    }
}

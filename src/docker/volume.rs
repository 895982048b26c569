//! Volumes: folders that an engine keeps, beside those of the machine.

use std::collections::BTreeMap;

use bollard::models::VolumeCreateRequest;
use bollard::query_parameters::RemoveVolumeOptionsBuilder;

use super::Client;
use super::image::is_absent;
use crate::domain::{Error, Result};

impl Client {
    /// Makes a volume unless it is there. One that is to go with this run has the label of [`super::temporary`].
    ///
    /// # Errors
    /// An environment error.
    pub async fn volume(&self, name: &str, labels: &BTreeMap<String, String>) -> Result<()> {
        check(name)?;
        let request = VolumeCreateRequest {
            name: Some(name.to_owned()),
            labels: Some(labels.clone().into_iter().collect()),
            ..VolumeCreateRequest::default()
        };
        let made = match self.at_once().create_volume(request).await {
            // Podman says so of one that is there.
            Err(bollard::errors::Error::DockerResponseServerError { message, .. })
                if message.contains("already exists") =>
            {
                return Ok(());
            }
            other => other,
        };
        made.map(drop).map_err(self.failed(format!("make the volume {name}")))
    }

    /// Removes a volume. One that is not there is no error.
    ///
    /// # Errors
    /// An environment error, also for a volume in use.
    pub async fn remove_volume(&self, name: &str) -> Result<()> {
        check(name)?;
        let options = RemoveVolumeOptionsBuilder::default().build();
        match self.at_once().remove_volume(name, Some(options)).await {
            Err(error) if is_absent(&error) => Ok(()),
            other => other.map_err(self.failed(format!("remove the volume {name}"))),
        }
    }
}

/// Refuses what is no volume's name, before it becomes a part of a path.
fn check(name: &str) -> Result<()> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    match name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(allowed) {
        true => Ok(()),
        false => Err(Error::usage(format!("'{}' is no name of a volume", name.escape_debug()))),
    }
}

//! Images that an engine has.

use std::collections::{BTreeMap, HashMap};

use bollard::query_parameters::{
    CreateImageOptionsBuilder, ImportImageOptionsBuilder, ListImagesOptionsBuilder, RemoveImageOptionsBuilder,
    TagImageOptionsBuilder,
};
use futures_util::TryStreamExt as _;
use tokio::io::{AsyncRead, AsyncWrite};

use super::Client;
use super::client::{drain, pieces};
use super::error::answered;
use crate::domain::{Arch, Error, Result};

/// What an engine says of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageFacts {
    /// The engine's own name for it, as in `sha256:..`.
    pub id: String,
    /// Its names, as in `registry/repository:tag`.
    pub tags: Vec<String>,
    /// What it runs on; `None` where the engine does not say, or xbuild does not know it.
    pub arch: Option<Arch>,
    /// As in `linux`; empty where the engine does not say.
    pub os: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Bytes on disk, as the engine counts them.
    pub size: u64,
}

impl Client {
    /// An image by name or id; `None` where the engine does not have it.
    ///
    /// # Errors
    /// An environment error.
    pub async fn image(&self, reference: &str) -> Result<Option<ImageFacts>> {
        check(reference)?;
        let found = match self.at_once().inspect_image(reference).await {
            Err(error) if is_absent(&error) => return Ok(None),
            other => other.map_err(self.failed(format!("look at the image {reference}")))?,
        };
        let arch = found.architecture.as_deref().and_then(Arch::find);
        Ok(Some(ImageFacts {
            id: found.id.unwrap_or_default(),
            tags: found.repo_tags.unwrap_or_default(),
            arch,
            os: found.os.unwrap_or_default(),
            labels: found.config.and_then(|config| config.labels).unwrap_or_default().into_iter().collect(),
            size: u64::try_from(found.size.unwrap_or_default()).unwrap_or_default(),
        }))
    }

    /// All images that have a label, or one of its values. The engine does not say here what they run on.
    ///
    /// # Errors
    /// An environment error.
    pub async fn images_labelled(&self, label: &str, value: Option<&str>) -> Result<Vec<ImageFacts>> {
        let filter = value.map_or_else(|| label.to_owned(), |value| format!("{label}={value}"));
        let filters = HashMap::from([("label".to_owned(), vec![filter])]);
        let options = ListImagesOptionsBuilder::default().filters(&filters).build();
        let found = self.at_once().list_images(Some(options)).await.map_err(self.failed("list images"))?;
        let images = found.into_iter().map(|image| ImageFacts {
            id: image.id,
            tags: image.repo_tags.into_iter().filter(|tag| !tag.starts_with("<none>")).collect(),
            arch: None,
            os: String::new(),
            labels: image.labels.into_iter().collect(),
            size: u64::try_from(image.size).unwrap_or_default(),
        });
        Ok(images.collect())
    }

    /// The names of images of a repository, each with its tag.
    ///
    /// # Errors
    /// An environment error.
    pub async fn images_called(&self, repository: &str) -> Result<Vec<String>> {
        let filters = HashMap::from([("reference".to_owned(), vec![repository.to_owned()])]);
        let options = ListImagesOptionsBuilder::default().filters(&filters).build();
        let found = self.at_once().list_images(Some(options)).await.map_err(self.failed("list images"))?;
        let names = found.into_iter().flat_map(|image| image.repo_tags);
        Ok(names.filter(|name| name.rsplit_once(':').is_some_and(|(found, _)| found == repository)).collect())
    }

    /// Has the engine fetch an image from its registry. `told` gets a line for whatever it does.
    ///
    /// # Errors
    /// A registry error with the engine's words when the registry does not give it; an environment error otherwise.
    pub async fn pull(&self, reference: &str, arch: Arch, told: &mut (dyn FnMut(&str) + Send)) -> Result<()> {
        check(reference)?;
        let what = format!("pull {reference}");
        // Without a tag, the engine would fetch all of them.
        let tagged = match reference.rsplit('/').next().unwrap_or_default().contains([':', '@']) {
            true => reference.to_owned(),
            false => format!("{reference}:latest"),
        };
        let options = CreateImageOptionsBuilder::default().from_image(&tagged).platform(arch.platform()).build();
        let mut progress = self.at_length().create_image(Some(options), None, None);
        loop {
            let step = match progress.try_next().await {
                Ok(Some(step)) => step,
                Ok(None) => return Ok(()),
                Err(bollard::errors::Error::DockerStreamError { error }) => {
                    return Err(refused(&answered(self.endpoint(), &what, None, &error)));
                }
                Err(error @ bollard::errors::Error::DockerResponseServerError { .. }) => {
                    return Err(refused(&self.failed(what)(error)));
                }
                Err(error) => return Err(self.failed(what)(error)),
            };
            // Bytes that come are told many times a second, and are not worth a line.
            let counts = step.progress_detail.is_some_and(|detail| detail.total.is_some());
            if let Some(status) = step.status.filter(|_| !counts) {
                told(&step.id.map_or_else(|| status.clone(), |id| format!("{id}: {status}")));
            }
        }
    }

    /// Gives the engine the images in an archive, which is a Docker or an OCI archive.
    ///
    /// # Errors
    /// An environment error with the engine's own words.
    pub async fn load(&self, archive: impl AsyncRead + Send + Unpin + 'static) -> Result<()> {
        let options = ImportImageOptionsBuilder::default().quiet(true).build();
        let body = bollard::body_try_stream(pieces(archive));
        let docker = self.at_length();
        let progress = docker.import_image(options, body, None);
        progress.try_for_each(|_| std::future::ready(Ok(()))).await.map_err(self.failed("load an image"))
    }

    /// Writes an image as a Docker archive.
    ///
    /// # Errors
    /// An environment error.
    pub async fn save(&self, reference: &str, to: &mut (impl AsyncWrite + Unpin + Send)) -> Result<()> {
        check(reference)?;
        let docker = self.at_length();
        drain(self, &format!("save {reference}"), docker.export_image(reference), to).await
    }

    /// Gives an image a further name.
    ///
    /// # Errors
    /// An environment error.
    pub async fn tag(&self, id: &str, reference: &str) -> Result<()> {
        check(id)?;
        check(reference)?;
        let (repository, tag) = match reference.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => (repository, tag),
            _ => (reference, "latest"),
        };
        let options = TagImageOptionsBuilder::default().repo(repository).tag(tag).build();
        self.at_once().tag_image(id, Some(options)).await.map_err(self.failed(format!("name an image {reference}")))
    }

    /// Removes a name, and the image with its last one. One that is not there is no error.
    ///
    /// # Errors
    /// An environment error.
    pub async fn remove_image(&self, reference: &str) -> Result<()> {
        check(reference)?;
        let options = RemoveImageOptionsBuilder::default().build();
        match self.at_once().remove_image(reference, Some(options), None).await {
            Err(error) if is_absent(&error) => Ok(()),
            other => other.map(drop).map_err(self.failed(format!("remove the image {reference}"))),
        }
    }
}

/// Whether the engine does not have what it was asked for.
pub(super) fn is_absent(error: &bollard::errors::Error) -> bool {
    matches!(error, bollard::errors::Error::DockerResponseServerError { status_code: 404, .. })
}

/// An engine's error that is a registry's: exit codes tell the two apart.
fn refused(error: &Error) -> Error {
    let told = Error::registry(error.to_string());
    error.hints().into_iter().fold(told, |told, hint| told.hint(hint))
}

/// Refuses what is no image's name, before it becomes a part of a path.
fn check(reference: &str) -> Result<()> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
    let dotted = reference.split('/').any(|part| matches!(part, "" | "." | ".."));
    match !dotted && !reference.starts_with('-') && reference.chars().all(allowed) {
        true => Ok(()),
        false => Err(Error::usage(format!("'{}' is no name of an image", reference.escape_debug()))),
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn only_names_become_parts_of_paths() {
        for name in ["busybox", "localhost:5000/a/b:1.0", "a@sha256:00", "sha256:ab", "Host/a"] {
            assert!(check(name).is_ok(), "{name}");
        }
        for name in ["", "a//b", "../containers", "a/./b", "a?b", "a b", "a%2fb", "-a", "a\n"] {
            assert!(check(name).is_err(), "{name}");
        }
    }
}

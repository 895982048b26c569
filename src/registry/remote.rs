//! Where an image is at a registry.

use reqwest::Url;

use crate::domain::{ImageReference, Result, ResultExt};

/// An image at a registry.
#[derive(Debug, Clone)]
pub struct Remote {
    /// Its name.
    pub reference: ImageReference,
    /// Whether the registry is spoken to without TLS.
    pub insecure: bool,
}

impl Remote {
    /// The host that answers for the registry: Docker Hub's is not the one in its images' names.
    fn host(&self) -> &str {
        match self.reference.registry() {
            "docker.io" => "registry-1.docker.io",
            other => other,
        }
    }

    /// The address of something of the image's repository.
    pub(super) fn url(&self, rest: &str) -> Result<Url> {
        let scheme = if self.insecure { "http" } else { "https" };
        let text = format!("{scheme}://{}/v2/{}/{rest}", self.host(), self.reference.repository());
        text.parse().or_usage(|| format!("'{}' is no registry", self.reference.registry()))
    }

    /// What stands for the repository in a token's scope and in the list of tokens.
    pub(super) fn scope(&self) -> String {
        format!("repository:{}:pull", self.reference.repository())
    }
}

//! What can be asked of a registry.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;

use super::Remote;
use super::blob::blob;
use super::credentials::Credentials;
use super::exchange::{Answer, Exchange, Question, limited};
use super::retry::Retry;
use crate::domain::{Arch, Digest, Error, Result, ResultExt};
use crate::image::{BaseImage, Descriptor, Index, Layout, Manifest, choose, media_type};

/// The most bytes that a manifest or an index may have: what registries themselves take.
const MAX_MANIFEST: usize = 4 << 20;

/// The most bytes that an image may have to download.
const MAX_IMAGE: u64 = 32 << 30;

/// The most bytes that a configuration may have.
const MAX_CONFIG: u64 = 8 << 20;

/// How a client behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// Docker's `config.json`.
    pub credentials: Option<PathBuf>,
    /// How often something is tried.
    pub tries: u32,
    /// The pause after the first try; each further one is twice as long.
    pub pause: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options { credentials: Credentials::location(), tries: 5, pause: Duration::from_millis(500) }
    }
}

/// Pulls images from registries.
pub struct Client {
    exchange: Exchange,
}

/// A document's own say on what it is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kind {
    schema_version: Option<u32>,
    media_type: Option<String>,
}

/// A manifest or an index as it came.
struct Document {
    descriptor: Descriptor,
    bytes: Vec<u8>,
}

impl Client {
    /// A client without a connection.
    ///
    /// # Errors
    /// An environment error when TLS cannot be set up.
    pub fn new(options: &Options) -> Result<Client> {
        let retry = Retry { tries: options.tries.max(1), pause: options.pause };
        Ok(Client { exchange: Exchange::new(options.credentials.clone(), retry)? })
    }

    /// The digest of the manifest or index that a name stands for now.
    ///
    /// # Errors
    /// A registry error.
    pub async fn digest(&self, remote: &Remote) -> Result<Digest> {
        let named = remote.reference.digest().map(|digest| digest.to_string());
        let named = named.or_else(|| remote.reference.tag().map(str::to_owned)).unwrap_or_default();
        Ok(self.document(remote, &named).await.context(|| remote.reference.to_string())?.descriptor.digest)
    }

    /// Brings the image of an architecture into a layout, by the digest of its manifest or index: what is there already
    /// stays. Gives the manifest. `progress` gets bytes done and bytes in all; its error ends the download.
    ///
    /// # Errors
    /// A registry error; a usage error for an architecture that is not there.
    pub async fn pull(
        &self,
        remote: &Remote,
        digest: Digest,
        arch: Arch,
        layout: &Layout,
        progress: &mut (dyn FnMut(u64, u64) -> Result<()> + Send),
    ) -> Result<Descriptor> {
        let pulled = async {
            let (document, manifest) = self.manifest(remote, digest, arch).await?;
            self.blobs(remote, &manifest, layout, progress).await?;
            let mut writer = layout.blob_writer()?;
            writer
                .write_all(&document.bytes)
                .or_environment(|| format!("cannot write to {}", layout.dir().display()))?;
            writer.expect(document.descriptor.digest)?;
            BaseImage::read(layout, document.descriptor, arch).map(|image| image.descriptor)
        };
        pulled.await.context(|| format!("{}/{}", remote.reference.registry(), remote.reference.repository()))
    }

    /// The manifest of an architecture, by its digest or that of an index.
    async fn manifest(&self, remote: &Remote, digest: Digest, arch: Arch) -> Result<(Document, Manifest)> {
        let mut document = self.document(remote, &digest.to_string()).await?;
        if document.descriptor.is_index() {
            let index: Index = parse(&document.bytes)?;
            let chosen = choose(index.manifests, arch)?;
            document = self.document(remote, &chosen.digest.to_string()).await?;
            if (document.descriptor.size, &document.descriptor.media_type) != (chosen.size, &chosen.media_type) {
                return Err(Error::registry(format!("{}: the index describes another document", chosen.digest)));
            }
        }
        if !document.descriptor.is_manifest() {
            return Err(Error::registry(format!("{} is no image manifest", document.descriptor.media_type)));
        }
        let manifest: Manifest = parse(&document.bytes)?;
        if manifest.config.size > MAX_CONFIG {
            return Err(Error::registry(format!("its configuration has {} bytes", manifest.config.size)));
        }
        Ok((document, manifest))
    }

    /// Brings the parts of an image into a layout.
    async fn blobs(
        &self,
        remote: &Remote,
        manifest: &Manifest,
        layout: &Layout,
        progress: &mut (dyn FnMut(u64, u64) -> Result<()> + Send),
    ) -> Result<()> {
        let blobs = || [&manifest.config].into_iter().chain(&manifest.layers);
        let total = blobs().fold(0, |sum: u64, blob| sum.saturating_add(blob.size));
        if total > MAX_IMAGE {
            return Err(Error::registry(format!("it has {total} bytes, and may have {MAX_IMAGE}")));
        }
        let mut done = 0;
        for part in blobs() {
            let mut counted = |bytes| {
                done += bytes;
                progress(done.min(total), total)
            };
            blob(&self.exchange, remote, part, layout, &mut counted).await.context(|| part.digest.to_string())?;
        }
        Ok(())
    }

    /// A manifest or an index, by tag or digest.
    async fn document(&self, remote: &Remote, named: &str) -> Result<Document> {
        let accept = [media_type::INDEX, media_type::MANIFEST, media_type::DOCKER_INDEX, media_type::DOCKER_MANIFEST];
        let accept = accept.join(", ");
        let path = format!("manifests/{named}");
        let question = Question { remote, path, accept: Some(&accept), from: 0 };
        let mut tries = 1;
        let (headers, bytes) = loop {
            let response = self.exchange.ask(&question).await?.ok_or_else(|| {
                Error::registry(format!("{} has no image of this name", remote.reference.registry()))
                    .hint(format!("look at the tags of {}", remote.reference.repository()))
            })?;
            let headers = response.headers().clone();
            match limited(response, MAX_MANIFEST).await? {
                Answer::Whole(bytes) => break (headers, bytes),
                Answer::Broken(error) if tries >= self.exchange.retry.tries => return Err(error),
                Answer::Broken(_) => tokio::time::sleep(self.exchange.retry.pause(tries, None)).await,
            }
            tries += 1;
        };
        let header = |name: &str| Some(headers.get(name)?.to_str().ok()?.trim().to_owned());
        let content_type = header(CONTENT_TYPE.as_str());
        let content_type = content_type.and_then(|text| text.split(';').next().map(|kind| kind.trim().to_owned()));
        let told: Option<Digest> = header("docker-content-digest").and_then(|text| text.parse().ok());
        let digest = Digest::of(&bytes);
        let named = named.starts_with("sha256:").then(|| named.parse().ok()).flatten();
        for expected in [named, told].into_iter().flatten() {
            if expected != digest {
                return Err(Error::registry(format!("expected {expected}, found {digest}")));
            }
        }
        let kind: Kind = parse(&bytes)?;
        if kind.schema_version != Some(2) {
            return Err(Error::registry("it is in a format of Docker's first registries, which nobody should use"));
        }
        let media_type = match (kind.media_type, content_type) {
            (Some(own), Some(told)) if own != told && accept.contains(&told) => {
                return Err(Error::registry(format!("it is sent as {told}, and says that it is {own}")));
            }
            (Some(own), _) => own,
            (None, Some(told)) => told,
            (None, None) => return Err(Error::registry("it does not say what it is")),
        };
        let descriptor = Descriptor::new(&media_type, digest, bytes.len() as u64);
        Ok(Document { descriptor, bytes })
    }
}

fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| Error::registry("it is no manifest").because(error))
}

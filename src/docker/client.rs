//! A connection to an engine, shared by all who use it.

use std::sync::Arc;
use std::time::Duration;

use bollard::{BollardRequest, ClientVersion, Docker};
use bytes::Bytes;
use futures_util::{Stream, TryStreamExt as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::endpoint::Endpoint;
use super::error::failed;
use super::facts::{ApiVersion, EngineFacts, Greeting, Info, Product, Version};
use super::transport::{HOST, Transport};
use crate::domain::{Arch, Error, Result};

/// So long an engine may take to answer for the first time; one behind `ssh` takes its time.
const PATIENCE: Duration = Duration::from_secs(20);

/// So long an engine may take for what it does at once, on a busy machine.
pub(super) const AT_ONCE: Duration = Duration::from_secs(120);

/// So long an engine may take for what moves data: days.
const AT_LENGTH: Duration = Duration::from_secs(7 * 24 * 3600);

/// A connection to an engine, shared by all who use it. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    endpoint: Endpoint,
    facts: EngineFacts,
    transport: Arc<Transport>,
    docker: Docker,
}

impl Client {
    /// Asks an engine what it is, and settles on a version of the API.
    ///
    /// # Errors
    /// An environment error when it cannot be reached, does not answer, or is too old.
    pub async fn connect(endpoint: &Endpoint) -> Result<Client> {
        let transport = Arc::new(Transport::new(endpoint, PATIENCE)?);
        let (version, api) = ask(endpoint, &transport, PATIENCE).await?;
        let info: Info = transport.get("/info", "ask what it is", PATIENCE).await?;
        let facts = facts(&version, api, info)?;
        let docker = bollard(&transport)?;
        Ok(Client { shared: Arc::new(Shared { endpoint: endpoint.clone(), facts, transport, docker }) })
    }

    /// Whether an engine answers within `patience`, and which.
    ///
    /// # Errors
    /// As for [`Client::connect`].
    pub async fn greet(endpoint: &Endpoint, patience: Duration) -> Result<Greeting> {
        let transport = Transport::new(endpoint, patience)?;
        let (version, api) = ask(endpoint, &transport, patience).await?;
        Ok(Greeting { product: version.product(), version: version.version, api: api.to_string() })
    }

    /// What the engine says of itself.
    pub fn facts(&self) -> &EngineFacts {
        &self.shared.facts
    }

    /// Where the engine is.
    pub fn endpoint(&self) -> &Endpoint {
        &self.shared.endpoint
    }

    pub(super) fn transport(&self) -> &Transport {
        &self.shared.transport
    }

    /// For what the engine does at once.
    pub(super) fn at_once(&self) -> Docker {
        self.shared.docker.clone().with_timeout(AT_ONCE)
    }

    /// For what takes as long as it takes.
    pub(super) fn at_length(&self) -> Docker {
        self.shared.docker.clone().with_timeout(AT_LENGTH)
    }

    /// Makes xbuild's error of one of the library's; `what` follows "cannot".
    pub(super) fn failed(&self, what: impl Into<String>) -> impl FnOnce(bollard::errors::Error) -> Error {
        let what = what.into();
        move |error| failed(&self.shared.endpoint, &what, error)
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Client").field(&self.shared.endpoint).finish()
    }
}

/// Asks for an engine's version, and speaks the API that both sides know from then on.
async fn ask(endpoint: &Endpoint, transport: &Transport, patience: Duration) -> Result<(Version, ApiVersion)> {
    let version: Version = transport.get("/version", "ask for its version", patience).await?;
    let api = negotiate(endpoint, &version)?;
    transport.speak(api);
    Ok((version, api))
}

fn bollard(transport: &Arc<Transport>) -> Result<Docker> {
    let transport = transport.clone();
    let send = move |request: BollardRequest| {
        let transport = transport.clone();
        async move { transport.send(request).await.map_err(|error| std::io::Error::other(error).into()) }
    };
    // The version is the transport's business.
    let version = ClientVersion { major_version: 1, minor_version: 41 };
    Docker::connect_with_custom_transport(send, Some(HOST), AT_ONCE.as_secs(), &version)
        .map_err(|error| Error::bug("cannot use the library for Docker").because(error))
}

/// The newest version of the API that both sides know.
fn negotiate(endpoint: &Endpoint, version: &Version) -> Result<ApiVersion> {
    let offered = ApiVersion::parse(&version.api_version).ok_or_else(|| {
        let said = version.api_version.escape_debug();
        Error::environment(format!("what listens at {endpoint} is no Docker engine"))
            .because(format!("it says that its API has version '{said}'"))
    })?;
    let product = version.product();
    let engine = format!("{product} {} at {endpoint}", version.version.escape_debug());
    if offered < ApiVersion::OLDEST {
        return Err(Error::environment(format!(
            "{engine} is too old: its API has version {offered}, and xbuild needs {}",
            ApiVersion::OLDEST
        ))
        .hint("install Docker 20.10 or newer, or Podman 4 or newer"));
    }
    if let Some(least) = ApiVersion::parse(&version.min_api_version).filter(|least| *least > ApiVersion::NEWEST) {
        return Err(Error::environment(format!(
            "{engine} is too new: its API starts at version {least}, and xbuild knows {}",
            ApiVersion::NEWEST
        ))
        .hint("install a newer xbuild"));
    }
    Ok(offered.min(ApiVersion::NEWEST))
}

fn facts(version: &Version, api: ApiVersion, info: Info) -> Result<EngineFacts> {
    let named = if version.arch.is_empty() { &info.architecture } else { &version.arch };
    let arch = Arch::find(named)
        .ok_or_else(|| Error::environment(format!("xbuild does not know engines on {}", named.escape_debug())))?;
    let product = version.product();
    Ok(EngineFacts {
        // Podman makes a new one for each answer, and all of Docker's on a machine have the same.
        id: match product {
            Product::Docker => format!("{}:{}", info.id, info.root),
            Product::Podman => format!("podman:{}:{}", info.name, info.root),
        },
        product,
        version: version.version.clone(),
        api: api.to_string(),
        arch,
        rootless: info.rootless || info.secured_by("rootless"),
        userns: info.secured_by("userns"),
        selinux: info.secured_by("selinux"),
        os: info.operating_system.trim().to_owned(),
        processors: info.processors,
        kernel: version.kernel_version.clone(),
    })
}

/// What is read from somewhere, as a body.
pub(super) fn pieces(
    from: impl AsyncRead + Send + Unpin + 'static,
) -> impl Stream<Item = std::io::Result<Bytes>> + Send + 'static {
    futures_util::stream::try_unfold((from, vec![0; 64 << 10]), |(mut from, mut buffer)| async move {
        let count = from.read(&mut buffer).await?;
        Ok((count > 0).then(|| (Bytes::copy_from_slice(&buffer[..count]), (from, buffer))))
    })
}

/// Writes what an engine sends. `what` follows "cannot".
pub(super) async fn drain(
    client: &Client,
    what: &str,
    from: impl Stream<Item = Result<Bytes, bollard::errors::Error>>,
    to: &mut (impl AsyncWrite + Unpin + Send),
) -> Result<()> {
    let mut from = std::pin::pin!(from);
    let written = |error| Error::environment(format!("{}: cannot {what}", client.endpoint())).because(error);
    while let Some(bytes) = from.try_next().await.map_err(client.failed(what))? {
        to.write_all(&bytes).await.map_err(written)?;
    }
    to.flush().await.map_err(written)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::Address;

    fn negotiated(api: &str, least: &str) -> Result<ApiVersion> {
        let text = format!(r#"{{"Version":"19.03","ApiVersion":"{api}","MinAPIVersion":"{least}"}}"#);
        negotiate(&Endpoint::at(Address::Unix("/s".into())), &serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn the_newest_version_that_both_know_is_spoken() {
        assert_eq!(negotiated("1.41", "1.12").unwrap(), ApiVersion(1, 41));
        assert_eq!(negotiated("1.99", "1.44").unwrap(), ApiVersion::NEWEST);
    }

    #[test]
    fn an_engine_that_is_too_old_or_too_new_is_told_with_both_versions() {
        let error = negotiated("1.40", "1.12").unwrap_err();
        assert_eq!(
            error.to_string(),
            "Docker 19.03 at unix:///s is too old: its API has version 1.40, and xbuild needs 1.41"
        );
        let error = negotiated("2.1", "2.0").unwrap_err();
        assert!(error.to_string().contains("its API starts at version 2.0"), "{error}");
        assert!(negotiated("nonsense", "").unwrap_err().to_string().contains("is no Docker engine"));
    }
}

//! HTTP with an engine, whatever carries it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use http_body_util::{BodyExt as _, Either, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue, UPGRADE};
use hyper::upgrade::Upgraded;
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::address::Address;
use super::client::AT_ONCE;
use super::connection::Connection;
use super::endpoint::Endpoint;
use super::error::{answered, broken};
use super::facts::ApiVersion;
use super::tls::Tls;
use crate::domain::{Error, Result};

/// Where requests seem to go to; the connection is what decides.
pub(super) const HOST: &str = "http://docker";

/// A connection that costs a handshake is kept this long for the next request.
const IDLE: Duration = Duration::from_secs(30);

/// An answer that is no stream may have this many bytes.
const LARGEST: usize = 32 << 20;

/// A body as bollard makes it.
pub(super) type Body = Either<Full<Bytes>, StreamBody<Pin<Box<dyn Stream<Item = io::Result<Frame<Bytes>>> + Send>>>>;

/// Sends requests to one engine.
pub(super) struct Transport {
    endpoint: Endpoint,
    client: legacy::Client<Connector, Body>,
    version: OnceLock<ApiVersion>,
}

/// How an engine says what is wrong.
#[derive(Deserialize)]
struct Complaint {
    message: String,
}

impl Transport {
    /// A transport without a connection.
    ///
    /// # Errors
    /// An environment error when the files of TLS cannot be used.
    pub(super) fn new(endpoint: &Endpoint, patience: Duration) -> Result<Transport> {
        let tls = Tls::new(&endpoint.address)?;
        let connector = Connector { endpoint: endpoint.clone(), tls, patience };
        let idle = match endpoint.address {
            Address::Ssh { .. } | Address::Tls { .. } => 8,
            // Connecting costs nothing, and a new connection is never one that the engine has just closed.
            Address::Unix(_) | Address::Tcp(_) => 0,
        };
        let client = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(idle)
            .build(connector);
        Ok(Transport { endpoint: endpoint.clone(), client, version: OnceLock::new() })
    }

    /// From now on, requests are of this version of the API.
    pub(super) fn speak(&self, version: ApiVersion) {
        let _ = self.version.set(version);
    }

    /// Sends a request. Its path gets the version of the API, which bollard leaves out.
    ///
    /// # Errors
    /// An environment error when the engine cannot be reached, or breaks off.
    pub(super) async fn send(&self, mut request: Request<Body>) -> Result<Response<Incoming>> {
        if let Some(version) = self.version.get() {
            let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
            let uri = format!("{HOST}/v{version}{path}").parse::<Uri>();
            *request.uri_mut() = uri.map_err(|error| Error::bug("no path for an engine").because(error))?;
        }
        self.client.request(request).await.map_err(|error| broken(&self.endpoint, &error))
    }

    /// Asks for something that is JSON, within `patience`.
    ///
    /// # Errors
    /// An environment error when there is no such answer.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str, what: &str, patience: Duration) -> Result<T> {
        let answer = async {
            let request = self.request(Method::GET, path, body(Bytes::new()))?;
            let response = self.good(self.send(request).await?, what).await?;
            let bytes = self.limited(response).await?;
            serde_json::from_slice(&bytes).map_err(|error| {
                Error::environment(format!("{}: cannot {what}", self.endpoint))
                    .because(format!("its answer is not of Docker's API: {error}"))
            })
        };
        tokio::time::timeout(patience, answer)
            .await
            .unwrap_or_else(|_| Err(super::error::silent(&self.endpoint, patience)))
    }

    /// Sends a tar archive, and gives the answer as it comes, or the engine's own words on why there is none.
    ///
    /// # Errors
    /// An environment error when the engine cannot be reached, or breaks off.
    pub(super) async fn post_tar(&self, path: &str, tar: Body) -> Result<Result<Incoming, String>> {
        let mut request = self.request(Method::POST, path, tar)?;
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-tar"));
        let response = self.send(request).await?;
        match response.status().is_success() {
            true => Ok(Ok(response.into_body())),
            false => Ok(Err(self.complaint(response).await?)),
        }
    }

    /// Sends something, and has the connection for itself from then on.
    ///
    /// # Errors
    /// An environment error, with the engine's own words where it has any.
    pub(super) async fn upgrade(&self, path: &str, what: &str, json: String) -> Result<TokioIo<Upgraded>> {
        let mut request = self.request(Method::POST, path, body(json.into()))?;
        let headers = request.headers_mut();
        for (name, value) in [(CONNECTION, "Upgrade"), (UPGRADE, "tcp"), (CONTENT_TYPE, "application/json")] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let answer = async { self.good(self.send(request).await?, what).await };
        let silent = |_| Err(super::error::silent(&self.endpoint, AT_ONCE));
        let response = tokio::time::timeout(AT_ONCE, answer).await.unwrap_or_else(silent)?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(answered(&self.endpoint, what, Some(response.status().as_u16()), "")
                .hint("something between xbuild and the engine does not pass on streams, a proxy perhaps"));
        }
        let upgraded = hyper::upgrade::on(response).await.map_err(|error| broken(&self.endpoint, &error))?;
        Ok(TokioIo::new(upgraded))
    }

    fn request(&self, method: Method, path: &str, body: Body) -> Result<Request<Body>> {
        let request = Request::builder().method(method).uri(format!("{HOST}{path}")).body(body);
        request.map_err(|error| Error::bug(format!("'{path}' is no path for an engine")).because(error))
    }

    /// The response, or what the engine says is wrong.
    async fn good(&self, response: Response<Incoming>, what: &str) -> Result<Response<Incoming>> {
        let status = response.status();
        if status.is_success() || status == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(response);
        }
        let message = self.complaint(response).await?;
        Err(answered(&self.endpoint, what, Some(status.as_u16()), &message))
    }

    /// What the engine says is wrong.
    async fn complaint(&self, response: Response<Incoming>) -> Result<String> {
        let bytes = self.limited(response).await?;
        let text = String::from_utf8_lossy(&bytes);
        Ok(serde_json::from_str::<Complaint>(&text).map_or_else(|_| text.into_owned(), |complaint| complaint.message))
    }

    async fn limited(&self, response: Response<Incoming>) -> Result<Bytes> {
        let limited = http_body_util::Limited::new(response.into_body(), LARGEST);
        match limited.collect().await {
            Ok(collected) => Ok(collected.to_bytes()),
            Err(error) => Err(broken(&self.endpoint, &*error)),
        }
    }
}

/// A body of bytes that are there.
pub(super) fn body(bytes: Bytes) -> Body {
    Either::Left(Full::new(bytes))
}

/// Makes connections for the library that speaks HTTP.
#[derive(Clone)]
struct Connector {
    endpoint: Endpoint,
    tls: Option<Tls>,
    patience: Duration,
}

impl tower_service::Service<Uri> for Connector {
    type Response = TokioIo<Connection>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<TokioIo<Connection>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let Connector { endpoint, tls, patience } = self.clone();
        Box::pin(async move { Ok(Connection::open(&endpoint, tls.as_ref(), patience).await?.into_io()) })
    }
}

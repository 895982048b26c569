//! One request and its answer, with all that lies between: redirections, tokens, further tries.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, RANGE, WWW_AUTHENTICATE};
use reqwest::{Response, StatusCode, Url};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::Remote;
use super::challenge::Challenge;
use super::credentials::{Credentials, Login};
use super::retry::{Retry, may_pass, wish};
use crate::domain::{Error, Result, ResultExt};

/// How many times an answer may point elsewhere.
const REDIRECTIONS: usize = 5;

/// The most bytes that a token, or the text of an error, may have.
const MAX_ANSWER: usize = 1 << 16;

/// Asks registries.
pub(super) struct Exchange {
    client: reqwest::Client,
    /// For this machine: never through a proxy.
    local: reqwest::Client,
    credentials: Option<std::path::PathBuf>,
    pub(super) retry: Retry,
    /// What was accepted before, by registry and repository.
    shown: Mutex<BTreeMap<(String, String), HeaderValue>>,
}

/// What is asked for.
pub(super) struct Question<'a> {
    pub(super) remote: &'a Remote,
    /// Below the repository, as in `manifests/latest`.
    pub(super) path: String,
    pub(super) accept: Option<&'a str>,
    /// The first byte that is wanted.
    pub(super) from: u64,
}

/// The part of a token's document that matters.
#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

/// Why a try came to nothing.
enum Failure {
    /// It may go better the next time.
    Passing(Error, Option<Duration>),
    /// It will not.
    Final(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Final(error)
    }
}

fn builder() -> reqwest::ClientBuilder {
    // Someone may have chosen another provider; that is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .user_agent(concat!("xbuild/", env!("CARGO_PKG_VERSION")))
        // Followed here: nothing of ours may go along to another host.
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(10))
        .read_timeout(Duration::from_secs(30))
}

impl Exchange {
    pub(super) fn new(credentials: Option<std::path::PathBuf>, retry: Retry) -> Result<Exchange> {
        let failed = || "cannot set up connections to registries".to_owned();
        let client = builder().build().or_environment(failed)?;
        let local = builder().no_proxy().build().or_environment(failed)?;
        Ok(Exchange { client, local, credentials, retry, shown: Mutex::default() })
    }

    /// The answer to a question, whose status is 200 or 206; `None` where there is no such thing.
    ///
    /// # Errors
    /// A registry error with what the registry said, once further tries are of no use.
    pub(super) async fn ask(&self, question: &Question<'_>) -> Result<Option<Response>> {
        let mut tries = 1;
        loop {
            match self.once(question).await {
                Ok(response) => return Ok(response),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Passing(error, wish)) => {
                    if tries >= self.retry.tries {
                        return Err(error.hint(format!("it was tried {tries} times; try again later")));
                    }
                    tokio::time::sleep(self.retry.pause(tries, wish)).await;
                    tries += 1;
                }
            }
        }
    }

    async fn once(&self, question: &Question<'_>) -> Result<Option<Response>, Failure> {
        let remote = question.remote;
        let key = (remote.reference.registry().to_owned(), remote.reference.repository().to_owned());
        let mut shown = self.shown.lock().await.get(&key).cloned();
        let url = remote.url(&question.path)?;
        let mut response = self.follow(question, &url, shown.as_ref()).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            shown = Some(self.authorize(remote, response.headers()).await?);
            response = self.follow(question, &url, shown.as_ref()).await?;
        }
        match response.status() {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT => {
                if let Some(shown) = shown {
                    self.shown.lock().await.insert(key, shown);
                }
                Ok(Some(response))
            }
            StatusCode::NOT_FOUND => Ok(None),
            status => {
                self.shown.lock().await.remove(&key);
                let wish = wish(response.headers());
                let error = Error::registry(format!("{} answered {status}", remote.reference.registry()));
                let error = match said(response).await {
                    Some(text) => error.because(text),
                    None => error,
                };
                Err(match status {
                    status if may_pass(status) => Failure::Passing(error, wish),
                    StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Failure::Final(
                        error.hint(format!("log in with `docker login {}`", remote.reference.registry())),
                    ),
                    _ => Failure::Final(error),
                })
            }
        }
    }

    /// Asks, and goes where the answers point. What is ours to show is for the registry alone.
    async fn follow(
        &self,
        question: &Question<'_>,
        first: &Url,
        shown: Option<&HeaderValue>,
    ) -> Result<Response, Failure> {
        let mut url = first.clone();
        for _ in 0..=REDIRECTIONS {
            let mut headers = HeaderMap::new();
            if let Some(accept) = question.accept {
                headers.insert(ACCEPT, HeaderValue::from_str(accept).or_bug(|| "accept".into())?);
            }
            if question.from > 0 {
                let range = format!("bytes={}-", question.from);
                headers.insert(RANGE, HeaderValue::from_str(&range).or_bug(|| "range".into())?);
            }
            if let Some(shown) = shown.filter(|_| url.origin() == first.origin()) {
                headers.insert(AUTHORIZATION, shown.clone());
            }
            let response = self.get(&url, headers).await?;
            if !response.status().is_redirection() || response.status() == StatusCode::NOT_MODIFIED {
                let elsewhere = url.origin() != first.origin();
                if elsewhere && response.status() == StatusCode::UNAUTHORIZED {
                    let host = url.host_str().unwrap_or_default().to_owned();
                    return Err(Error::registry(format!(
                        "{host}, where the registry points, wants to be shown a user"
                    ))
                    .into());
                }
                return Ok(response);
            }
            let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            let next = location.and_then(|location| url.join(location).ok());
            let next = next.ok_or_else(|| Error::registry("the registry points to nowhere"))?;
            let safe = next.scheme() == "https" || (next.scheme() == "http" && question.remote.insecure);
            if !safe {
                let host = next.host_str().unwrap_or_default();
                return Err(
                    Error::registry(format!("the registry points to {host} without TLS ({})", next.scheme())).into()
                );
            }
            url = next;
        }
        Err(Error::registry(format!("the registry points elsewhere more than {REDIRECTIONS} times")).into())
    }

    async fn get(&self, url: &Url, headers: HeaderMap) -> Result<Response, Failure> {
        self.send(url, headers, None).await
    }

    /// Asks for a document, or posts a form.
    async fn send(&self, url: &Url, headers: HeaderMap, form: Option<String>) -> Result<Response, Failure> {
        let host = url.host_str().unwrap_or_default();
        let local = host == "localhost"
            || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|a| a.is_loopback());
        let client = if local { &self.local } else { &self.client };
        let request = match form {
            None => client.get(url.clone()),
            Some(form) => client.post(url.clone()).header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form),
        };
        request.headers(headers).send().await.map_err(|error| {
            // An address can have a signature in it.
            let error = Error::registry(format!("cannot reach {host}")).because(chain(&error.without_url()));
            Failure::Passing(error, None)
        })
    }

    /// What to show to a registry that wants to be shown something.
    async fn authorize(&self, remote: &Remote, headers: &HeaderMap) -> Result<HeaderValue, Failure> {
        let registry = remote.reference.registry();
        let login = match self.credentials.clone() {
            Some(file) => {
                let registry = registry.to_owned();
                let find = move || Credentials::read(&file)?.login(&registry);
                tokio::task::spawn_blocking(find).await.or_bug(|| "looking for a user".into())??
            }
            None => None,
        };
        let challenges = headers.get_all(WWW_AUTHENTICATE).iter();
        let mut challenges = challenges.filter_map(|value| Challenge::parse(value.to_str().ok()?));
        match challenges.next() {
            Some(Challenge::Bearer { realm, service }) => {
                Ok(self.token(remote, &realm, service.as_deref(), login.as_ref()).await?)
            }
            Some(Challenge::Basic) => match login {
                Some(Login::Password { user, password }) => Ok(basic(&user, &password)?),
                Some(Login::IdentityToken(_)) => Err(Error::registry(format!(
                    "{registry} wants a user and a password, and the user has an identity token"
                ))
                .hint(format!("log in again: docker login {registry}"))
                .into()),
                None => Err(Error::registry(format!("{registry} wants a user and a password"))
                    .hint(format!("log in with `docker login {registry}`"))
                    .into()),
            },
            None => {
                Err(Error::registry(format!("{registry} wants to be shown something that xbuild does not know")).into())
            }
        }
    }

    /// A token; user and password go only to the registry's own realm.
    async fn token(
        &self,
        remote: &Remote,
        realm: &str,
        service: Option<&str>,
        login: Option<&Login>,
    ) -> Result<HeaderValue, Failure> {
        let registry = remote.reference.registry();
        let wrong = |rule: &str| Error::registry(format!("{registry} sends for a token to '{realm}', which {rule}"));
        let mut url: Url = realm.parse().map_err(|_| wrong("is no address"))?;
        if !matches!(url.scheme(), "https" | "http") || !url.username().is_empty() {
            return Err(wrong("is no address of a service").into());
        }
        if url.scheme() != "https" && !remote.insecure {
            return Err(wrong("is without TLS").into());
        }
        let own = remote.url("")?;
        let (mut headers, mut form) = (HeaderMap::new(), None);
        if let Some(login) = login {
            if !belongs(&own, &url) {
                return Err(wrong("is another host")
                    .hint("user and password are not sent to it; without those in `auths`, it is asked for an anonymous token")
                    .into());
            }
            match login {
                Login::Password { user, password } => _ = headers.insert(AUTHORIZATION, basic(user, password)?),
                Login::IdentityToken(token) => form = Some(refresh(&url, remote, service, token)),
            }
        }
        if form.is_none() {
            if let Some(service) = service {
                url.query_pairs_mut().append_pair("service", service);
            }
            url.query_pairs_mut().append_pair("scope", &remote.scope());
        }
        let response = self.send(&url, headers, form).await?;
        let status = response.status();
        let wish = wish(response.headers());
        let host = url.host_str().unwrap_or_default().to_owned();
        if status != StatusCode::OK {
            let error = Error::registry(format!("{host} answered {status} when asked for a token"));
            let error = match said(response).await {
                Some(text) => error.because(text),
                None => error,
            };
            return Err(match may_pass(status) {
                true => Failure::Passing(error, wish),
                false => Failure::Final(error.hint(format!("log in with `docker login {registry}`"))),
            });
        }
        let body = match limited(response, MAX_ANSWER).await? {
            Answer::Whole(body) => body,
            Answer::Broken(error) => return Err(Failure::Passing(error, None)),
        };
        let token: Token = serde_json::from_slice(&body)
            .map_err(|_| Error::registry(format!("{host} gave something that is no token")))?;
        let token = token.token.or(token.access_token).filter(|token| !token.is_empty());
        let token = token.ok_or_else(|| Error::registry(format!("{host} gave no token")))?;
        let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|_| Error::registry(format!("{host} gave something that is no token")))?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// Whether a realm is the registry's own: at its host, above or below it, or Docker Hub's.
fn belongs(registry: &Url, realm: &Url) -> bool {
    let (Some(registry_host), Some(realm_host)) = (registry.host_str(), realm.host_str()) else { return false };
    let below = |whole: &str, part: &str| {
        part.contains('.') && whole.strip_suffix(part).is_some_and(|rest| rest.ends_with('.'))
    };
    registry_host == realm_host
        || (registry.domain().is_some() && realm.domain().is_some())
            && (below(registry_host, realm_host) || below(realm_host, registry_host))
        || (registry_host == "registry-1.docker.io" && realm_host == "auth.docker.io")
}

/// The form by which a realm gives a token for an identity token, as OAuth 2 has it.
fn refresh(realm: &Url, remote: &Remote, service: Option<&str>, token: &str) -> String {
    // A form is written as a query is.
    let mut form = realm.clone();
    form.set_query(None);
    form.query_pairs_mut()
        .extend_pairs([("grant_type", "refresh_token"), ("client_id", "xbuild")])
        .extend_pairs(service.map(|service| ("service", service)))
        .extend_pairs([("scope", remote.scope().as_str()), ("refresh_token", token)]);
    form.query().unwrap_or_default().to_owned()
}

fn basic(user: &str, password: &str) -> Result<HeaderValue> {
    use base64::Engine as _;
    let text = base64::prelude::BASE64_STANDARD.encode(format!("{user}:{password}"));
    let mut value = HeaderValue::from_str(&format!("Basic {text}")).or_bug(|| "base64".into())?;
    value.set_sensitive(true);
    Ok(value)
}

/// What came of a short answer.
pub(super) enum Answer {
    /// All of it.
    Whole(Vec<u8>),
    /// A part of it, and then this.
    Broken(Error),
}

/// A short answer.
///
/// # Errors
/// A registry error for one that is longer than it may be.
pub(super) async fn limited(mut response: Response, limit: usize) -> Result<Answer> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(None) => return Ok(Answer::Whole(body)),
            Ok(Some(piece)) if body.len() + piece.len() > limit => {
                return Err(Error::registry(format!("the answer has more than {limit} bytes")));
            }
            Ok(Some(piece)) => body.extend_from_slice(&piece),
            Err(error) => {
                let error = Error::registry("the answer broke off").because(chain(&error.without_url()));
                return Ok(Answer::Broken(error));
            }
        }
    }
}

/// What a registry says of an error, on one line: the messages of its document, without anything that moves a cursor.
async fn said(response: Response) -> Option<String> {
    let Ok(Answer::Whole(body)) = limited(response, MAX_ANSWER).await else { return None };
    let value: serde_json::Value = serde_json::from_slice(&body).ok()?;
    let entries = value["errors"].as_array()?;
    let text = |entry: &serde_json::Value| {
        let (code, message) = (entry["code"].as_str().unwrap_or_default(), entry["message"].as_str()?);
        Some(format!("{code}: {message}"))
    };
    let texts: Vec<String> = entries.iter().take(3).filter_map(text).collect();
    let joined: String = texts.join("; ").chars().filter(|c| !c.is_control()).take(300).collect();
    (!joined.is_empty()).then_some(joined)
}

/// An error with its causes: the outermost of a connection's says little.
pub(super) fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_for_the_registry_s_own_realm() {
        for (registry, realm, expected) in [
            ("https://r.example", "https://r.example/token", true),
            ("https://registry.gitlab.example", "https://gitlab.example/jwt", true),
            ("https://gitlab.example", "https://auth.gitlab.example/jwt", true),
            ("https://registry-1.docker.io", "https://auth.docker.io/token", true),
            ("https://r.example", "https://evil.example/token", false),
            ("https://r.example", "https://example/token", false),
            ("https://r.example", "https://xr.example/token", false),
            ("https://r.example", "https://r.example.evil/token", false),
            ("http://127.0.0.1", "http://0.0.1/token", false),
            ("https://other.docker.io", "https://auth.docker.io/token", false),
        ] {
            let (registry, realm): (Url, Url) = (registry.parse().unwrap(), realm.parse().unwrap());
            assert_eq!(belongs(&registry, &realm), expected, "{registry} {realm}");
        }
    }
}

//! Users and passwords, from Docker's own `config.json`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

use super::helper;
use crate::domain::{Error, Result, ResultExt};

/// What Docker calls its own registry in its configuration.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// A configuration larger than this is none.
const LARGEST: u64 = 1 << 20;

/// What a user is known by.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Login {
    /// A user and a password.
    Password {
        /// The name.
        user: String,
        /// The password.
        password: String,
    },
    /// What a registry's realm takes in exchange for tokens.
    IdentityToken(String),
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Login::Password { user, .. } => f.debug_struct("Password").field("user", user).finish_non_exhaustive(),
            Login::IdentityToken(_) => f.debug_struct("IdentityToken").finish_non_exhaustive(),
        }
    }
}

/// What is known of registries' users.
#[derive(Debug, Default)]
pub(super) struct Credentials {
    file: PathBuf,
    config: Config,
}

/// The parts of `config.json` that matter here; there are many more.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Config {
    auths: BTreeMap<String, Entry>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
}

impl Entry {
    fn is_empty(&self) -> bool {
        self.auth.is_empty() && self.username.is_empty() && self.identitytoken.is_empty()
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entry")
    }
}

impl Credentials {
    /// Where they are: `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`.
    pub(super) fn location() -> Option<PathBuf> {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let folder = set("DOCKER_CONFIG").or_else(|| Some(set("HOME")?.join(".docker")))?;
        Some(folder.join("config.json"))
    }

    /// Reads them; a file that is not there has none.
    ///
    /// # Errors
    /// An environment error for a file that cannot be read, or is something else. Its text is never told.
    pub(super) fn read(file: &Path) -> Result<Credentials> {
        let failed = || format!("cannot read {}", file.display());
        let metadata = match std::fs::metadata(file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Credentials::default()),
            other => other.or_environment(failed)?,
        };
        if metadata.len() > LARGEST {
            return Err(Error::environment(failed()).because(format!("it has {} bytes", metadata.len())));
        }
        let text = std::fs::read(file).or_environment(failed)?;
        let config = serde_json::from_slice(&text).map_err(|error| {
            let place = format!("line {}, column {}", error.line(), error.column());
            Error::environment(failed()).because(format!("it is not Docker's configuration: {place}"))
        })?;
        Ok(Credentials { file: file.to_owned(), config })
    }

    /// The user of a registry, by host and port as in images' names; `None` where there is none. The registry's own
    /// helper comes first, then what stands in the file, then the helper for all. Blocks while a helper is asked.
    ///
    /// # Errors
    /// An environment error for an entry that is damaged, or a helper that fails.
    pub(super) fn login(&self, registry: &str) -> Result<Option<Login>> {
        let hub = registry == "docker.io";
        let ask = |name: &str| helper::ask(name, if hub { DOCKER_HUB } else { registry }, helper::TIME);
        let wanted = |key: &str| host(key) == registry || (hub && host(key) == host(DOCKER_HUB));
        if let Some((_, name)) = self.config.cred_helpers.iter().find(|(key, _)| wanted(key)) {
            return ask(name);
        }
        let entry = self.config.auths.iter().find(|(key, _)| wanted(key)).map(|(_, entry)| entry);
        // `docker login` with a helper leaves an empty entry behind.
        let Some(entry) = entry.filter(|entry| !entry.is_empty()) else {
            return self.config.creds_store.as_deref().map_or(Ok(None), ask);
        };
        if !entry.identitytoken.is_empty() {
            return Ok(Some(Login::IdentityToken(entry.identitytoken.clone())));
        }
        if !entry.username.is_empty() {
            return Ok(Some(Login::Password { user: entry.username.clone(), password: entry.password.clone() }));
        }
        let broken = || {
            Error::environment(format!("{}: `auth` of {registry} is not a user and a password", self.file.display()))
                .hint(format!("log in again: docker login {registry}"))
        };
        let bytes = BASE64_STANDARD.decode(entry.auth.trim()).map_err(|_| broken())?;
        let text = String::from_utf8(bytes).map_err(|_| broken())?;
        let (user, password) = text.split_once(':').ok_or_else(broken)?;
        let password = password.trim_end_matches('\0');
        Ok(Some(Login::Password { user: user.to_owned(), password: password.to_owned() }))
    }
}

/// The host of a key, which may be an address such as `https://index.docker.io/v1/`.
fn host(key: &str) -> &str {
    let rest = key.split_once("://").map_or(key, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(text: &str) -> Result<Credentials> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.json");
        std::fs::write(&file, text).unwrap();
        Credentials::read(&file)
    }

    #[test]
    fn users_are_found_by_host() {
        let text = r#"{"auths": {"https://index.docker.io/v1/": {"auth": "dXNlcjpwOnc="}, "r.example:5000": {"username": "u",
            "password": "p"}, "empty.example": {}}, "credHelpers": {"helped.example": "x"}, "other": [1]}"#;
        let found = credentials(text).unwrap();
        let login = |user: &str, password: &str| Some(Login::Password { user: user.into(), password: password.into() });
        assert_eq!(found.login("docker.io").unwrap(), login("user", "p:w"));
        assert_eq!(found.login("r.example:5000").unwrap(), login("u", "p"));
        assert_eq!(found.login("r.example").unwrap(), None);
        assert_eq!(found.login("empty.example").unwrap(), None);
        let error = found.login("helped.example").unwrap_err();
        assert!(error.to_string().contains("docker-credential-x"), "{error}");
    }

    #[test]
    fn damaged_files_are_named_and_never_shown() {
        let error = credentials(r#"{"auths": {"a": {"auth": 12345}}}"#).unwrap_err();
        assert!(error.to_string().contains("config.json") && !error.to_string().contains("12345"), "{error}");
        for auth in ["!", "bm8tY29sb24=", "/w=="] {
            let found = credentials(&format!(r#"{{"auths": {{"a.example": {{"auth": "{auth}"}}}}}}"#)).unwrap();
            assert!(found.login("a.example").is_err(), "{auth}");
        }
        let stored = credentials(r#"{"auths": {"a.example": {}}, "credsStore": "desktop"}"#).unwrap();
        for registry in ["a.example", "b.example"] {
            assert!(stored.login(registry).unwrap_err().to_string().contains("docker-credential-desktop"));
        }
    }

    #[test]
    fn a_password_is_not_in_what_is_printed() {
        let login = Login::Password { user: "user".into(), password: "hidden".into() };
        assert!(!format!("{login:?} {:?}", Login::IdentityToken("hidden".into())).contains("hidden"));
    }
}

//! Contexts: engines that the user has given names to, with `docker context create`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::address::{Address, TlsFiles};
use super::endpoint::Endpoint;
use crate::domain::{Error, Result, ResultExt};

/// The name of what is used without any context.
pub(super) const DEFAULT: &str = "default";

/// A file larger than this is none of Docker's.
const LARGEST: u64 = 1 << 20;

/// Docker's folder of settings, `~/.docker`.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) folder: PathBuf,
}

/// The part of `config.json` that matters here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    #[serde(default)]
    current_context: Option<String>,
}

/// What `meta.json` says of a context.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata {
    name: String,
    #[serde(default)]
    endpoints: BTreeMap<String, MetadataEndpoint>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MetadataEndpoint {
    #[serde(default)]
    host: String,
    #[serde(default, rename = "SkipTLSVerify")]
    skip_tls_verify: bool,
}

impl Settings {
    /// The context that `docker context use` chose, if any.
    ///
    /// # Errors
    /// An environment error for a file that cannot be read.
    pub(super) fn current_context(&self) -> Result<Option<String>> {
        let file = self.folder.join("config.json");
        let Some(text) = read(&file)? else { return Ok(None) };
        let config: Config = serde_json::from_slice(&text).map_err(|error| not_json(&file, &error))?;
        Ok(config.current_context.filter(|name| !name.is_empty() && name != DEFAULT))
    }

    /// The context of a name.
    ///
    /// # Errors
    /// A usage error when there is none; an environment error when it cannot be read, or says what xbuild cannot use.
    pub(super) fn context(&self, name: &str) -> Result<Endpoint> {
        if !is_name(name) {
            return Err(Error::usage(format!("'{}' is no name of a Docker context", name.escape_debug())));
        }
        let folder = folder_name(name);
        let file = self.metadata().join(&folder).join("meta.json");
        let Some(text) = read(&file)? else {
            let names: Vec<String> = self.contexts()?.into_iter().map(|context| context.name).collect();
            let error = Error::usage(format!("there is no Docker context '{name}'"));
            return Err(match names.is_empty() {
                true => error.hint(format!("make it: docker context create {name} --docker host=ssh://user@host")),
                false => error.hint(format!("there are {}", names.join(", "))),
            });
        };
        self.parse(name, &folder, &text).context(|| format!("Docker context '{name}': {}", file.display()))
    }

    /// All contexts that xbuild can use, by name. Those that it cannot are no business of its: other tools keep theirs in
    /// the same place.
    ///
    /// # Errors
    /// An environment error when the folder cannot be read.
    pub(super) fn contexts(&self) -> Result<Vec<Endpoint>> {
        let folder = self.metadata();
        let entries = match std::fs::read_dir(&folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.or_environment(|| format!("cannot read {}", folder.display()))?,
        };
        let mut contexts = Vec::new();
        for entry in entries {
            let entry = entry.or_environment(|| format!("cannot read {}", folder.display()))?;
            let Some(hash) = entry.file_name().to_str().map(str::to_owned) else { continue };
            let Ok(Some(text)) = read(&entry.path().join("meta.json")) else { continue };
            let Ok(metadata) = serde_json::from_slice::<Metadata>(&text) else { continue };
            if !is_name(&metadata.name) || folder_name(&metadata.name) != hash {
                continue;
            }
            contexts.extend(self.parse(&metadata.name, &hash, &text).ok());
        }
        contexts.sort_by(|one: &Endpoint, other| one.name.cmp(&other.name));
        Ok(contexts)
    }

    fn metadata(&self) -> PathBuf {
        self.folder.join("contexts/meta")
    }

    fn parse(&self, name: &str, folder: &str, text: &[u8]) -> Result<Endpoint> {
        let metadata: Metadata = serde_json::from_slice(text)
            .map_err(|error| Error::environment("it is not Docker's").because(place(&error)))?;
        if metadata.name != name {
            return Err(Error::environment(format!("it is of '{}'", metadata.name.escape_debug())));
        }
        let docker = metadata.endpoints.get("docker").filter(|endpoint| !endpoint.host.is_empty());
        let docker = docker.ok_or_else(|| Error::environment("it names no Docker engine"))?;
        let files =
            TlsFiles::in_folder(&self.folder.join("contexts/tls").join(folder).join("docker"), !docker.skip_tls_verify);
        let secure = files.ca.is_some() || files.cert.is_some() || docker.skip_tls_verify;
        let address = Address::parse(&docker.host, secure.then_some(&files))?;
        Ok(Endpoint { name: name.to_owned(), address })
    }
}

/// A name as Docker allows it.
fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.+-".contains(c);
    name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.len() <= 255 && name.chars().all(allowed)
}

/// Where Docker keeps what it knows of a context.
fn folder_name(name: &str) -> String {
    Sha256::digest(name.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A file's bytes; `None` where it is not.
fn read(file: &Path) -> Result<Option<Vec<u8>>> {
    let failed = || format!("cannot read {}", file.display());
    let metadata = match std::fs::metadata(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other.or_environment(failed)?,
    };
    if !metadata.is_file() {
        return Err(Error::environment(failed()).because("it is no file"));
    }
    if metadata.len() > LARGEST {
        return Err(Error::environment(failed()).because(format!("it has {} bytes", metadata.len())));
    }
    std::fs::read(file).or_environment(failed).map(Some)
}

/// What is wrong, without the text, which may hold passwords.
fn not_json(file: &Path, error: &serde_json::Error) -> Error {
    Error::environment(format!("{} is not Docker's configuration", file.display())).because(place(error))
}

fn place(error: &serde_json::Error) -> String {
    format!("line {}, column {}", error.line(), error.column())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Folder {
            Folder(tempfile::tempdir().unwrap())
        }

        fn settings(&self) -> Settings {
            Settings { folder: self.0.path().to_owned() }
        }

        fn write(&self, path: &str, text: &str) -> &Folder {
            let file = self.0.path().join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
            self
        }

        fn context(&self, name: &str, text: &str) -> &Folder {
            self.write(&format!("contexts/meta/{}/meta.json", folder_name(name)), text)
        }
    }

    fn metadata(name: &str, host: &str) -> String {
        format!(
            r#"{{"Name":"{name}","Metadata":{{}},"Endpoints":{{"docker":{{"Host":"{host}","SkipTLSVerify":false}}}}}}"#
        )
    }

    #[test]
    fn folders_have_the_names_that_docker_gives_them() {
        // As made by `docker context create default-alt`.
        assert_eq!(folder_name("default-alt").len(), 64);
        assert_eq!(folder_name("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn contexts_are_found_by_name_and_listed_in_order() {
        let folder = Folder::new();
        folder.context("second", &metadata("second", "ssh://me@second"));
        folder.context("first", &metadata("first", "tcp://first:2376"));
        folder.write(&format!("contexts/tls/{}/docker/ca.pem", folder_name("first")), "x");
        let settings = folder.settings();
        let found = settings.context("second").unwrap();
        assert_eq!(found.address.to_string(), "ssh://me@second");
        let Address::Tls { host, ca, cert, verify: true, .. } = settings.context("first").unwrap().address else {
            panic!("in the clear")
        };
        assert_eq!((host.as_str(), ca.is_some(), cert), ("first:2376", true, None));
        let names: Vec<String> = settings.contexts().unwrap().into_iter().map(|context| context.name).collect();
        assert_eq!(names, ["first", "second"]);
    }

    #[test]
    fn an_absent_context_is_an_error_that_names_the_others() {
        let folder = Folder::new();
        folder.context("here", &metadata("here", "unix:///s"));
        let error = folder.settings().context("there").unwrap_err();
        assert_eq!(error.to_string(), "there is no Docker context 'there'");
        assert_eq!(error.hints(), ["there are here"]);
    }

    #[test]
    fn hostile_contexts_are_refused() {
        let folder = Folder::new();
        let settings = folder.settings();
        for name in ["", "../x", "-x", "a b", "a/b"] {
            assert!(settings.context(name).is_err(), "{name}");
        }
        for text in [
            "",
            "[]",
            "{\"Name\":7}",
            &metadata("other", "unix:///s"),
            &metadata("x", ""),
            &metadata("x", "ssh://-oProxyCommand=reboot"),
            r#"{"Name":"x"}"#,
        ] {
            folder.context("x", text);
            assert!(settings.context("x").is_err(), "{text}");
            assert!(settings.contexts().unwrap().is_empty(), "{text}");
        }
        folder.context("x", &" ".repeat(2 << 20));
        assert!(settings.context("x").unwrap_err().to_string().contains("2097152 bytes"));
    }

    #[test]
    fn the_current_context_is_in_the_configuration() {
        let folder = Folder::new();
        let current = || folder.settings().current_context();
        assert_eq!(current().unwrap(), None);
        folder.write("config.json", r#"{"auths":{},"currentContext":"remote"}"#);
        assert_eq!(current().unwrap().as_deref(), Some("remote"));
        folder.write("config.json", r#"{"currentContext":"default"}"#);
        assert_eq!(current().unwrap(), None);
        folder.write("config.json", r#"{"auths":{"r":{"auth":"secret""#);
        let error = current().unwrap_err().to_string();
        assert!(error.contains("config.json is not Docker's configuration: line 1") && !error.contains("secret"));
    }
}

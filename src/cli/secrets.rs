//! `--secret` and `--ssh`: what commands of images may see, and nobody else.

use std::fs;
use std::path::PathBuf;
use std::str::FromStr;

use crate::domain::{Error, Result, ResultExt};

/// `--secret id=NAME,src=FILE` or `id=NAME,env=VARIABLE`.
#[derive(Debug, Clone)]
pub(super) struct SecretOption {
    id: String,
    place: Place,
}

const SYNTAX: &str = "id=NAME,src=FILE or id=NAME,env=VARIABLE";

#[derive(Debug, Clone)]
enum Place {
    File(PathBuf),
    Variable(String),
}

impl FromStr for SecretOption {
    type Err = String;

    fn from_str(text: &str) -> Result<SecretOption, String> {
        let (mut id, mut file, mut variable, mut kind) = (None, None, None, None);
        for part in text.split(',') {
            let wrong = || format!("'{part}' is none of its parts: it is {SYNTAX}");
            let (name, value) = part.split_once('=').ok_or_else(wrong)?;
            let slot = match name {
                "id" => &mut id,
                "src" | "source" => &mut file,
                "env" => &mut variable,
                "type" => &mut kind,
                _ => return Err(wrong()),
            };
            *slot = Some(value.to_owned());
        }
        let id = id.filter(|id| !id.is_empty()).ok_or_else(|| format!("it has no id: it is {SYNTAX}"))?;
        let place = match (file, variable, kind.as_deref()) {
            (Some(name), None, Some("env")) => Place::Variable(name),
            (Some(file), None, _) => Place::File(file.into()),
            (None, Some(variable), _) => Place::Variable(variable),
            (Some(_), Some(_), _) => return Err("it has both src and env".into()),
            // As Docker has it: the variable of that name, else the file.
            (None, None, _) if std::env::var_os(&id).is_some() => Place::Variable(id.clone()),
            (None, None, _) => Place::File(id.clone().into()),
        };
        Ok(SecretOption { id, place })
    }
}

impl SecretOption {
    /// Objects to a file that cannot be read, before anything is built.
    ///
    /// # Errors
    /// A usage error that names the file.
    pub(super) fn check(&self) -> Result<()> {
        let Place::File(path) = &self.place else { return Ok(()) };
        let readable = match path.is_dir() {
            true => Err(nix::Error::EISDIR),
            // Opening might wait, or take what is in a pipe.
            false => nix::unistd::access(path, nix::unistd::AccessFlags::R_OK),
        };
        let failed = || format!("cannot read the secret '{}' from {}", self.id, path.display());
        readable.map_err(std::io::Error::from).or_usage(failed)
    }
}

/// The secrets of the command line.
pub(super) struct Secrets<'a>(pub(super) &'a [SecretOption]);

impl Secrets<'_> {
    /// A secret by its name; it is read only when a command wants it.
    ///
    /// # Errors
    /// A file that cannot be read, a variable that is not set.
    pub(super) fn find(&self, id: &str) -> Result<Option<Vec<u8>>> {
        let Some(secret) = self.0.iter().find(|secret| secret.id == id) else { return Ok(None) };
        match &secret.place {
            Place::File(path) => {
                fs::read(path).map(Some).or_usage(|| format!("cannot read the secret '{id}' from {}", path.display()))
            }
            Place::Variable(name) => match std::env::var_os(name) {
                Some(value) => Ok(Some(std::os::unix::ffi::OsStringExt::into_vec(value))),
                None => Err(Error::usage(format!("the secret '{id}': the variable {name} is not set"))),
            },
        }
    }
}

/// `--ssh NAME[=SOCKET]`.
#[derive(Debug, Clone)]
pub(super) struct AgentOption {
    id: String,
    socket: Option<PathBuf>,
}

impl FromStr for AgentOption {
    type Err = String;

    fn from_str(text: &str) -> Result<AgentOption, String> {
        let (id, socket) = text.split_once('=').map_or((text, None), |(id, socket)| (id, Some(socket.into())));
        if id.is_empty() { Err("it has no name".into()) } else { Ok(AgentOption { id: id.to_owned(), socket }) }
    }
}

/// The SSH agents of the command line.
pub(super) struct Agents<'a>(pub(super) &'a [AgentOption]);

impl Agents<'_> {
    /// The socket of an agent by its name.
    ///
    /// # Errors
    /// A socket that is not there.
    pub(super) fn find(&self, id: &str) -> Result<Option<PathBuf>> {
        let Some(agent) = self.0.iter().find(|agent| agent.id == id) else { return Ok(None) };
        let own = || std::env::var_os("SSH_AUTH_SOCK").map(PathBuf::from);
        let socket = agent.socket.clone().or_else(own).ok_or_else(|| {
            Error::usage(format!("--ssh {id}: SSH_AUTH_SOCK is not set")).hint("start an agent, or name its socket")
        })?;
        socket.canonicalize().map(Some).or_usage(|| format!("--ssh {id}: there is no {}", socket.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_read_where_the_option_says() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, b"hush\n").unwrap();
        let secret = format!("id=a,src={}", path.display()).parse().unwrap();
        let missing = "id=b,env=XBUILD_TEST_IS_NOT_SET".parse().unwrap();
        let secrets = [secret, missing];
        let secrets = Secrets(&secrets);
        assert_eq!(secrets.find("a").unwrap().unwrap(), b"hush\n");
        assert!(secrets.find("b").unwrap_err().to_string().contains("XBUILD_TEST_IS_NOT_SET is not set"));
        assert!(secrets.find("c").unwrap().is_none());
        assert!("id=d,src=/nonexistent".parse::<SecretOption>().unwrap().check().is_err());
        assert!(secrets.0.iter().all(|secret| secret.check().is_ok()));
        for wrong in ["", "x", "src=x", "id=", "id=a,src=b,env=c", "id=a,x=b"] {
            assert!(wrong.parse::<SecretOption>().is_err(), "{wrong}");
        }
    }
}

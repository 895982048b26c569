//! Where an engine listens.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use crate::domain::{Error, Result};

/// The port that engines listen on in the clear.
const CLEAR_PORT: u16 = 2375;

/// The port that engines listen on with TLS.
const TLS_PORT: u16 = 2376;

/// Where an engine listens, and how it is spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A socket in the file system.
    Unix(PathBuf),
    /// `host:port`, in the clear.
    Tcp(String),
    /// `host:port`, with TLS.
    Tls {
        /// `host:port`.
        host: String,
        /// Certificates of who may vouch for the engine, in PEM; the machine's own where there are none.
        ca: Option<PathBuf>,
        /// The user's certificate, in PEM.
        cert: Option<PathBuf>,
        /// The key of that certificate.
        key: Option<PathBuf>,
        /// Whether the engine has to prove who it is.
        verify: bool,
        /// The name in the engine's certificate, where it is not the host's.
        server_name: Option<String>,
    },
    /// Another machine, where `docker system dial-stdio` is run.
    Ssh {
        /// `user@host` or `host`, as `ssh` takes it.
        destination: String,
        /// Where its `sshd` listens, if not where its configuration says.
        port: Option<u16>,
    },
}

/// The files of TLS, and whether the engine has to prove who it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct TlsFiles {
    pub(super) ca: Option<PathBuf>,
    pub(super) cert: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
    pub(super) verify: bool,
}

impl TlsFiles {
    /// Those of `ca.pem`, `cert.pem` and `key.pem` that are in a folder.
    pub(super) fn in_folder(folder: &Path, verify: bool) -> TlsFiles {
        let file = |name: &str| Some(folder.join(name)).filter(|path| path.is_file());
        TlsFiles { ca: file("ca.pem"), cert: file("cert.pem"), key: file("key.pem"), verify }
    }
}

impl Address {
    /// An address as Docker writes it: `unix:///path`, `tcp://host:port`, `ssh://user@host:port`, or the path of a socket.
    ///
    /// # Errors
    /// A usage error for anything else.
    pub(super) fn parse(text: &str, tls: Option<&TlsFiles>) -> Result<Address> {
        let wrong = |why: &str| {
            Error::usage(format!("'{}' is no address of an engine: {why}", text.escape_debug()))
                .hint("write unix:///var/run/docker.sock, tcp://host:2375 or ssh://user@host")
        };
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(wrong("it has white space"));
        }
        if text.starts_with('/') {
            return Ok(Address::Unix(text.into()));
        }
        let (scheme, rest) = text.split_once("://").ok_or_else(|| wrong("it has no '://'"))?;
        match scheme {
            "unix" if rest.starts_with('/') => Ok(Address::Unix(rest.into())),
            "unix" => Err(wrong("the path of a socket starts with '/'")),
            "tcp" | "http" | "https" => {
                let secure = tls.is_some() || scheme == "https";
                let port = if secure { TLS_PORT } else { CLEAR_PORT };
                let host = authority(rest.trim_end_matches('/')).map_err(wrong)?;
                let host = format!("{}:{}", host.name, host.port.unwrap_or(port));
                Ok(match (tls, secure) {
                    (Some(files), _) => Address::Tls {
                        host,
                        ca: files.ca.clone(),
                        cert: files.cert.clone(),
                        key: files.key.clone(),
                        verify: files.verify,
                        server_name: None,
                    },
                    (None, true) => {
                        Address::Tls { host, ca: None, cert: None, key: None, verify: true, server_name: None }
                    }
                    (None, false) => Address::Tcp(host),
                })
            }
            "ssh" => {
                let (user, host) = match rest.trim_end_matches('/').rsplit_once('@') {
                    Some((user, host)) => (Some(user), host),
                    None => (None, rest.trim_end_matches('/')),
                };
                if user.is_some_and(|user| user.contains(':')) {
                    // The text is not repeated: the password would be.
                    return Err(Error::usage("the address of an engine has a password")
                        .hint("write ssh://user@host, and let ssh use a key"));
                }
                let plain = |user: &str| {
                    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-+\\@".contains(c);
                    !user.is_empty() && !user.starts_with('-') && user.chars().all(allowed)
                };
                if user.is_some_and(|user| !plain(user)) {
                    return Err(wrong("that is no name of a user"));
                }
                let host = authority(host).map_err(wrong)?;
                // `ssh` takes IPv6 addresses without brackets.
                let name = host.name.trim_start_matches('[').trim_end_matches(']');
                let destination = user.map_or_else(|| name.to_owned(), |user| format!("{user}@{name}"));
                Ok(Address::Ssh { destination, port: host.port })
            }
            "npipe" => Err(wrong("named pipes are of Windows")),
            _ => Err(wrong("xbuild knows unix, tcp, https and ssh")),
        }
    }

    /// Whether everybody on the way could read and change what is said.
    pub(super) fn is_exposed(&self) -> bool {
        let Address::Tcp(host) = self else { return false };
        let Some((name, _)) = host.rsplit_once(':') else { return true };
        let name = name.trim_start_matches('[').trim_end_matches(']');
        !(name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()))
    }
}

/// A host, with brackets if it is an IPv6 address, and a port.
struct Authority<'a> {
    name: &'a str,
    port: Option<u16>,
}

fn authority(text: &str) -> Result<Authority<'_>, &'static str> {
    let end = text.rfind(']').unwrap_or(0);
    let (name, port) = match text[end..].rfind(':') {
        Some(colon) => (&text[..end + colon], Some(&text[end + colon + 1..])),
        None => (text, None),
    };
    let port = match port {
        Some(port) => match port.parse() {
            Ok(port) if port != 0 => Some(port),
            _ => return Err("a port is a number up to 65535"),
        },
        None => None,
    };
    let is_name = |name: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        !name.is_empty() && !name.starts_with('-') && name.chars().all(allowed)
    };
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    match bare {
        Some(bare) if bare.parse::<std::net::Ipv6Addr>().is_ok() => Ok(Authority { name, port }),
        None if is_name(name) => Ok(Authority { name, port }),
        _ => Err("that is no name of a host"),
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Unix(path) => write!(f, "unix://{}", path.display()),
            Address::Tcp(host) | Address::Tls { host, .. } => write!(f, "tcp://{host}"),
            Address::Ssh { destination, port: None } => write!(f, "ssh://{destination}"),
            Address::Ssh { destination, port: Some(port) } => write!(f, "ssh://{destination}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Address {
        Address::parse(text, None).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn ssh(destination: &str, port: Option<u16>) -> Address {
        Address::Ssh { destination: destination.into(), port }
    }

    #[test]
    fn every_spelling_of_docker_is_understood() {
        for (text, address) in [
            ("unix:///run/a.sock", Address::Unix("/run/a.sock".into())),
            ("/run/a.sock", Address::Unix("/run/a.sock".into())),
            ("tcp://host", Address::Tcp("host:2375".into())),
            ("tcp://host:99/", Address::Tcp("host:99".into())),
            ("http://[::1]", Address::Tcp("[::1]:2375".into())),
            ("ssh://me@host:2222", ssh("me@host", Some(2222))),
            ("ssh://host", ssh("host", None)),
            ("ssh://me@[fe80::1]:22", ssh("me@fe80::1", Some(22))),
        ] {
            assert_eq!(parsed(text), address, "{text}");
        }
    }

    #[test]
    fn with_files_of_tls_an_address_is_secure() {
        let files = TlsFiles { ca: Some("/c/ca.pem".into()), verify: true, ..TlsFiles::default() };
        let Address::Tls { host, ca, cert, verify, .. } = Address::parse("tcp://host", Some(&files)).unwrap() else {
            panic!("in the clear")
        };
        assert_eq!((host.as_str(), ca, cert, verify), ("host:2376", Some("/c/ca.pem".into()), None, true));
        assert!(matches!(parsed("https://host:1"), Address::Tls { verify: true, .. }));
    }

    #[test]
    fn what_would_become_an_option_or_a_command_is_refused() {
        for text in [
            "",
            "docker",
            "unix://relative",
            "tcp://",
            "tcp://host:0",
            "tcp://host:70000",
            "tcp://ho st",
            "tcp://-host",
            "tcp://host/path",
            "tcp://[::1",
            "ssh://-oProxyCommand=x",
            "ssh://-oProxyCommand=x@host",
            "ssh://me@-host",
            "ssh://me:secret@host",
            "ssh://me@host;reboot",
            "ssh://me@host/path",
            "ssh://@host",
            "npipe:////./pipe/docker_engine",
            "ftp://host",
            "unix:///a\nb",
        ] {
            assert!(Address::parse(text, None).is_err(), "{text}");
        }
    }

    #[test]
    fn a_password_is_not_repeated() {
        let error = Address::parse("ssh://me:secret@host", None).unwrap_err().with_hints();
        assert!(!error.contains("secret"), "{error}");
    }

    #[test]
    fn only_loopback_is_safe_in_the_clear() {
        for (text, exposed) in [
            ("tcp://localhost:1", false),
            ("tcp://127.0.0.7:1", false),
            ("tcp://[::1]:1", false),
            ("tcp://localhost.evil.example:1", true),
            ("tcp://10.0.0.1:1", true),
            ("unix:///s", false),
        ] {
            assert_eq!(parsed(text).is_exposed(), exposed, "{text}");
        }
    }
}

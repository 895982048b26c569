//! Which engine is meant.

use std::fmt;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use super::address::{Address, TlsFiles};
use super::contexts::{DEFAULT, Settings};
use super::facts::Product;
use crate::domain::{Error, Result};

/// An engine to talk to, and what people call it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// A context's name, or the address.
    pub name: String,
    /// Where it listens.
    pub address: Address,
}

/// A place where an engine listens unless somebody says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Socket {
    /// Whose place it is.
    pub product: Product,
    /// The place.
    pub endpoint: Endpoint,
}

/// What decides which engine is meant.
pub(super) struct Surroundings<'a> {
    /// The environment.
    pub(super) variable: &'a dyn Fn(&str) -> Option<String>,
    /// Who asks.
    pub(super) uid: u32,
}

impl Endpoint {
    /// The engine that is meant: the address or context named, else `DOCKER_HOST` (with `DOCKER_TLS_VERIFY` and
    /// `DOCKER_CERT_PATH`), else `DOCKER_CONTEXT`, else the current context of Docker's configuration, else the first
    /// of the usual sockets.
    ///
    /// # Errors
    /// A usage error for a name or an address that means nothing; an environment error when there is no engine.
    pub fn find(named: Option<&str>) -> Result<Endpoint> {
        with_surroundings(|surroundings| surroundings.find(named))
    }

    /// All contexts of the user, by name.
    ///
    /// # Errors
    /// An environment error when their folder cannot be read.
    pub fn contexts() -> Result<Vec<Endpoint>> {
        with_surroundings(|surroundings| surroundings.settings().map_or_else(|| Ok(Vec::new()), |it| it.contexts()))
    }

    /// An address without any other name.
    pub(super) fn at(address: Address) -> Endpoint {
        Endpoint { name: address.to_string(), address }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.address.to_string();
        match self.name == address {
            true => f.write_str(&address),
            false => write!(f, "{} ({address})", self.name),
        }
    }
}

/// The places where engines of this machine listen unless somebody says otherwise: `DOCKER_HOST` takes the place of
/// Docker's own.
///
/// # Errors
/// A usage error for a `DOCKER_HOST` that means nothing.
pub fn sockets() -> Result<Vec<Socket>> {
    with_surroundings(|surroundings| surroundings.sockets())
}

fn with_surroundings<T>(use_them: impl FnOnce(&Surroundings<'_>) -> T) -> T {
    let variable = |name: &str| std::env::var(name).ok();
    use_them(&Surroundings { variable: &variable, uid: nix::unistd::Uid::effective().as_raw() })
}

impl Surroundings<'_> {
    /// A variable that is set and not empty.
    fn set(&self, name: &str) -> Option<String> {
        (self.variable)(name).filter(|value| !value.is_empty())
    }

    fn settings(&self) -> Option<Settings> {
        let folder = self.set("DOCKER_CONFIG").map(PathBuf::from);
        let folder = folder.or_else(|| Some(PathBuf::from(self.set("HOME")?).join(".docker")))?;
        Some(Settings { folder })
    }

    pub(super) fn find(&self, named: Option<&str>) -> Result<Endpoint> {
        match named {
            Some(DEFAULT) => return self.first_socket(),
            Some(text) if text.contains("://") || text.starts_with('/') => {
                let address = Address::parse(text, self.tls().as_ref())?;
                return guarded(Endpoint::at(address));
            }
            Some(name) => return self.context(name),
            None => {}
        }
        if let Some(endpoint) = self.host()? {
            return Ok(endpoint);
        }
        let named = match self.set("DOCKER_CONTEXT") {
            Some(name) => Some(name),
            None => self.settings().map_or(Ok(None), |settings| settings.current_context())?,
        };
        match named {
            Some(name) if name != DEFAULT => self.context(&name),
            _ => self.first_socket(),
        }
    }

    fn context(&self, name: &str) -> Result<Endpoint> {
        let settings = self.settings().ok_or_else(|| {
            Error::environment(format!("cannot look for the Docker context '{name}': there is no home directory"))
                .hint("set DOCKER_CONFIG to Docker's folder of settings")
        })?;
        guarded(settings.context(name)?)
    }

    /// What `DOCKER_HOST` says. Its user knows who listens on the way.
    fn host(&self) -> Result<Option<Endpoint>> {
        let Some(text) = self.set("DOCKER_HOST") else { return Ok(None) };
        let address = Address::parse(&text, self.tls().as_ref())
            .map_err(|error| error.hint("DOCKER_HOST says so: unset it, or set it to an address"))?;
        Ok(Some(Endpoint::at(address)))
    }

    /// The files of TLS for an address without a context, where TLS is wanted.
    fn tls(&self) -> Option<TlsFiles> {
        let verify = self.set("DOCKER_TLS_VERIFY").is_some();
        if !verify && self.set("DOCKER_TLS").is_none() {
            return None;
        }
        let folder = self.set("DOCKER_CERT_PATH").map(PathBuf::from);
        let folder = folder.or_else(|| Some(self.settings()?.folder));
        Some(
            folder.map_or_else(
                || TlsFiles { verify, ..TlsFiles::default() },
                |folder| TlsFiles::in_folder(&folder, verify),
            ),
        )
    }

    fn sockets(&self) -> Result<Vec<Socket>> {
        let mut sockets = match self.host()? {
            Some(endpoint) => vec![Socket { product: Product::Docker, endpoint }],
            None => Vec::new(),
        };
        let replaced = !sockets.is_empty();
        sockets.extend(self.usual().into_iter().filter(|socket| !(replaced && socket.product == Product::Docker)));
        Ok(sockets)
    }

    /// Where engines listen by themselves, in the order in which they are tried.
    fn usual(&self) -> Vec<Socket> {
        let socket = |product, path: String| Socket { product, endpoint: Endpoint::at(Address::Unix(path.into())) };
        let runtime = self.set("XDG_RUNTIME_DIR").unwrap_or_else(|| format!("/run/user/{}", self.uid));
        vec![
            socket(Product::Docker, "/var/run/docker.sock".into()),
            socket(Product::Docker, format!("{runtime}/docker.sock")),
            socket(Product::Podman, format!("{runtime}/podman/podman.sock")),
            socket(Product::Podman, "/run/podman/podman.sock".into()),
        ]
    }

    /// The first socket that may be used, else the first that is there, which will say why not.
    fn first_socket(&self) -> Result<Endpoint> {
        let usual = self.usual();
        let path = |socket: &Socket| match &socket.endpoint.address {
            Address::Unix(path) => path.clone(),
            _ => PathBuf::new(),
        };
        let there = |socket: &&Socket| is_socket(&path(socket));
        let usable = |socket: &&Socket| there(socket) && may_write(&path(socket));
        let chosen = usual.iter().find(usable).or_else(|| usual.iter().find(there));
        chosen.map(|socket| socket.endpoint.clone()).ok_or_else(|| {
            let places: Vec<String> = usual.iter().map(|socket| path(socket).display().to_string()).collect();
            Error::environment(format!("no Docker or Podman engine here: no socket at {}", places.join(", ")))
                .hint("start Docker: sudo systemctl start docker")
                .hint("or Podman: systemctl --user start podman.socket")
                .hint("or name an engine elsewhere: --engine docker=ssh://user@host")
        })
    }
}

fn is_socket(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket())
}

fn may_write(path: &Path) -> bool {
    nix::unistd::access(path, nix::unistd::AccessFlags::W_OK).is_ok()
}

/// Refuses to speak in the clear to other machines: whoever listens to an engine has root there.
fn guarded(endpoint: Endpoint) -> Result<Endpoint> {
    if endpoint.address.is_exposed() {
        return Err(Error::usage(format!("{endpoint} would be spoken to in the clear"))
            .hint("use ssh://user@host, or a context with certificates")
            .hint("where nobody else can listen: export DOCKER_HOST with this address"));
    }
    Ok(endpoint)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    struct Machine {
        home: tempfile::TempDir,
        variables: BTreeMap<&'static str, String>,
    }

    impl Machine {
        fn new() -> Machine {
            let home = tempfile::tempdir().unwrap();
            let mut variables = BTreeMap::new();
            variables.insert("HOME", home.path().display().to_string());
            variables.insert("XDG_RUNTIME_DIR", home.path().display().to_string());
            Machine { home, variables }
        }

        fn set(mut self, name: &'static str, value: &str) -> Machine {
            self.variables.insert(name, value.into());
            self
        }

        fn context(self, name: &str, host: &str) -> Machine {
            use sha2::Digest as _;
            let hash: String = sha2::Sha256::digest(name.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
            let folder = self.home.path().join(".docker/contexts/meta").join(hash);
            std::fs::create_dir_all(&folder).unwrap();
            let text = format!(r#"{{"Name":"{name}","Endpoints":{{"docker":{{"Host":"{host}"}}}}}}"#);
            std::fs::write(folder.join("meta.json"), text).unwrap();
            self
        }

        fn current(self, name: &str) -> Machine {
            std::fs::create_dir_all(self.home.path().join(".docker")).unwrap();
            let text = format!(r#"{{"currentContext":"{name}"}}"#);
            std::fs::write(self.home.path().join(".docker/config.json"), text).unwrap();
            self
        }

        fn with<T>(&self, ask: impl FnOnce(&Surroundings<'_>) -> T) -> T {
            let variable = |name: &str| self.variables.get(name).cloned();
            ask(&Surroundings { variable: &variable, uid: 7 })
        }

        fn find(&self, named: Option<&str>) -> Result<String> {
            self.with(|surroundings| surroundings.find(named)).map(|endpoint| endpoint.to_string())
        }
    }

    #[test]
    fn what_is_named_comes_first_then_the_variables_then_the_configuration() {
        let machine = Machine::new().context("one", "ssh://one").context("two", "ssh://two").current("two");
        assert_eq!(machine.find(Some("one")).unwrap(), "one (ssh://one)");
        assert_eq!(machine.find(Some("unix:///s")).unwrap(), "unix:///s");
        assert_eq!(machine.find(None).unwrap(), "two (ssh://two)");
        let machine = machine.set("DOCKER_CONTEXT", "one");
        assert_eq!(machine.find(None).unwrap(), "one (ssh://one)");
        let machine = machine.set("DOCKER_HOST", "tcp://far:1");
        assert_eq!(machine.find(None).unwrap(), "tcp://far:1");
        assert_eq!(machine.find(Some("two")).unwrap(), "two (ssh://two)");
    }

    #[test]
    fn an_empty_variable_is_not_set() {
        let machine = Machine::new().context("one", "ssh://one").current("one");
        let machine = machine.set("DOCKER_HOST", "").set("DOCKER_CONTEXT", "");
        assert_eq!(machine.find(None).unwrap(), "one (ssh://one)");
    }

    #[test]
    fn a_named_context_that_is_missing_is_an_error() {
        assert!(Machine::new().find(Some("nowhere")).is_err());
        assert!(Machine::new().set("DOCKER_CONTEXT", "nowhere").find(None).is_err());
        assert!(Machine::new().current("nowhere").find(None).is_err());
    }

    #[test]
    fn other_machines_are_not_spoken_to_in_the_clear_unless_docker_host_says_so() {
        let machine = Machine::new().context("clear", "tcp://far:2375");
        for named in ["tcp://far:2375", "clear"] {
            let error = machine.find(Some(named)).unwrap_err();
            assert!(error.to_string().ends_with("would be spoken to in the clear"), "{error}");
        }
        assert_eq!(machine.set("DOCKER_HOST", "tcp://far").find(None).unwrap(), "tcp://far:2375");
    }

    #[test]
    fn the_variables_of_tls_are_heeded() {
        let machine = Machine::new().set("DOCKER_HOST", "tcp://far").set("DOCKER_TLS_VERIFY", "1");
        let folder = machine.home.path().join("certificates");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("cert.pem"), "").unwrap();
        let machine = machine.set("DOCKER_CERT_PATH", folder.to_str().unwrap());
        let endpoint = machine.with(|surroundings| surroundings.find(None)).unwrap();
        let Address::Tls { host, cert, ca, verify, .. } = endpoint.address else { panic!("in the clear") };
        assert_eq!((host.as_str(), cert, ca, verify), ("far:2376", Some(folder.join("cert.pem")), None, true));
    }

    #[test]
    fn docker_host_takes_the_place_of_dockers_sockets() {
        let places = |machine: &Machine| -> Vec<String> {
            let sockets = machine.with(|surroundings| surroundings.sockets()).unwrap();
            sockets.into_iter().map(|socket| socket.endpoint.name).collect()
        };
        let machine = Machine::new().set("XDG_RUNTIME_DIR", "/r");
        assert_eq!(
            places(&machine),
            [
                "unix:///var/run/docker.sock",
                "unix:///r/docker.sock",
                "unix:///r/podman/podman.sock",
                "unix:///run/podman/podman.sock"
            ]
        );
        let machine = machine.set("DOCKER_HOST", "tcp://h:1");
        assert_eq!(places(&machine), ["tcp://h:1", "unix:///r/podman/podman.sock", "unix:///run/podman/podman.sock"]);
        let machine = Machine::new().set("XDG_RUNTIME_DIR", "");
        assert_eq!(places(&machine)[1], "unix:///run/user/7/docker.sock");
    }
}

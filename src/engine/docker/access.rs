//! What lets commands in a container use Docker: the socket of the container's own engine, or a daemon beside them.

use crate::docker::{Address, Bind, Container, ContainerRequest, Endpoint, ExecRequest, Network};
use crate::domain::{DockerAccess, Error, Result, Stream};

/// Starts a daemon, and waits until it answers.
const DAEMON: &str = include_str!("daemon.sh");

/// Where that daemon keeps images and containers: its own storage cannot stand on a container's.
const STORAGE: &str = "/var/lib/docker";

/// What `/var/run/docker.sock` is in every builder, where `/var/run` is a link: Docker 28 copies no files into a container
/// that has a mount below a link.
const MOUNTED: &str = "/run/docker.sock";

/// Makes a container one that can hold a daemon. It has a network of its own, for a daemon makes bridges and firewalls.
pub(super) fn own(request: &mut ContainerRequest) {
    request.privileged = true;
    request.trusted = true;
    request.anonymous_volumes.push(STORAGE.into());
    if request.network == Network::Host {
        request.network = Network::Default;
    }
}

/// Brings the engine's socket into a container. Where the engine sees the files of this machine, its socket is where it is
/// for us; on another machine, or where the socket is passed on from elsewhere, it is at the usual place.
pub(super) fn host(request: &mut ContainerRequest, endpoint: &Endpoint, sees_files: bool) {
    let source = match &endpoint.address {
        Address::Unix(path) if sees_files => path.clone(),
        _ => DockerAccess::SOCKET.into(),
    };
    request.trusted = true;
    request.binds.push(Bind { source, target: MOUNTED.into(), read_only: false, relabel: false });
}

/// Says more of an error that came of making a container with the socket.
pub(super) fn without_socket(error: Error, request: &ContainerRequest) -> Error {
    let Some(bind) = request.binds.iter().find(|bind| bind.target == MOUNTED) else { return error };
    error.hint(format!("`docker: host` needs the engine's socket at {} of its machine", bind.source.display()))
}

/// Sees to it that an engine answers in a container.
pub(super) async fn open(container: &Container, access: DockerAccess) -> Result<()> {
    let (script, failure) = match access {
        DockerAccess::Host => ("exec docker version", "the engine does not answer on its own socket in a builder"),
        DockerAccess::Own => (DAEMON, "the Docker daemon in the builder did not start"),
    };
    let request = ExecRequest {
        argv: ["sh", "-c", script].map(str::to_owned).to_vec(),
        cwd: "/".into(),
        user: Some("0".into()),
        ..ExecRequest::default()
    };
    let mut said = Vec::new();
    let end = container.exec(&request, &mut |_: Stream, bytes: &[u8]| said.extend_from_slice(bytes)).await?;
    match end.code {
        0 => Ok(()),
        _ => Err(Error::environment(failure).because(String::from_utf8_lossy(&said).trim().to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_is_where_the_engine_sees_it() {
        let unix = Address::Unix("/run/user/1000/docker.sock".into());
        let tcp = Address::Tcp("far:2375".into());
        for (address, sees, source) in [
            (&unix, true, "/run/user/1000/docker.sock"),
            (&unix, false, "/var/run/docker.sock"),
            (&tcp, true, "/var/run/docker.sock"),
        ] {
            let endpoint = Endpoint { name: String::new(), address: address.clone() };
            let mut request = ContainerRequest::default();
            host(&mut request, &endpoint, sees);
            assert_eq!(request.binds[0].source, std::path::Path::new(source));
        }
    }

    #[test]
    fn a_daemon_never_has_the_network_of_the_machine() {
        for (asked, given) in [(Network::None, Network::None), (Network::Host, Network::Default)] {
            let mut request = ContainerRequest { network: asked, ..ContainerRequest::default() };
            own(&mut request);
            assert_eq!(request.network, given);
        }
    }
}

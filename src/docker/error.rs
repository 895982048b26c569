//! What can go wrong between xbuild and an engine, and what mends it.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use super::address::Address;
use super::endpoint::Endpoint;
use crate::domain::Error;

/// No connection came about.
pub(super) fn refused(endpoint: &Endpoint, error: &io::Error) -> Error {
    let Address::Unix(path) = &endpoint.address else {
        return Error::environment(format!("cannot reach the engine at {endpoint}"))
            .because(error.to_string())
            .hint("check that the machine is up, and that its engine listens there");
    };
    let podman = path.to_string_lossy().contains("podman");
    let start = match podman {
        true => "start it: systemctl --user start podman.socket",
        false => "start it: sudo systemctl start docker",
    };
    match error.kind() {
        io::ErrorKind::NotFound => {
            Error::environment(format!("no engine at {endpoint}: there is no such socket")).hint(start)
        }
        io::ErrorKind::PermissionDenied => {
            let error = Error::environment(format!("permission denied by the socket of the engine at {endpoint}"));
            match podman {
                true => error.hint("use your own Podman: systemctl --user start podman.socket"),
                false => error.hint("sudo usermod -aG docker \"$USER\", then log in again"),
            }
        }
        io::ErrorKind::ConnectionRefused => {
            Error::environment(format!("no engine at {endpoint}: nothing listens on its socket")).hint(start)
        }
        _ => {
            Error::environment(format!("cannot reach the engine at {endpoint}")).because(error.to_string()).hint(start)
        }
    }
}

/// A connection came about, and nothing else.
pub(super) fn silent(endpoint: &Endpoint, patience: Duration) -> Error {
    let error =
        Error::environment(format!("the engine at {endpoint} does not answer within {} seconds", patience.as_secs()));
    match &endpoint.address {
        Address::Unix(path) if path.to_string_lossy().contains("podman") => {
            error.hint("systemctl --user restart podman.socket")
        }
        Address::Unix(_) => error.hint("sudo systemctl restart docker"),
        _ => error.hint("check that the machine is up, and that its engine listens there"),
    }
}

/// One side does not trust the other.
pub(super) fn tls_refused(endpoint: &Endpoint, error: &io::Error) -> Error {
    Error::environment(format!("no secure connection to the engine at {endpoint}"))
        .because(error.to_string())
        .hint("check ca.pem, cert.pem and key.pem of its context, or of DOCKER_CERT_PATH")
}

/// `ssh` ended before the engine said anything.
pub(super) fn ssh_failed(endpoint: &Endpoint, text: &str) -> Error {
    let text = text.trim();
    let error = Error::environment(format!("cannot reach the engine at {endpoint} through ssh"));
    let destination = match &endpoint.address {
        Address::Ssh { destination, port: Some(port) } => format!("-p {port} {destination}"),
        Address::Ssh { destination, .. } => destination.clone(),
        _ => String::new(),
    };
    // The last line says what it was; those before it may be a banner.
    let last = text.lines().rfind(|line| !line.trim().is_empty()).map(|line| line.trim().escape_debug().to_string());
    let error = match last {
        Some(line) => error.because(line),
        None => error.because("it ended without a word"),
    };
    if text.contains("Host key verification failed") {
        error.hint(format!("look at the machine's key, and accept it: ssh {destination}"))
    } else if text.contains("Permission denied (") {
        error.hint(format!(
            "xbuild asks for no password; see that this works by itself: ssh -o BatchMode=yes {destination} true"
        ))
    } else if text.contains("command not found") || text.contains("docker: not found") {
        error.hint("install Docker's client on that machine: it passes on what xbuild says")
    } else if text.contains("permission denied while trying to connect") {
        error.hint(format!("let that user use Docker: ssh {destination} 'sudo usermod -aG docker \"$USER\"'"))
    } else {
        error.hint(format!("try it by hand: ssh {destination} docker version"))
    }
}

/// An error of the library that speaks HTTP, or of xbuild's own within it.
pub(super) fn broken(endpoint: &Endpoint, error: &(dyn StdError + 'static)) -> Error {
    if let Some(own) = own(error) {
        return own.again();
    }
    let mut last = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        last = source.to_string();
        next = source.source();
    }
    Error::environment(format!("the engine at {endpoint} went away")).because(last).hint(match &endpoint.address {
        Address::Unix(_) => "see whether it is running: docker version; then run xbuild again",
        _ => "see whether that machine and its engine are running; then run xbuild again",
    })
}

/// xbuild's own error among the causes.
fn own<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(own) = error.downcast_ref::<Error>() {
            return Some(own);
        }
        // What is inside an error of input and output is not its source.
        let inside = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(found) = inside.and_then(|inside| own(inside)) {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// What came of asking an engine for something.
pub(super) fn failed(endpoint: &Endpoint, what: &str, error: bollard::errors::Error) -> Error {
    use bollard::errors::Error as Bollard;
    match &error {
        Bollard::DockerResponseServerError { status_code, message } => {
            answered(endpoint, what, Some(*status_code), message)
        }
        Bollard::DockerStreamError { error } => answered(endpoint, what, None, error),
        Bollard::RequestTimeoutError => Error::environment(format!("{endpoint}: cannot {what}"))
            .because("the engine does not answer")
            .hint("see whether it hangs: docker info"),
        Bollard::JsonDataError { .. } | Bollard::JsonSerdeError { .. } | Bollard::StrParseError { .. } => {
            Error::environment(format!("{endpoint}: cannot {what}"))
                .because(format!("its answer is not of Docker's API: {error}"))
        }
        Bollard::URLParseError { .. } | Bollard::InvalidURIError { .. } | Bollard::HttpClientError { .. } => {
            Error::bug(format!("cannot {what}")).because(error)
        }
        other => {
            let broken = broken(endpoint, other);
            let hints: Vec<String> = broken.hints().into_iter().map(str::to_owned).collect();
            let error = Error::environment(format!("cannot {what}")).because(broken.to_string());
            hints.into_iter().fold(error, Error::hint)
        }
    }
}

/// The engine's own words on why something is not possible.
pub(super) fn answered(endpoint: &Endpoint, what: &str, status: Option<u16>, message: &str) -> Error {
    let message = message.trim();
    let cause = match (message, status) {
        ("", Some(status)) => format!("status {status}"),
        (message, _) => message.to_owned(),
    };
    let error = Error::environment(format!("{endpoint}: cannot {what}")).because(cause);
    match what_mends(message) {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// What mends what an engine complains about.
pub(super) fn what_mends(message: &str) -> Option<&'static str> {
    let message = message.to_ascii_lowercase();
    if message.contains("no space left on device") || message.contains("disk quota exceeded") {
        Some("its disk is full: docker system df shows what is there, docker system prune removes what is unused")
    } else if message.contains("manifest unknown") || message.contains("not found: manifest") {
        Some("check the image's name and tag")
    } else if message.contains("is too new. maximum supported api version") {
        Some("it is older than it said: restart it after its upgrade")
    } else if message.contains("unauthorized") || message.contains("denied: requested access") {
        Some("docker login")
    } else {
        None
    }
}

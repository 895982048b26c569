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
    let (mut last, mut next, mut spoken) = (error.to_string(), error.source(), true);
    while let Some(source) = next {
        spoken &= !source.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse);
        last = source.to_string();
        next = source.source();
    }
    if !spoken {
        return Error::environment(format!("what listens at {endpoint} is no Docker engine")).because(last);
    }
    if last.contains("fatal alert") {
        // An engine tells that it does not trust us only when it is asked for something.
        return tls_refused(endpoint, &io::Error::other(last));
    }
    let last = if last.contains("close_notify") { "the connection ended".to_owned() } else { last };
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
            // The library hides these behind its own.
            let broken = match other {
                Bollard::IOError { err } => broken(endpoint, err),
                Bollard::HyperResponseError { err } => broken(endpoint, err),
                other => broken(endpoint, other),
            };
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
    } else if message.contains("client sent an http request to an https server") {
        Some("it wants TLS: export DOCKER_TLS_VERIFY=1, and DOCKER_CERT_PATH with ca.pem, cert.pem and key.pem")
    } else if message.contains("container-init binary not found") {
        Some("install catatonit on the engine's machine; Podman's packages only recommend it")
    } else if message.contains("unauthorized") || message.contains("denied: requested access") {
        Some("docker login")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::domain::ErrorKind;

    fn local(path: &str) -> Endpoint {
        Endpoint::at(Address::Unix(PathBuf::from(path)))
    }

    #[test]
    fn each_refusal_says_what_mends_it() {
        for (kind, words, hint) in [
            (io::ErrorKind::NotFound, "there is no such socket", "start it: sudo systemctl start docker"),
            (
                io::ErrorKind::PermissionDenied,
                "permission denied",
                "sudo usermod -aG docker \"$USER\", then log in again",
            ),
            (io::ErrorKind::ConnectionRefused, "nothing listens", "start it: sudo systemctl start docker"),
        ] {
            let error = refused(&local("/var/run/docker.sock"), &kind.into());
            assert!(error.to_string().contains(words) && error.to_string().contains("/var/run/docker.sock"), "{error}");
            assert_eq!(error.hints(), [hint]);
            assert_eq!(error.kind(), ErrorKind::Environment);
        }
        let error = refused(&local("/run/podman/podman.sock"), &io::ErrorKind::NotFound.into());
        assert_eq!(error.hints(), ["start it: systemctl --user start podman.socket"]);
    }

    #[test]
    fn what_ssh_says_last_is_told() {
        let endpoint = Endpoint::at(Address::Ssh { destination: "me@host".into(), port: Some(7) });
        let error = ssh_failed(&endpoint, "Welcome!\n\nme@host: Permission denied (publickey).\r\n");
        assert_eq!(
            error.to_string(),
            "cannot reach the engine at ssh://me@host:7 through ssh: me@host: Permission denied (publickey)."
        );
        assert_eq!(
            error.hints(),
            ["xbuild asks for no password; see that this works by itself: ssh -o BatchMode=yes -p 7 me@host true"]
        );
        // Nothing of another machine reaches the terminal as it is.
        let error = ssh_failed(&endpoint, "\u{1b}[2Jgotcha").to_string();
        assert!(!error.contains('\u{1b}'), "{error}");
    }

    #[test]
    fn an_error_of_our_own_is_found_wherever_it_is_wrapped() {
        let inner = Error::environment("ours").hint("mend it");
        let wrapped = io::Error::other(io::Error::other(inner));
        let error = broken(&local("/s"), &wrapped);
        assert_eq!((error.to_string().as_str(), error.hints()), ("ours", vec!["mend it"]));
    }

    #[test]
    fn a_full_disk_has_its_own_hint() {
        let error = answered(&local("/s"), "load an image", Some(500), "write /x: no space left on device");
        assert_eq!(error.to_string(), "unix:///s: cannot load an image: write /x: no space left on device");
        assert!(error.hints()[0].contains("docker system prune"));
    }
}

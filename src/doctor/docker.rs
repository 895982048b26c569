//! Whether Docker or Podman answers.

use std::time::Duration;

use super::Finding;
use super::finding::{DOCKER, as_root};
use crate::docker::{Address, Client, Greeting, Product, Socket, sockets};
use crate::domain::Error;

/// A daemon that hangs must not hang whoever wants to know.
const PATIENCE: Duration = Duration::from_secs(2);

/// What came of asking at one place.
enum Answer {
    Absent,
    Failed(Error),
    Greeting(Greeting),
}

/// One finding for Docker and one for Podman. Blocks for two seconds at most.
pub(super) fn probe() -> Vec<Finding> {
    let places = match sockets() {
        Ok(places) => places,
        Err(error) => return vec![failure("docker", &error)],
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return vec![Finding::missing("docker", DOCKER, format!("cannot ask: {error}"))],
    };
    let answers = runtime.block_on(async {
        let asked: Vec<_> = places
            .into_iter()
            .map(|place| {
                tokio::spawn(async move {
                    let answer = ask(&place).await;
                    (place, answer)
                })
            })
            .collect();
        let mut answers = Vec::new();
        for task in asked {
            answers.extend(task.await.ok());
        }
        answers
    });
    // Looking up a host's name cannot be given up.
    runtime.shutdown_background();
    [("docker", Product::Docker), ("podman", Product::Podman)].map(|(name, of)| summary(name, of, &answers)).into()
}

async fn ask(place: &Socket) -> Answer {
    if let Address::Unix(path) = &place.endpoint.address
        && std::fs::symlink_metadata(path).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
    {
        return Answer::Absent;
    }
    match Client::greet(&place.endpoint, PATIENCE).await {
        Ok(greeting) => Answer::Greeting(greeting),
        Err(error) => Answer::Failed(error),
    }
}

/// The best answer of one engine's places.
fn summary(name: &'static str, product: Product, answers: &[(Socket, Answer)]) -> Finding {
    let own = || answers.iter().filter(|(place, _)| place.product == product);
    for (place, answer) in own() {
        if let Answer::Greeting(greeting) = answer {
            let engine = format!("{} {}, API {}", greeting.product, greeting.version, greeting.api);
            return Finding::works(name, DOCKER, format!("{engine} at {}", place.endpoint));
        }
    }
    for (_, answer) in own() {
        if let Answer::Failed(error) = answer {
            return failure(name, error);
        }
    }
    let places: Vec<&str> = own().map(|(place, _)| place.endpoint.name.trim_start_matches("unix://")).collect();
    let finding = Finding::missing(name, DOCKER, format!("no socket at {}", places.join(" or ")));
    match product {
        Product::Docker => finding.mend(as_root("apt-get install docker.io")),
        Product::Podman => {
            finding.mend(as_root("apt-get install podman") + " && systemctl --user enable --now podman.socket")
        }
    }
}

fn failure(name: &'static str, error: &Error) -> Finding {
    let finding = Finding::missing(name, DOCKER, error.to_string());
    match error.hints().first() {
        Some(hint) => finding.mend(*hint),
        None => finding,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::Endpoint;

    fn place(path: &str) -> Socket {
        let address = Address::Unix(path.into());
        Socket { product: Product::Docker, endpoint: Endpoint { name: address.to_string(), address } }
    }

    #[test]
    fn a_silent_daemon_is_waited_for_two_seconds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("docker.sock");
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let started = std::time::Instant::now();
        let place = place(path.to_str().unwrap());
        let answer = runtime.block_on(ask(&place));
        assert!(started.elapsed() < Duration::from_secs(4));
        let finding = summary("docker", Product::Docker, &[(place, answer)]);
        assert!(finding.detail.contains("does not answer within 2 seconds"), "{finding:?}");
    }

    #[test]
    fn an_answer_beats_a_failure() {
        let greeting = Greeting { product: Product::Docker, version: "28".into(), api: "1.50".into() };
        let answers =
            [(place("/a"), Answer::Failed(Error::environment("hangs"))), (place("/b"), Answer::Greeting(greeting))];
        let finding = summary("docker", Product::Docker, &answers);
        assert_eq!(finding.detail, "Docker 28, API 1.50 at unix:///b");
    }
}

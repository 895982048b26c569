//! Whether Docker or Podman answers.

use std::path::Path;
use std::time::Duration;

use bollard::Docker;
use bollard::models::SystemVersion;

use super::Finding;
use super::finding::{DOCKER, as_root};

/// A daemon that hangs must not hang whoever wants to know.
const PATIENCE: Duration = Duration::from_secs(2);

/// A place where an engine may listen.
struct Place {
    name: &'static str,
    address: String,
}

/// What came of asking at one place.
enum Answer {
    Absent,
    Failed(String),
    Version(Box<SystemVersion>),
}

/// One finding for Docker and one for Podman. Blocks for two seconds at most.
pub(super) fn probe() -> Vec<Finding> {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return vec![Finding::missing("docker", DOCKER, format!("cannot ask: {error}"))],
    };
    let answers = runtime.block_on(async {
        let asked: Vec<_> = places(|name| std::env::var(name).ok(), nix::unistd::Uid::effective().as_raw())
            .into_iter()
            .map(|place| {
                tokio::spawn(async move {
                    let answer = ask(&place.address).await;
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
    ["docker", "podman"].map(|name| summary(name, &answers)).into()
}

fn places(variable: impl Fn(&str) -> Option<String>, uid: u32) -> Vec<Place> {
    let place = |name, address: String| Place { name, address };
    let socket = |name, path: &str| place(name, format!("unix://{path}"));
    let runtime = variable("XDG_RUNTIME_DIR").filter(|text| !text.is_empty());
    let runtime = runtime.unwrap_or_else(|| format!("/run/user/{uid}"));
    // Where the variable is set, Docker's own client looks nowhere else.
    let mut places = match variable("DOCKER_HOST").filter(|text| !text.is_empty()) {
        Some(address) => vec![place("docker", address)],
        None => vec![socket("docker", "/var/run/docker.sock"), socket("docker", &format!("{runtime}/docker.sock"))],
    };
    places.push(socket("podman", &format!("{runtime}/podman/podman.sock")));
    places.push(socket("podman", "/run/podman/podman.sock"));
    places
}

async fn ask(address: &str) -> Answer {
    let Some(path) = address.strip_prefix("unix://") else {
        return Answer::Failed("xbuild can use Unix sockets alone".into());
    };
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Answer::Absent,
        Err(error) => return Answer::Failed(error.to_string()),
        Ok(_) => {}
    }
    // Connecting says why, where the client library does not.
    match tokio::time::timeout(PATIENCE, tokio::net::UnixStream::connect(path)).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => return Answer::Failed(error.to_string()),
        Err(_) => return Answer::Failed(silent()),
    }
    let client = match Docker::connect_with_unix(path, PATIENCE.as_secs(), bollard::API_DEFAULT_VERSION) {
        Ok(client) => client,
        Err(error) => return Answer::Failed(error.to_string()),
    };
    match tokio::time::timeout(PATIENCE, client.version()).await {
        Ok(Ok(version)) => Answer::Version(Box::new(version)),
        Ok(Err(bollard::errors::Error::RequestTimeoutError)) | Err(_) => Answer::Failed(silent()),
        Ok(Err(error)) => Answer::Failed(error.to_string()),
    }
}

fn silent() -> String {
    format!("does not answer within {} seconds", PATIENCE.as_secs())
}

/// The best answer of one engine's places.
fn summary(name: &'static str, answers: &[(Place, Answer)]) -> Finding {
    let own = || answers.iter().filter(|(place, _)| place.name == name);
    for (place, answer) in own() {
        if let Answer::Version(version) = answer {
            return Finding::works(name, DOCKER, format!("{} at {}", describe(version), place.address));
        }
    }
    for (place, answer) in own() {
        if let Answer::Failed(reason) = answer {
            let finding = Finding::missing(name, DOCKER, format!("{}: {reason}", place.address));
            return match place.address.strip_prefix("unix://") {
                Some(path) if reason.contains("ermission denied") && Path::new(path).exists() => {
                    finding.mend(as_root("usermod --append --groups docker \"$USER\"") + ", then log in again")
                }
                Some(_) if name == "docker" => finding.mend(as_root("systemctl restart docker")),
                Some(_) => finding.mend("systemctl --user restart podman.socket"),
                None => finding.mend("unset DOCKER_HOST, or set it to unix:///var/run/docker.sock"),
            };
        }
    }
    let places: Vec<&str> = own().map(|(place, _)| place.address.trim_start_matches("unix://")).collect();
    let finding = Finding::missing(name, DOCKER, format!("no socket at {}", places.join(" or ")));
    if name == "docker" {
        finding.mend(as_root("apt-get install docker.io"))
    } else {
        finding.mend(as_root("apt-get install podman") + " && systemctl --user enable --now podman.socket")
    }
}

fn describe(version: &SystemVersion) -> String {
    let engine = version.components.as_ref().and_then(|components| components.first());
    let engine = engine.map_or("engine", |component| component.name.as_str());
    let text = |field: &Option<String>| field.clone().unwrap_or_else(|| "?".into());
    format!("{engine} {}, API {}", text(&version.version), text(&version.api_version))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(host: Option<&str>, runtime: Option<&str>) -> Vec<String> {
        let variable = |name: &str| if name == "DOCKER_HOST" { host } else { runtime }.map(str::to_owned);
        places(variable, 7).into_iter().map(|place| place.address).collect()
    }

    #[test]
    fn docker_host_takes_the_place_of_the_usual_sockets() {
        assert_eq!(
            addresses(Some("tcp://h:1"), Some("/r")),
            ["tcp://h:1", "unix:///r/podman/podman.sock", "unix:///run/podman/podman.sock"]
        );
        assert_eq!(addresses(None, None)[1], "unix:///run/user/7/docker.sock");
    }

    #[test]
    fn a_silent_daemon_is_waited_for_two_seconds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("docker.sock");
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let started = std::time::Instant::now();
        let answer = runtime.block_on(ask(&format!("unix://{}", path.display())));
        assert!(started.elapsed() < Duration::from_secs(4));
        let place = Place { name: "docker", address: "unix:///s".into() };
        let finding = summary("docker", &[(place, answer)]);
        assert!(finding.detail.contains("does not answer within 2 seconds"), "{finding:?}");
    }

    #[test]
    fn an_answer_beats_a_failure() {
        let version =
            SystemVersion { version: Some("28".into()), api_version: Some("1.50".into()), ..Default::default() };
        let place = |address: &str| Place { name: "docker", address: address.into() };
        let answers = [
            (place("unix:///a"), Answer::Failed("hangs".into())),
            (place("unix:///b"), Answer::Version(Box::new(version))),
        ];
        assert_eq!(summary("docker", &answers).detail, "engine 28, API 1.50 at unix:///b");
    }
}

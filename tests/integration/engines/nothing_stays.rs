//! Whatever ends a build, nothing of it stays on the engine; and what is built needs no engine.

use std::process::Child;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::sample::{bare, left, nothing_stays, on, printed, stir};
use crate::support::{Docker, Files, Identity, Imports, Podman, Release, Test, processes_with, unique, wait_until};

/// A project whose command fails, waits for ever or succeeds, as the file `do` says; and the word by which it is found
/// among all processes.
fn obedient() -> (Test, String) {
    let mark = format!("300.{}", unique());
    let test = bare(&printed(&format!("case $(cat do) in fail) exit 9;; wait) sleep {mark};; esac")));
    (test.file("do", "succeed"), mark)
}

/// Starts a build on an engine, and comes back when its command runs.
fn start(test: &Test, endpoint: &str, mark: &str) -> Child {
    test.write("do", "wait");
    stir(test);
    let child = on(test.xbuild(["binaries"]), endpoint).start();
    wait_until("the command", || !processes_with(mark).is_empty());
    child
}

fn send(child: &Child, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(child.id()).expect("a number")), signal).expect("it is there");
}

fn ends(engine: &dyn Imports, endpoint: &str) {
    let (test, mark) = obedient();
    on(test.xbuild(["binaries"]), endpoint).run();
    assert_eq!(left(engine), [""; 0], "after success");
    test.write("do", "fail");
    on(test.xbuild(["binaries"]), endpoint).status(1).stderr_contains("binary/hello/s390x failed: exit code 9").run();
    nothing_stays(engine);
    for (signal, code) in [(Signal::SIGINT, Some(130)), (Signal::SIGTERM, Some(130)), (Signal::SIGKILL, None)] {
        let mut child = start(&test, endpoint, &mark);
        assert!(!left(engine).is_empty());
        send(&child, signal);
        assert_eq!(child.wait().expect("it ends").code(), code, "{signal}: {}", test.said());
        wait_until("the end of the command", || processes_with(&mark).is_empty());
        nothing_stays(engine);
    }
    // An interactive command, too.
    for (signal, code) in [(Signal::SIGINT, Some(130)), (Signal::SIGKILL, None)] {
        let mut child = on(test.xbuild(["run", "--arch", "s390x", "--", "sleep", &mark]), endpoint).start();
        wait_until("the command", || processes_with(&mark).len() > 1);
        send(&child, signal);
        assert_eq!(child.wait().expect("it ends").code(), code, "{signal}: {}", test.said());
        wait_until("the end of the command", || processes_with(&mark).is_empty());
        nothing_stays(engine);
    }
    // What is there is still of use.
    test.write("do", "succeed");
    stir(&test);
    on(test.xbuild(["binaries"]), endpoint).run();
    assert_eq!(left(engine), [""; 0]);
}

#[test]
fn whatever_ends_a_build_on_docker() {
    let Some(docker) = Docker::of(Release::Oldest).start() else { return };
    ends(&docker, &docker.endpoint());
}

#[test]
fn whatever_ends_a_build_on_podman() {
    let Some(podman) = Podman::start(Identity::Own, Files::Seen) else { return };
    ends(&podman, &podman.endpoint());
}

#[test]
fn a_daemon_that_dies_is_told_of_and_what_is_built_needs_none() {
    let Some(docker) = Docker::of(Release::Current).files(Files::Seen).start() else { return };
    let (test, mark) = obedient();
    let mut child = start(&test, &docker.endpoint(), &mark);
    docker.kill_daemon();
    assert_eq!(child.wait().expect("it ends").code(), Some(3), "{}", test.said());
    // What it was asked last, it has not answered, or nobody was there to be asked.
    for words in [&["cannot run a command"][..], &["hint:"], &["went away", "nothing listens"]] {
        assert!(words.iter().any(|words| test.said().contains(words)), "{words:?} is not in\n{}", test.said());
    }
    docker.start_daemon();
    test.write("do", "succeed");
    let first = on(test.xbuild(["binaries"]), &docker.endpoint()).run();
    assert_eq!(left(&docker), [""; 0]);
    wait_until("the end of the command", || processes_with(&mark).is_empty());
    docker.kill_daemon();
    let second = on(test.xbuild(["binaries"]), &docker.endpoint()).run();
    assert_eq!(first.stdout, second.stdout);
    stir(&test);
    on(test.xbuild(["binaries"]), &docker.endpoint()).status(3).stderr_contains("hint: start it").run();
}

#[test]
fn a_builder_that_somebody_removed_is_there_again() {
    let Some(docker) = Docker::of(Release::Current).start() else { return };
    let test = bare(&printed("date +%N"));
    on(test.xbuild(["binaries"]), &docker.endpoint()).run();
    let images = docker.must(["image", "ls", "--quiet"]);
    docker.must(["image", "rm", "--force", &images]);
    stir(&test);
    on(test.xbuild(["binaries"]), &docker.endpoint()).run();
}

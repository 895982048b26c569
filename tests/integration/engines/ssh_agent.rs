//! The caller's SSH agent for commands of programs.

use super::sample::{bare, left, on, stir};
use crate::support::{Agent, Docker, Files, Identity, Ids, KEY, Network, Podman, Release, Run, Test, host};

/// A program that tells which keys it sees, twice at once.
fn project() -> Test {
    let command =
        "      ssh-add -l > first & ssh-add -l > second; wait; { echo '#!/bin/sh'; cat first second; } > keys\n";
    bare(&format!("binaries:\n  keys:\n    ssh: true\n    outputs: {{ keys: keys }}\n    command: |\n{command}"))
}

fn sees_the_key<'a>(test: &'a Test, agent: &Agent, run: impl Fn(Run<'a>) -> Run<'a>) {
    stir(test);
    let run = run(test.xbuild(["binaries", "-v"])).env("SSH_AUTH_SOCK", agent.socket()).run();
    let seen = test.read("s390x/keys");
    assert_eq!(seen.matches(KEY).count(), 2, "{seen}");
    let told = [test.read("build.json"), run.stdout, run.stderr].concat();
    assert!(!told.contains(&agent.socket().display().to_string()), "the agent's place is told: {told}");
}

#[test]
fn in_a_sandbox() {
    let folder = tempfile::tempdir().expect("a folder");
    let agent = Agent::start(&folder.path().join("agent"));
    let test = project();
    sees_the_key(&test, &agent, |run| run.env("XBUILD_ENGINE", "native"));
    // What is built needs no agent, and what is to be built does.
    test.xbuild(["binaries", "--engine", "native"]).env("SSH_AUTH_SOCK", "").run();
    stir(&test);
    let run = test.xbuild(["binaries", "--engine", "native"]).env("SSH_AUTH_SOCK", "").status(3);
    run.stderr_contains("SSH_AUTH_SOCK is not set").stderr_contains("`ssh: true`").run();
    let run = test.xbuild(["binaries", "--engine", "native"]).env("SSH_AUTH_SOCK", "/nowhere").status(3);
    run.stderr_contains("no SSH agent at /nowhere").run();
    test.xbuild(["plan"]).stdout_contains("the caller's agent").run();
}

/// With the tools of the machine itself, which a process of it uses.
#[test]
fn on_the_machine() {
    let folder = tempfile::tempdir().expect("a folder");
    let agent = Agent::start(&folder.path().join("agent"));
    let project = format!(
        "version: 1\nname: sample\narches: [{}]\nbinaries:\n  keys:\n    ssh: true\n    command: ssh-add -l > list && echo 'int \
         main(void) {{ return 0; }}' > keys.c && $CC -o keys keys.c && cat list\n    outputs: {{ keys: keys }}\n",
        host()
    );
    let test = Test::new().cold().file("xbuild.yaml", project);
    let run = test.xbuild(["binaries", "-v", "--engine", "host"]).env("SSH_AUTH_SOCK", agent.socket());
    run.stderr_contains(KEY).run();
}

#[test]
fn in_containers_of_docker() {
    let folder = tempfile::tempdir().expect("a folder");
    let agent = Agent::start(&folder.path().join("agent"));
    let test = project();
    let docker = Docker::of(Release::Current).files(Files::Seen).ids(Ids::Remapped).network(Network::Own);
    if let Some(docker) = docker.start() {
        sees_the_key(&test, &agent, |run| on(run, &docker.endpoint()));
        assert_eq!(left(&docker), [""; 0]);
    }
    if let Some(docker) = Docker::of(Release::Oldest).start() {
        sees_the_key(&test, &agent, |run| on(run, &docker.endpoint()));
        assert_eq!(left(&docker), [""; 0]);
    }
}

#[test]
fn in_containers_of_podman() {
    let folder = tempfile::tempdir().expect("a folder");
    let agent = Agent::start(&folder.path().join("agent"));
    let Some(podman) = Podman::start(Identity::Own, Files::Unseen) else { return };
    let test = project();
    sees_the_key(&test, &agent, |run| on(run, &podman.endpoint()));
    assert_eq!(left(&podman), [""; 0]);
}

//! Engines that are not there, do not let us in, are too old, or are full: each is told with what mends it.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;

use super::sample::{bare, c_project, left, nothing_stays, on, printed};
use crate::support::{Docker, Files, Identity, Release, Reply, Test, Web, processes_with, unique};

fn project() -> Test {
    Test::new()
        .without_builders()
        .file("xbuild.yaml", format!("version: 1\nname: sample\narches: [s390x]\n{}", printed("true")))
}

#[test]
fn an_engine_that_is_not_there() {
    let test = project();
    let run = on(test.xbuild(["binaries"]), "unix:///nowhere/docker.sock").status(3);
    let run = run.stderr_contains("no engine at unix:///nowhere/docker.sock").stderr_contains("systemctl start docker");
    let said = run.run().stderr;
    assert_eq!(said.matches("no engine").count(), 1, "one error, and not one for each step: {said}");
    let home = tempfile::tempdir().expect("a folder");
    let run = test.xbuild(["binaries", "--engine", "docker=nowhere"]).env("HOME", home.path()).status(2);
    run.stderr_contains("nowhere").run();
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("docker.sock");
    drop(UnixListener::bind(&socket).expect("a socket"));
    let run =
        test.xbuild(["binaries", "--engine", "docker"]).env("DOCKER_HOST", format!("unix://{}", socket.display()));
    run.status(3).stderr_contains("nothing listens on its socket").run();
}

#[test]
fn an_engine_that_lets_nobody_in() {
    if !Identity::Range.possible() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).expect("its owner may");
    let socket = folder.path().join("docker.sock");
    let _listener = UnixListener::bind(&socket).expect("a socket");
    std::fs::set_permissions(&socket, PermissionsExt::from_mode(0o660)).expect("its owner may");
    // Who makes it says whose its store is.
    let test = Test::new().user(Identity::Range).cold();
    let test = test.file("xbuild.yaml", format!("version: 1\nname: sample\narches: [s390x]\n{}", printed("true")));
    let run = on(test.xbuild(["binaries"]), &format!("unix://{}", socket.display())).status(3);
    run.stderr_contains("permission denied").stderr_contains("usermod -aG docker").run();
}

#[test]
fn an_engine_that_is_too_old() {
    let version = r#"{"Version":"1.12.6","ApiVersion":"1.24","MinAPIVersion":"1.12","Os":"linux","Arch":"amd64"}"#;
    let web = Web::new(move |_, _| Reply::new(200, version).header("Content-Type", "application/json"));
    let test = project();
    let run = test.xbuild(["binaries", "--engine", "docker"]).env("DOCKER_HOST", format!("tcp://{}", web.host()));
    let run = run.status(3).stderr_contains("Docker 1.12.6").stderr_contains("is too old: its API has version 1.24");
    run.stderr_contains("hint: install Docker 20.10 or newer").run();
}

#[test]
fn an_engine_with_a_full_disk() {
    let Some(docker) = Docker::of(Release::Current).files(Files::Seen).space(400).start() else { return };
    let test = bare(&printed("dd if=/dev/zero of=/var/large bs=1M count=500"));
    let run = on(test.xbuild(["binaries"]), &docker.endpoint()).status(1);
    run.stderr_contains("No space left on device").stderr_contains("binary/hello/s390x failed").run();
    nothing_stays(&docker);
    // Builders alone: a command that meets the full disk at the same time would fail as the project's.
    let test = c_project();
    let run = on(test.xbuild(["toolchain"]), &docker.endpoint()).status(3);
    run.stderr_contains("no space left on device").stderr_contains("docker system prune").run();
    assert_eq!(left(&docker), [""; 0]);
}

/// Has everything in an engine's control groups share so much memory.
fn limit_memory(docker: &Docker, bytes: u64) {
    let groups = [("memory", "memory.limit_in_bytes"), ("", "memory.max")];
    let files = groups.map(|(root, file)| Path::new("/sys/fs/cgroup").join(root).join(docker.name()).join(file));
    let file = files.iter().find(|file| file.exists()).expect("it has a group for memory");
    std::fs::write(file, bytes.to_string()).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
}

#[test]
fn commands_that_take_too_long_or_too_much_memory() {
    let Some(docker) = Docker::of(Release::Current).files(Files::Seen).start() else { return };
    let mark = format!("987.{}", unique());
    let program = |name: &str, rest: &str| format!("  {name}:\n    outputs: {{ {name}: {name} }}\n{rest}");
    let slow = program("slow", &format!("    time_limit: 2s\n    command: sleep {mark} & sleep {mark}\n"));
    let greedy = program("greedy", "    command: \"x=0123456789; while :; do x=$x$x; done\"\n");
    let test = bare(&format!("binaries:\n{slow}{greedy}"));
    on(test.xbuild(["toolchain"]), &docker.endpoint()).run();
    limit_memory(&docker, 512 << 20);
    let run = on(test.xbuild(["binaries"]), &docker.endpoint()).status(1);
    let run = run.stderr_contains("binary/slow/s390x failed: killed after ");
    run.stderr_contains("binary/greedy/s390x failed: killed for want of memory").run();
    nothing_stays(&docker);
    assert!(processes_with(&mark).is_empty(), "what was killed goes on");
}

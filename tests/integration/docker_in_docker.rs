//! Programs whose commands use Docker: the machine's engine, or one of their own; and xbuild itself in containers.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::{Docker, Files, Identity, Imports, Podman, Release, Test, host};

/// The way that a program takes here: an image is made of it, and it comes back out of a container.
fn project(access: &str) -> String {
    format!(
        "version: 1\nname: sample\narches: [{}]\nbinaries:\n  tool:\n    docker: {access}\n    command: |\n      \
         install -D -m 755 busybox root/bin/busybox\n      \
         tar -c -C root . | docker import - made-by-a-command\n      \
         docker run --rm made-by-a-command /bin/busybox cat /bin/busybox > tool\n      \
         docker run --rm --volume /kept made-by-a-command /bin/busybox true\n      \
         docker rmi made-by-a-command\n",
        host()
    )
}

fn sample(access: &str) -> Test {
    Test::new().file("xbuild.yaml", project(access)).file("busybox", fs::read(Docker::busybox()).expect("busybox"))
}

/// The program in a folder such as `dist` went through a container.
fn is_built(dist: &Path) {
    let built = fs::read(dist.join(host()).join("tool")).expect("it is built");
    assert!(built == fs::read(Docker::busybox()).expect("busybox"), "another program came out");
}

/// Containers, volumes but for compilers' caches, images but for builders, and control groups of containers.
fn left(docker: &Docker) -> Vec<String> {
    let mut left = vec![docker.must(["ps", "--all", "--quiet"])];
    left.extend(docker.must(["volume", "ls", "--quiet"]).lines().map(str::to_owned));
    left.extend(docker.must(["images", "--format", "{{.Repository}}"]).lines().map(str::to_owned));
    left.retain(|name| !name.is_empty() && name != "xbuild-builder" && !name.starts_with("xbuild-cache-"));
    let hierarchies = fs::read_dir("/sys/fs/cgroup").expect("control groups").flatten().map(|entry| entry.path());
    for hierarchy in hierarchies.chain([Path::new("/sys/fs/cgroup").to_owned()]) {
        let groups = fs::read_dir(hierarchy.join(docker.name()).join("docker")).into_iter().flatten().flatten();
        left.extend(groups.filter(|group| group.path().is_dir()).map(|group| group.path().display().to_string()));
    }
    left
}

/// The layers of the builder; the store keeps them for later runs.
fn with_layers(test: Test) -> Test {
    test.xbuild(["--engine", "native", "toolchain"]).run();
    test
}

#[test]
fn the_machines_engine_in_a_sandbox() {
    let Some(docker) = Docker::of(Release::Current).start() else { return };
    let test = sample("host");
    test.xbuild(["--engine", "native", "binaries"]).env("DOCKER_HOST", docker.endpoint()).run();
    is_built(&test.dist(""));
    assert_eq!(left(&docker), [""; 0]);
}

#[test]
fn an_engine_elsewhere_has_no_socket_for_a_sandbox() {
    let test = with_layers(sample("host"));
    let run = test.xbuild(["--engine", "native", "binaries"]).env("DOCKER_HOST", "tcp://127.0.0.1:1").status(3);
    run.stderr_contains("has no socket on this machine").stderr_contains("--engine docker").run();
}

#[test]
fn a_sandbox_cannot_hold_a_daemon() {
    let test = sample("own").without_builders();
    let run = test.xbuild(["--engine", "native", "binaries"]).status(2);
    run.stderr_contains("binary 'tool': `docker: own`").stderr_contains("--engine docker").run();
    let plan = test.xbuild(["--engine", "docker=unix:///nowhere", "plan"]);
    plan.stdout_contains("  docker      own\n").stdout_contains("DOCKER_HOST=unix:///var/run/docker.sock").run();
}

/// The engine with the builder.
fn into(docker: &Docker) -> String {
    format!("docker={}", docker.endpoint())
}

#[test]
fn the_machines_engine_in_its_container() {
    for (release, files) in [(Release::Oldest, Files::Seen), (Release::Current, Files::Unseen)] {
        let Some(docker) = Docker::of(release).files(files).start() else { return };
        let test = with_layers(sample("host"));
        test.xbuild(["--engine", &into(&docker), "binaries"]).run();
        is_built(&test.dist(""));
        assert_eq!(left(&docker), [""; 0], "{release:?} {files:?}");
    }
}

/// Docker 20.10 has no privileged containers where root lacks a capability, as in some containers and machines for CI.
#[test]
fn an_engine_of_its_own() {
    for files in [Files::Seen, Files::Unseen] {
        let Some(docker) = Docker::of(Release::Current).files(files).start() else { return };
        let test = with_layers(sample("own"));
        test.xbuild(["--engine", &into(&docker), "binaries"]).run();
        is_built(&test.dist(""));
        assert_eq!(left(&docker), [""; 0], "{files:?}");
    }
}

#[test]
fn podmans_engine_in_its_container() {
    let Some(podman) = Podman::start(Identity::Own, Files::Seen) else { return };
    let test = with_layers(sample("host"));
    test.xbuild(["--engine", &format!("docker={}", podman.endpoint()), "binaries"]).run();
    is_built(&test.dist(""));
}

#[test]
fn an_engine_of_its_own_in_podman() {
    let Some(podman) = Podman::start(Identity::Own, Files::Seen) else { return };
    let test = with_layers(sample("own"));
    test.xbuild(["--engine", &format!("docker={}", podman.endpoint()), "binaries"]).run();
    is_built(&test.dist(""));
    assert_eq!(
        podman.must(["volume", "ls", "--quiet"]).lines().filter(|name| !name.starts_with("xbuild-cache-")).count(),
        0
    );
}

/// A builder without the daemon is what its definition says here.
#[test]
fn a_daemon_that_does_not_start_tells_why() {
    let Some(docker) = Docker::of(Release::Current).start() else { return };
    let toolchain = include_str!("../../toolchains/debian-trixie.yaml");
    let test = sample("own")
        .file("toolchains/debian-trixie.yaml", toolchain.replace("[docker.io, docker-cli,", "[docker-cli,"));
    let test = with_layers(test);
    let run = test.xbuild(["--engine", &into(&docker), "binaries"]).status(3);
    run.stderr_contains("the Docker daemon in the builder did not start")
        .stderr_contains("failed to execute dockerd")
        .run();
    assert_eq!(left(&docker), [""; 0]);
}

/// A builder's image: all that xbuild itself needs in a container is a shell and a C library.
fn image_with_docker(docker: &Docker) -> String {
    with_layers(sample("host")).xbuild(["--engine", &into(docker), "toolchain"]).run();
    docker.must(["images", "--format", "{{.Repository}}:{{.Tag}}", "xbuild-builder"])
}

/// Its project is in the container alone, and the machine's engine does not see it.
#[test]
fn xbuild_in_a_container_with_the_machines_engine() {
    let Some(docker) = Docker::of(Release::Current).start() else { return };
    let image = image_with_docker(&docker);
    let (test, project) = (sample("host"), docker.work().join("project"));
    fs::create_dir(&project).expect("a folder");
    for name in ["xbuild.yaml", "busybox", ".salt"] {
        fs::copy(test.path().join(name), project.join(name)).expect("a copy");
    }
    fs::copy(env!("CARGO_BIN_EXE_xbuild"), docker.work().join("xbuild")).expect("a copy");
    let options = ["run", "--rm", "--network", "none", "--env", "XBUILD_STORE=/store"];
    let mounts = [
        "--volume",
        "/run/docker.sock:/var/run/docker.sock",
        "--volume",
        "/exchange/xbuild:/xbuild:ro",
        "--volume",
        "/exchange/project:/project",
    ];
    let command = [image.as_str(), "/xbuild", "-C", "/project", "--engine", "docker", "binaries"];
    docker.must([&options[..], &mounts, &command].concat());
    is_built(&project.join("dist"));
    assert_eq!(left(&docker), [""; 0]);
}

/// The daemon beside it sees what it sees; the store is the machine's, so that nothing is built twice.
#[test]
fn xbuild_in_a_container_with_an_engine_of_its_own() {
    const DAEMON: &str = include_str!("../../src/engine/docker/daemon.sh");
    const XBUILD: &str = "/xbuild -C /project --engine docker binaries\n\
                          test -z \"$(docker ps --all --quiet)$(docker volume ls --quiet | grep -v ^xbuild-cache-)\"";
    let Some(docker) = Docker::of(Release::Current).files(Files::Seen).start() else { return };
    let image = image_with_docker(&docker);
    let project = format!(
        "version: 1\nname: sample\narches: [{}]\nbinaries:\n  tool: {{ command: $CC -static -o tool tool.c }}\n",
        host()
    );
    let test = with_layers(Test::new().file("xbuild.yaml", project).file("tool.c", "int main(void) { return 7; }\n"));
    let store = test.store().path().display().to_string();
    let options = ["run", "--rm", "--privileged", "--network", "none", "--volume", "/var/lib/docker", "--env"];
    let mounts = [
        format!("XBUILD_STORE={store}"),
        format!("--volume={store}:{store}"),
        format!("--volume={}:/xbuild:ro", env!("CARGO_BIN_EXE_xbuild")),
        format!("--volume={}:/project", test.path().display()),
    ];
    let script = format!("{DAEMON}\n{XBUILD}");
    let arguments = options.into_iter().chain(mounts.iter().map(String::as_str));
    docker.must(arguments.chain([image.as_str(), "sh", "-euc", &script]));
    assert_eq!(Command::new(test.dist(&format!("{}/tool", host()))).status().expect("a program").code(), Some(7));
    assert_eq!(left(&docker), [""; 0]);
}

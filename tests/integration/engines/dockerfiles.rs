//! Builders that an engine builds from their Dockerfile: what no store and no other engine has.

use std::process::Command;

use super::sample::{left, nothing_stays, on};
use crate::support::{Docker, Files, Imports, Release, Test, host};

const HELLO: &str = "#include <stdio.h>\nint main(void) { puts(\"hello\"); return 0; }\n";

/// A project whose toolchain has a compiler for the machine itself, on a base of this name, with more packages.
fn project(base: &str, packages: &str) -> Test {
    let toolchain = format!(
        "schema: 1\nsummary: \"one compiler\"\nbase:\n  image: \"{base}\"\n  bootstrap: {{ suite: trixie }}\nglibc: \
         \"2.41\"\npackages: [{packages}]\ntargets:\n  cross: {{ packages: [] }}\n  native: {{ packages: [gcc, libc6-dev] \
         }}\nemulator: {{ packages: [qemu-user], program: \"usr/bin/qemu-{{{{ arch.qemu }}}}\" }}\narches: [{0}]\ntools: \
         {{ CC: \"{{{{ arch.triple }}}}-gcc\" }}\n",
        host()
    );
    let project = "version: 1\nname: sample\ntoolchain: one\nbinaries:\n  hello: { command: $CC -g -o hello $PWD/hello.c, \
                   outputs: { hello: hello } }\n";
    Test::new().cold().file("toolchains/one.yaml", toolchain).file("xbuild.yaml", project).file("hello.c", HELLO)
}

/// The sums of the same program with the compiler that xbuild installs itself.
fn native() -> String {
    let project = format!(
        "version: 1\nname: sample\narches: [{}]\nbinaries:\n  hello: {{ command: $CC -g -o hello $PWD/hello.c, outputs: {{ \
         hello: hello }} }}\n",
        host()
    );
    let test = Test::new().file("xbuild.yaml", project).file("hello.c", HELLO);
    test.xbuild(["binaries", "--engine", "native"]).run();
    test.read("SHA256SUMS")
}

fn builds_its_builder(docker: &Docker) {
    docker.import_debian("debian:trixie-slim");
    let endpoint = docker.endpoint();
    let test = project("debian:trixie-slim", "no-such-package");
    let run = on(test.xbuild(["binaries"]), &endpoint).status(1);
    run.stderr_contains("Unable to locate package no-such-package").stderr_contains("builder/one/").run();
    nothing_stays(docker);
    let test = project("debian:trixie-slim", "");
    on(test.xbuild(["binaries"]), &endpoint).run();
    assert_eq!(test.read("SHA256SUMS"), native());
    let output = Command::new(test.dist(&format!("{}/hello", host()))).output().expect("it runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "hello\n");
    assert_eq!(left(docker), [""; 0]);
    // Another store finds it on the engine, by its name.
    let other = project("debian:trixie-slim", "");
    let said = on(other.xbuild(["binaries", "-v"]), &endpoint).run();
    assert!(!said.stderr.contains("apt-get"), "{}", said.stderr);
    assert_eq!(other.read("SHA256SUMS"), test.read("SHA256SUMS"));
}

#[test]
fn the_classic_builder_builds_builders() {
    let Some(docker) = Docker::of(Release::Oldest).files(Files::Seen).start() else { return };
    builds_its_builder(&docker);
}

#[test]
fn buildkit_builds_builders() {
    let Some(docker) = Docker::of(Release::Current).start() else { return };
    builds_its_builder(&docker);
}

/// The native engine takes a builder apart that an engine has, whoever made it there.
#[test]
fn builders_of_an_engine_serve_the_native_one() {
    let Some(docker) = Docker::of(Release::Current).start() else { return };
    docker.import_debian("debian:trixie-slim");
    let endpoint = docker.endpoint();
    let built = project("debian:trixie-slim", "");
    on(built.xbuild(["binaries"]), &endpoint).run();
    let taken = |project: &Test| {
        let run = project.xbuild(["binaries", "-v", "--engine", "native"]).env("DOCKER_HOST", &endpoint);
        let said = run.run().stderr;
        assert!(said.contains("has it") && !said.contains("built    packages/"), "{said}");
        assert_eq!(project.read("SHA256SUMS"), built.read("SHA256SUMS"));
    };
    taken(&project("debian:trixie-slim", ""));
    // One that was made of a store's layers.
    let other = project("debian:trixie-slim", "patch");
    other.xbuild(["toolchain", "--engine", "native"]).run();
    on(other.xbuild(["toolchain"]), &endpoint).run();
    taken(&project("debian:trixie-slim", "patch"));
}

#[test]
fn a_base_that_is_nowhere_is_told_of() {
    let Some(docker) = Docker::of(Release::Current).start() else { return };
    let test = project("localhost:1/debian:trixie-slim", "");
    let run = on(test.xbuild(["binaries"]), &docker.endpoint()).status(4);
    run.stderr_contains("localhost:1/debian:trixie-slim").stderr_contains("docker load").run();
    let run = on(test.xbuild(["binaries", "--offline"]), &docker.endpoint()).status(3);
    run.stderr_contains("--offline forbids downloads").run();
    assert_eq!(left(&docker), [""; 0]);
}

//! The same bytes from every engine, and files that belong to whoever runs xbuild.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::sample::{c_project, left, on, owner, upstream};
use crate::support::{Docker, Files, Identity, Ids, Images, Imports, Network, Podman, Release, Test};

/// Builds natively and on an engine, and compares.
fn same(test: &Test, engine: &dyn Imports, endpoint: &str) {
    test.xbuild(["binaries", "--arch", "s390x", "--engine", "native"]).run();
    let native = test.read("SHA256SUMS");
    // Whatever an earlier run of the tests has built with the engine, of archives too: no command heeds it.
    let salt = format!("SALT={}", UNIX_EPOCH.elapsed().expect("it is later").as_nanos());
    let before = project_files(test);
    on(test.xbuild(["binaries", "--arch", "s390x", "-v", "-e", &salt]), endpoint).run();
    assert_eq!(test.read("SHA256SUMS"), native);
    assert_eq!(left(engine), [""; 0]);
    assert_eq!(project_files(test), before, "a build changes the project");
    let caller = owner(test.path());
    for entry in ignore::WalkBuilder::new(test.dist("")).standard_filters(false).build().flatten() {
        assert_eq!(owner(entry.path()), caller, "{} belongs to another", entry.path().display());
    }
}

/// Everything in the project but its outputs; git refreshes its index whenever it is asked for anything.
fn project_files(test: &Test) -> Vec<(PathBuf, String)> {
    let files = test.snapshot("").into_iter();
    let kept = |path: &Path| ["dist", ".git"].iter().all(|other| !path.starts_with(test.path().join(other)));
    files.filter(|(path, _)| kept(path)).collect()
}

/// Go with a C library, an upstream archive, and a preparation that Go programs see.
fn go_project() -> Test {
    let test = Test::example("pcap-go");
    let (archive, _) = upstream();
    let tool =
        format!("prepare: sh prepare.sh\nbinaries:\n  tool:\n{archive}    libs: [libpcap]\n    components: [go]\n");
    let text = std::fs::read_to_string(test.path().join("xbuild.yaml")).expect("the example has a project file");
    let text = text.replace("binaries:\n", &tool);
    let prepare = "rm pcap_test.go\necho 'package main; func init() { println(\"made\") }' > made.go\n";
    test.file("xbuild.yaml", text).file("prepare.sh", prepare)
}

#[test]
fn docker_of_debian_12_that_sees_the_files() {
    let Some(docker) = Docker::of(Release::Oldest).files(Files::Seen).start() else { return };
    same(&go_project(), &docker, &docker.endpoint());
}

#[test]
fn docker_of_today_that_sees_no_files() {
    let Some(docker) = Docker::of(Release::Current).start() else { return };
    for example in ["netsuite", "tcpdump"] {
        same(&Test::example(example), &docker, &docker.endpoint());
    }
}

#[test]
fn docker_with_images_in_containerd() {
    let Some(docker) = Docker::of(Release::Current).images(Images::OfContainerd).start() else { return };
    same(&c_project(), &docker, &docker.endpoint());
}

#[test]
fn docker_with_other_ids() {
    let docker = Docker::of(Release::Current).files(Files::Seen).ids(Ids::Remapped).network(Network::Own);
    let Some(docker) = docker.start() else { return };
    same(&c_project(), &docker, &docker.endpoint());
}

#[test]
fn docker_of_a_user() {
    let Some(docker) = Docker::of(Release::Current).files(Files::Seen).ids(Ids::OfAUser).start() else { return };
    same(&c_project().user(Identity::Range), &docker, &docker.endpoint());
}

#[test]
fn podman_of_root() {
    let Some(podman) = Podman::start(Identity::Own, Files::Unseen) else { return };
    for example in ["netsuite", "pcap-go", "tcpdump"] {
        same(&Test::example(example), &podman, &podman.endpoint());
    }
}

#[test]
fn podman_of_a_user() {
    let Some(podman) = Podman::start(Identity::Range, Files::Seen) else { return };
    same(&c_project().user(Identity::Range), &podman, &podman.endpoint());
}

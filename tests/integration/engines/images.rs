//! Whole images that engines' own builders build: the same files and configurations as xbuild's own.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use super::sample::{left, nothing_stays, on};
use crate::equality::facts::{Facts, Image};
use crate::support::{
    DEBIAN, Docker, Files, Identity, Images, Imports, Machine, Podman, Reached, Release, Run, Test, host,
    processes_with, tool, unique, wait_until, xbuild_as,
};

/// A shell, from nothing.
const SHELL: &str = "FROM scratch\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\n\
                     RUN mkdir -p /etc /free && chmod 1777 /free && echo root:x:0:0::/:/bin/sh > /etc/passwd && echo root:x:0: > /etc/group\nENV PATH=/bin A=shell\n";

/// What every builder takes.
const TOP: &str = "\
# syntax=docker/dockerfile:1
ARG BASE=shell
FROM nowhere.example/never:1 AS never
RUN false
FROM --platform=$BUILDPLATFORM ${BASE} AS build
ARG TARGETARCH WHO=nobody
COPY . /src/
ADD [\"with blank/data\", \"/with blank/\"]
COPY link/one *.txt /some/
RUN echo \"$WHO for $TARGETARCH\" > /made && ls -R /src > /listed
FROM \\
  shell
COPY --from=build /made /listed /srv/
COPY --from=1 /some/ /some/
COPY --from=files:1 --chown=7:8 /srv/base.txt /
COPY hello /usr/bin/hello
ENV B=$A-$PATH
LABEL org.example.kind=top
WORKDIR /srv
USER 1000:1000
RUN echo of a user > /free/file
SHELL [\"/bin/sh\", \"-euc\"]
RUN echo \"$-\" > /free/shell
HEALTHCHECK --interval=5m CMD true
EXPOSE 80
CMD [\"hello\"]
";

/// A project with an image that another stands on, and a base from elsewhere.
fn project(top: &str, keys: &str, identity: Identity) -> Test {
    let below = Test::new()
        .file(
            "xbuild.yaml",
            format!("version: 1\nname: base\narches: [{}]\nimages:\n  base: {{ dockerfile: b/Dockerfile }}\n", host()),
        )
        .file("b/Dockerfile", "FROM scratch\nCOPY base.txt /srv/\n")
        .file("b/base.txt", "base")
        .without_builders();
    below.xbuild(["images"]).run();
    let test = Test::new()
        .user(identity)
        .without_builders()
        .file(
            "xbuild.yaml",
            format!(
                "version: 1\nname: sample\narches: [{}]\nbases: {{ \"files:1\": {{ layout: ./layout, name: \"base/base:latest\" }} }}\nimages:\n  shell: {{ \
                 dockerfile: shell/Dockerfile }}\n  top: {{ dockerfile: top/Dockerfile, files: {{ hello: ./hello }}, args: {{ \
                 WHO: me, NOBODY: asks }}, labels: {{ org.example.label: value }}{keys} }}\n",
                host()
            ),
        )
        .file("shell/Dockerfile", SHELL)
        .file("top/Dockerfile", top)
        .file("top/.dockerignore", "out\n*.txt\n!in.txt\n")
        .file("top/in.txt", "in")
        .file("top/out.txt", "out")
        .file("top/out", "out")
        .file("top/with blank/data", "data")
        .file("top/folder/one", "one")
        .file("hello", "#!/bin/sh\necho hello\n");
    std::os::unix::fs::symlink("folder", test.path().join("top/link")).expect("a link");
    fs::set_permissions(test.path().join("hello"), fs::Permissions::from_mode(0o755)).expect("its owner may");
    fs::copy(Docker::busybox(), test.path().join("shell/busybox")).expect("a copy");
    let copied = Command::new("cp").arg("-a").arg(below.dist("images")).arg(test.path().join("layout")).status();
    assert!(copied.expect("cp can be run").success());
    identity.own(test.path());
    test
}

fn by_engine<'a>(test: &'a Test, endpoint: &str, more: &[&str]) -> Run<'a> {
    on(test.xbuild_with(&[&["images", "--built-by", "engine"], more].concat()), endpoint)
}

/// What is to be the same whoever builds: everything but which path is in which layer, and the folders that only some
/// builders leave where they have mounted something.
fn facts(test: &Test, name: &str) -> Facts {
    let image = Image::in_layout(&test.dist("images"), &format!("sample/{name}:latest"));
    let mounted = |name: &str| ["/dev ", "/proc ", "/sys "].iter().any(|folder| name.starts_with(folder));
    let layers = |name: &str| name.starts_with("layer") || name == "history";
    image.facts.into_iter().filter(|(name, _)| !mounted(name) && !layers(name)).collect()
}

fn assert_same(engine: &Facts, native: &Facts) {
    let differences: BTreeMap<&String, (Option<&String>, Option<&String>)> = engine
        .keys()
        .chain(native.keys())
        .map(|name| (name, (engine.get(name), native.get(name))))
        .filter(|(_, (engine, native))| engine != native)
        .collect();
    assert!(differences.is_empty(), "engine and xbuild: {differences:#?}");
}

/// The repositories of the engine's images; those without a name are what its builder remembers.
fn images(engine: &dyn Imports) -> Vec<String> {
    let text = engine.client(&["image", "ls", "--all", "--format", "{{.Repository}}"]);
    text.lines().filter(|name| *name != "<none>").map(str::to_owned).collect()
}

/// The same image as natively; nothing stays but the base from elsewhere; and what was built needs no engine.
fn builds(engine: &dyn Imports, endpoint: &str, top: &str, stop: impl FnOnce()) {
    let test = project(top, "", Identity::Own);
    test.xbuild(["images", "--engine", "native"]).run();
    let native = ["shell", "top"].map(|name| facts(&test, name));
    let said = by_engine(&test, endpoint, &["-v"]).run();
    for (name, native) in ["shell", "top"].into_iter().zip(&native) {
        assert_same(&facts(&test, name), native);
    }
    assert!(said.stderr.contains("builds it"), "{}", said.stderr);
    assert_eq!(images(engine), ["localhost/xbuild-base"]);
    assert_eq!(left(engine), [""; 0]);
    let first = test.read("images/index.json");
    let fact = facts(&test, "top");
    assert!(fact["config.Labels"].contains("org.example.label"), "{fact:?}");
    stop();
    let said = by_engine(&test, endpoint, &["-v"]).run();
    assert!(said.stderr.contains("image/top") && !said.stderr.contains("builds it"), "{}", said.stderr);
    assert_eq!(test.read("images/index.json"), first);
    // Labels are none of the engine's business.
    let text = fs::read_to_string(test.path().join("xbuild.yaml")).expect("a text");
    test.write("xbuild.yaml", text.replace("org.example.label: value", "org.example.label: other"));
    by_engine(&test, endpoint, &[]).run();
    let labelled = facts(&test, "top");
    assert!(labelled["config.Labels"].contains("other"), "{labelled:?}");
}

#[test]
fn by_the_classic_builder() {
    let Some(docker) = Docker::of(Release::Oldest).start() else { return };
    builds(&docker, &docker.endpoint(), TOP, || docker.kill_daemon());
}

#[test]
fn by_buildkit() {
    let Some(docker) = Docker::of(Release::Current).start() else { return };
    let more = "USER 0\nRUN --mount=type=bind,target=/m --mount=type=cache,target=/c cp /m/in.txt /mounted\nRUN \
                --mount=type=bind,source=folder,target=/m --mount=from=files:1,target=/n cp /m/one /n/srv/base.txt /free/\nCOPY \
                --chmod=600 --link <<E /doc\nof $A\nE\n";
    builds(&docker, &docker.endpoint(), &format!("{TOP}{more}"), || docker.kill_daemon());
}

#[test]
fn by_buildkit_with_images_in_containerd() {
    let Some(docker) = Docker::of(Release::Current).images(Images::OfContainerd).start() else { return };
    builds(&docker, &docker.endpoint(), TOP, || docker.kill_daemon());
}

#[test]
fn by_podman() {
    let Some(podman) = Podman::start(Identity::Own, Files::Unseen) else { return };
    builds(&podman, &podman.endpoint(), TOP, || {});
}

/// A base of an architecture that the engine's machine does not run is of use until something is run in it.
#[test]
fn for_another_architecture() {
    let Some(docker) = Docker::of(Release::Current).start() else { return };
    let project = "version: 1\nname: sample\narches: [arm, s390x]\nimages:\n  below: { dockerfile: below/Dockerfile }\n  top: { \
                   dockerfile: top/Dockerfile, tests: [test.yaml] }\n";
    let test = Test::new()
        .without_builders()
        .file("xbuild.yaml", project)
        .file(
            "test.yaml",
            "schemaVersion: 2.0.0\nfileExistenceTests: [{ name: one, path: /data, shouldExist: true }]\n",
        )
        .file(
            "below/Dockerfile",
            "FROM scratch\nARG TARGETARCH BUILDARCH\nENV FOR=$TARGETARCH ON=$BUILDARCH\nCOPY data /\n",
        )
        .file("below/data", "data")
        .file("top/Dockerfile", "FROM below\nCOPY more /more\n")
        .file("top/more", "more");
    test.xbuild(["images", "--engine", "native"]).run();
    let of = |arch: &str| facts(&test, &format!("top-{arch}"));
    let native = ["arm", "s390x"].map(of);
    by_engine(&test, &docker.endpoint(), &[]).run();
    assert_same(&of("arm"), &native[0]);
    assert_same(&of("s390x"), &native[1]);
    // The head of a program for s390x.
    let program = [&b"\x7fELF\x02\x02\x01\0\0\0\0\0\0\0\0\0\0\x02\0\x16\0\0\0\x01"[..], &[0; 104]].concat();
    test.write("top/more", program);
    fs::set_permissions(test.path().join("top/more"), fs::Permissions::from_mode(0o755)).expect("its owner may");
    test.write("top/Dockerfile", "FROM below\nCOPY more /more\nRUN [\"/more\"]\n");
    let run = by_engine(&test, &docker.endpoint(), &["--arch", "s390x"]).status(3);
    run.stderr_contains("cannot run programs for s390x").stderr_contains("--builders linux/s390x=ENDPOINT").run();
    assert_eq!(images(&docker), [""; 0]);
    // The engine for an architecture may be another than the one for the rest.
    test.write("top/Dockerfile", "FROM below\nCOPY more /less\n");
    let builders = format!("linux/s390x={}", docker.endpoint());
    let arguments =
        ["images", "--arch", "s390x", "--built-by", "engine", "--engine", "native", "--builders", &builders];
    test.xbuild(arguments).run();
    test.write(
        "test.yaml",
        "schemaVersion: 2.0.0\nfileExistenceTests: [{ name: one, path: /gone, shouldExist: true }]\n",
    );
    by_engine(&test, &docker.endpoint(), &[]).status(1).stderr_contains("does not pass its tests").run();
}

#[test]
fn for_another_architecture_by_the_classic_builder() {
    let Some(docker) = Docker::of(Release::Oldest).start() else { return };
    let below = Test::new()
        .file("xbuild.yaml", "version: 1\nname: base\narches: [arm]\nimages:\n  base: { dockerfile: b/Dockerfile }\n")
        .file("b/Dockerfile", "FROM scratch\nCOPY base.txt /srv/\n")
        .file("b/base.txt", "base")
        .without_builders();
    below.xbuild(["images"]).run();
    let project = "version: 1\nname: sample\narches: [arm]\nbases: { \"files:1\": { layout: ./layout, name: \
                   \"base/base:latest\" } }\nimages: { top: { dockerfile: top/Dockerfile } }\n";
    let test = Test::new()
        .without_builders()
        .file("xbuild.yaml", project)
        .file(
            "top/Dockerfile",
            "FROM scratch AS none\nFROM files:1\nARG TARGETPLATFORM\nENV FOR=$TARGETPLATFORM\nCOPY more /more\n",
        )
        .file("top/more", "more");
    std::os::unix::fs::symlink(below.dist("images"), test.path().join("layout")).expect("a link");
    test.xbuild(["images", "--engine", "native"]).run();
    let native = facts(&test, "top");
    by_engine(&test, &docker.endpoint(), &[]).run();
    assert_same(&facts(&test, "top"), &native);
    test.write("top/Dockerfile", "FROM scratch\nCOPY more /more\n");
    let run = by_engine(&test, &docker.endpoint(), &[]).status(2);
    run.stderr_contains("top/Dockerfile:1:6: FROM scratch for arm needs BuildKit").run();
}

#[test]
fn on_a_bootstrapped_base() {
    let Some(docker) = Docker::of(Release::Current).start() else { return };
    let project = format!(
        "version: 1\nname: sample\narches: [{}]\nbases:\n{DEBIAN}images:\n  top: {{ dockerfile: top/Dockerfile }}\n",
        host()
    );
    let dockerfile = "FROM debian:bookworm-slim\nRUN dpkg-query -W > /packages && useradd -M me\nUSER me\n";
    let test = Test::new().file("xbuild.yaml", project).file("top/Dockerfile", dockerfile);
    by_engine(&test, &docker.endpoint(), &[]).run();
    let facts = facts(&test, "top");
    assert_eq!(facts["config.User"], "\"me\"");
    assert!(facts.contains_key("/packages content") && facts.contains_key("/usr/bin/dpkg mode"));
    assert_eq!(images(&docker), ["localhost/xbuild-base"]);
}

/// What is built goes to the machine and comes back, over either connection.
#[test]
fn on_another_machine() {
    let Some(machine) = Machine::start() else { return };
    let config = tempfile::tempdir().expect("a folder");
    machine.context(config.path(), "tls", Reached::ByTls);
    machine.context(config.path(), "ssh", Reached::BySsh);
    Machine::ssh_client(config.path(), &[&machine]);
    let path = format!("{}:{}", config.path().display(), std::env::var("PATH").expect("there are programs"));
    let test = project(TOP, "", Identity::Own);
    test.xbuild(["images", "--engine", "native"]).run();
    let native = facts(&test, "top");
    for builder in ["tls", "ssh"] {
        let builders = format!("linux/{}={builder}", host());
        let run = test.xbuild(["images", "--no-cache", "--built-by", "engine", "--builders", &builders]);
        run.env("DOCKER_CONFIG", config.path()).env("PATH", &path).run();
        assert_same(&facts(&test, "top"), &native);
        assert_eq!(images(&machine), ["localhost/xbuild-base"]);
    }
}

/// An ordinary user needs no namespace of users for it.
#[test]
fn as_an_ordinary_user() {
    let Some(podman) = Podman::start(Identity::Range, Files::Unseen) else { return };
    let test = project(TOP, "", Identity::Range);
    by_engine(&test, &podman.endpoint(), &[]).run();
    assert_eq!(facts(&test, "top")["/srv/made content"], "\"me for amd64\\n\"".replace("amd64", host()));
}

/// Where the kernel allows no sandbox, an error says who else can do it; and that one does.
#[test]
fn without_sandboxes() {
    let Some(docker) = Docker::of(Release::Current).start() else { return };
    let test = project(TOP, "", Identity::Own);
    let run = |arguments: &[&str]| {
        let forbid = "echo 0 > /proc/sys/user/max_user_namespaces && exec \"$@\"";
        let xbuild = xbuild_as(Identity::Own);
        let mut command = Command::new(tool("unshare"));
        command.args(["--user", "--map-root-user", "sh", "-euc", forbid, "sh"]).arg(xbuild.get_program());
        command.arg("-C").arg(test.path()).arg("images").args(arguments).env("XBUILD_STORE", test.store().path());
        let output = command.stdin(Stdio::null()).output().expect("it can be run");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = run(&["--engine", "native"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("hint: `--built-by engine --engine docker`"), "{said}");
    let (code, said) = run(&["--built-by", "engine", "--engine", &format!("docker={}", docker.endpoint())]);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn what_a_builder_cannot_do_is_told_of() {
    let Some(docker) = Docker::of(Release::Oldest).start() else { return };
    let endpoint = docker.endpoint();
    let top = |top: &str| project(&format!("FROM shell\n{top}"), "", Identity::Own);
    for (text, words) in [
        (
            "RUN --mount=type=secret,id=x true\n",
            &["top/Dockerfile:2:13: an engine's builder is given no secrets", "hint:"][..],
        ),
        ("RUN --mount=type=ssh true\n", &["is given no SSH agents"]),
        (
            "RUN true\nRUN --mount=type=cache,target=/c true\n",
            &["top/Dockerfile:3:13: RUN --mount needs BuildKit", "20.10"],
        ),
        ("RUN <<E\ntrue\nE\n", &["a here-document needs BuildKit"]),
        ("COPY --chmod=600 in.txt /\n", &["COPY --chmod needs BuildKit"]),
        ("COPY absent /\n", &["'absent' is not in the build context"]),
    ] {
        let test = top(text);
        let mut run = by_engine(&test, &endpoint, &[]).status(2);
        for words in words {
            run = run.stderr_contains(*words);
        }
        run.run();
    }
    let test = top("RUN echo said; exit 7\n");
    let run = by_engine(&test, &endpoint, &[]).status(1);
    run.stderr_contains("top/Dockerfile").stderr_contains("returned a non-zero code: 7").stderr_contains("said").run();
    assert_eq!(images(&docker), [""; 0]);
    nothing_stays(&docker);
    let test = top("ADD https://localhost:1/x /\n");
    by_engine(&test, &endpoint, &["--offline"]).status(3).stderr_contains("top/Dockerfile:2:5: an engine would").run();
    for engine in ["native", "host"] {
        let run = test.xbuild(["images", "--built-by", "engine", "--engine", engine]).status(2);
        run.stderr_contains("has no builder of images").stderr_contains("hint: --engine docker").run();
    }
}

#[test]
fn without_a_network_and_without_the_cache() {
    let Some(docker) = Docker::of(Release::Current).start() else { return };
    let test = project(
        "FROM shell\nRUN ip link > /links && cat /proc/sys/kernel/random/uuid > /uuid\n",
        ", network: false",
        Identity::Own,
    );
    let endpoint = docker.endpoint();
    by_engine(&test, &endpoint, &[]).run();
    let links = facts(&test, "top");
    by_engine(&test, &endpoint, &[]).run();
    assert_same(&facts(&test, "top"), &links);
    by_engine(&test, &endpoint, &["--no-cache"]).run();
    assert_ne!(facts(&test, "top"), links);
    let saved = test.path().join("root.tar");
    by_engine(&test, &endpoint, &["top", "--output", &format!("type=tar,dest={}", saved.display())]).run();
    let mut archive = tar::Archive::new(fs::File::open(saved).expect("an archive"));
    let mut entries = archive.entries().expect("entries").map(|entry| entry.expect("an entry"));
    let mut found = entries.find(|entry| entry.path().expect("a path").ends_with("links")).expect("it is there");
    let mut text = String::new();
    std::io::Read::read_to_string(&mut found, &mut text).expect("a text");
    assert_eq!(text.lines().filter(|line| !line.starts_with(' ')).count(), 1, "{text}");
}

#[test]
fn a_stopped_build_leaves_nothing() {
    let Some(docker) = Docker::of(Release::Oldest).start() else { return };
    let mark = format!("300.{}", unique());
    let test = project(&format!("FROM shell\nRUN sleep {mark}\n"), "", Identity::Own);
    for signal in [nix::sys::signal::Signal::SIGINT, nix::sys::signal::Signal::SIGKILL] {
        let mut child = by_engine(&test, &docker.endpoint(), &[]).start();
        wait_until("the command", || !processes_with(&mark).is_empty());
        let id = nix::unistd::Pid::from_raw(i32::try_from(child.id()).expect("a number"));
        nix::sys::signal::kill(id, signal).expect("it is there");
        child.wait().expect("it ends");
        wait_until("the end of the command", || processes_with(&mark).is_empty());
        nothing_stays(&docker);
    }
    // What the killed one has left goes with the next run.
    test.write("top/Dockerfile", "FROM shell\nRUN true\n");
    by_engine(&test, &docker.endpoint(), &[]).run();
    assert_eq!(images(&docker), [""; 0]);
}

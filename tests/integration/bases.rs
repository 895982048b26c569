//! Base images that need no registry: from a folder in the OCI layout, and made of a distribution's packages.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::support::{DEBIAN, Identity, Test, host, tool};

fn project(bases: &str, from: &str) -> Test {
    Test::new()
        .file(
            "xbuild.yaml",
            format!(
                "version: 1\nname: sample\narches: [{}, s390x]\nbases:\n{bases}images:\n  top: {{ name: example/top, \
                 dockerfile: top/Dockerfile }}\n",
                host()
            ),
        )
        .file("top/Dockerfile", format!("FROM {from}\nCOPY top.txt /srv/top.txt\n"))
        .file("top/top.txt", "top")
}

fn run(command: &mut Command) -> Vec<u8> {
    let output = command.output().expect("it can be run");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A project whose base is in `bases/files`, a layout as skopeo writes it, with a name or without one.
fn with_layout(name: Option<&str>, keys: &str) -> Test {
    let below = Test::new()
        .file(
            "xbuild.yaml",
            format!(
                "version: 1\nname: base\narches: [{}, s390x]\nimages:\n  base: {{ dockerfile: base/Dockerfile }}\n",
                host()
            ),
        )
        .file("base/Dockerfile", "FROM scratch\nARG TARGETARCH\nENV FOR=$TARGETARCH\nCOPY base.txt /srv/\n")
        .file("base/base.txt", "base")
        .without_builders();
    below.xbuild(["images"]).run();
    let test = project(&format!("  \"files:1\": {{ layout: ./bases/files{keys} }}\n"), "files:1").without_builders();
    fs::create_dir_all(test.path().join("bases")).expect("a folder");
    let from = format!("oci:{}:base/base:latest", below.dist("images").display());
    let to = test.path().join("bases/files");
    let to = format!("oci:{}{}", to.display(), name.map(|name| format!(":{name}")).unwrap_or_default());
    run(Command::new(tool("skopeo")).args(["copy", "--all", &from, &to]));
    test
}

fn config(test: &Test, arch: &str) -> Value {
    let place = format!("oci:{}:example/top-{arch}:latest", test.dist("images").display());
    serde_json::from_slice(&run(Command::new(tool("skopeo")).args(["inspect", "--config", &place]))).expect("JSON")
}

#[test]
fn a_layout_gives_each_architecture_its_own() {
    for (name, keys) in
        [(None, ""), (Some("other:2"), ""), (Some("other:2"), ", name: \"other:2\""), (Some("files:1"), "")]
    {
        let test = with_layout(name, keys);
        let before = test.snapshot("bases");
        test.xbuild(["images"]).run();
        for arch in [host(), "s390x"] {
            let env = config(&test, arch)["config"]["Env"].to_string();
            assert!(env.contains(&format!("FOR={arch}")), "{name:?} {keys}: {env}");
        }
        assert_eq!(test.snapshot("bases"), before, "the layout is the user's");
        test.xbuild(["plan"]).stdout_contains("base/files:1/s390x\n  cached").run();
    }
}

#[test]
fn a_layout_that_is_not_whole_is_refused() {
    let test = with_layout(Some("other:2"), ", name: \"absent:1\"");
    test.xbuild(["images"]).status(2).stderr_contains("has no image 'absent:1'").stderr_contains("other:2").run();

    // The largest blob is the layer of none: all are small. One byte of each is turned.
    let test = with_layout(None, "");
    let blobs = test.path().join("bases/files/blobs/sha256");
    for entry in fs::read_dir(&blobs).expect("blobs").flatten() {
        let mut bytes = fs::read(entry.path()).expect("a blob");
        if bytes.starts_with(&[0x1f, 0x8b]) {
            bytes[12] ^= 1;
            fs::write(entry.path(), bytes).expect("a blob");
        }
    }
    test.xbuild(["images"]).status(3).stderr_contains("expected sha256:").run();

    let test = with_layout(None, "");
    let blobs = test.path().join("bases/files/blobs/sha256");
    for entry in fs::read_dir(&blobs).expect("blobs").flatten() {
        let aside = test.path().join("aside").join(entry.file_name());
        fs::create_dir_all(aside.parent().expect("a folder")).expect("a folder");
        fs::rename(entry.path(), &aside).expect("it moves");
        std::os::unix::fs::symlink(&aside, entry.path()).expect("a link");
    }
    test.xbuild(["images"]).status(3).stderr_contains("is no plain file").run();

    let test = project("  \"files:1\": { layout: ./bases/none }\n", "files:1").without_builders();
    test.xbuild(["images"]).status(2).stderr_contains("is no folder in the OCI image layout").run();
}

#[test]
fn a_base_says_one_thing() {
    for (keys, said) in [
        ("layout: ./a, image: b", "it says more than one thing"),
        ("layout: ../a", "not a path below the project"),
        ("name: a", "'name' goes with 'layout'"),
        ("image: \"A b\"", "not the name of an image"),
        ("bootstrap: { suite: trixie, packges: [a] }", "did you mean 'packages'"),
        ("bootstrap: { suite: trixie, variant: minibase }", "did you mean 'minbase'"),
        ("", "does not say where it comes from"),
    ] {
        let test = project(&format!("  \"x:1\": {{ {keys} }}\n"), "x:1").without_builders();
        test.xbuild(["plan"]).status(2).stderr_contains(said).run();
    }
    let test = project("  \"x\": { image: \"a:1\" }\n  \"docker.io/library/x:latest\": { image: \"a:1\" }\n", "x");
    test.without_builders().xbuild(["plan"]).status(2).stderr_contains("stands twice").run();
}

/// The blob of the lowest layer of an architecture's image.
fn lowest_layer(test: &Test, arch: &str) -> std::path::PathBuf {
    let place = format!("oci:{}:example/top-{arch}:latest", test.dist("images").display());
    let manifest: Value =
        serde_json::from_slice(&run(Command::new(tool("skopeo")).args(["inspect", "--raw", &place]))).expect("JSON");
    let digest = manifest["layers"][0]["digest"].as_str().expect("a digest").to_owned();
    test.dist("images/blobs/sha256").join(digest.trim_start_matches("sha256:"))
}

fn member(layer: &std::path::Path, path: &str) -> Vec<u8> {
    run(Command::new(tool("tar")).arg("-xzOf").arg(layer).arg(path))
}

#[test]
fn debian_is_made_of_packages_for_each_architecture() {
    let test = project(DEBIAN, "debian:bookworm-slim").cold();
    test.xbuild(["images"]).run();
    for (arch, debian, machine) in [(host(), host(), None), ("s390x", "s390x", Some(22))] {
        let layer = lowest_layer(&test, arch);
        let list = String::from_utf8(run(Command::new(tool("tar")).arg("-tzf").arg(&layer))).expect("UTF-8");
        for path in
            ["usr/bin/apt-get", "etc/passwd", "etc/apt/sources.list.d/debian.sources", "usr/share/doc/bash/copyright"]
        {
            assert!(list.lines().any(|line| line == path), "{arch}: no {path}");
        }
        for start in [
            "usr/share/man/man1/bash.1",
            "usr/share/locale/de",
            "usr/share/doc/bash/README",
            "var/lib/apt/lists/deb",
            "etc/resolv.conf",
        ] {
            assert!(!list.lines().any(|line| line.starts_with(start) && line != start), "{arch}: {start}");
        }
        let status = String::from_utf8(member(&layer, "var/lib/dpkg/status")).expect("UTF-8");
        assert!(status.contains("Package: bash\n") && status.contains(&format!("Architecture: {debian}\n")));
        assert!(
            status
                .lines()
                .filter(|line| line.starts_with("Status:"))
                .all(|line| line == "Status: install ok installed")
        );
        let sources = String::from_utf8(member(&layer, "etc/apt/sources.list.d/debian.sources")).expect("UTF-8");
        assert!(sources.contains("URIs: ") && sources.contains("\nSuites: bookworm\n"), "{sources}");
        assert!(!sources.contains("Architectures"), "others can be added with dpkg --add-architecture: {sources}");
        if let Some(machine) = machine {
            let program = member(&layer, "usr/bin/dash");
            assert_eq!(u16::from_be_bytes([program[18], program[19]]), machine);
        }
        assert_eq!(config(&test, arch)["architecture"], arch);
    }
    test.xbuild(["plan"]).stdout_contains("base/debian:bookworm-slim/s390x\n  cached").run();
    test.xbuild(["--offline", "images"]).run();
    test.xbuild(["cache", "fsck"]).stdout_contains("sound").run();
}

#[test]
fn whoever_bootstraps_gets_the_same() {
    let mut found = Vec::new();
    for identity in [Identity::Own, Identity::Range, Identity::Single] {
        if !identity.possible() {
            continue;
        }
        let test = project(DEBIAN, "debian:bookworm-slim").user(identity).cold();
        let umask = if identity == Identity::Own { 0o022 } else { 0o077 };
        test.xbuild(["images", "--arch", host()]).umask(umask).run();
        found.push((identity, lowest_layer(&test, host()).file_name().expect("a name").to_owned()));
    }
    for (identity, layer) in &found {
        assert_eq!(layer, &found[0].1, "{identity:?} and {:?}", found[0].0);
    }
}

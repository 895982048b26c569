//! Images, as skopeo and umoci see them.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::support::{Test, host, tool};

fn project() -> String {
    format!(
        "version: 1\nname: sample\narches: [{}, s390x]\nbinaries:\n  hello:\n    command: $CC -static -o hello hello.c\n    outputs: {{ \
         hello: hello }}\n    static: true\nimages:\n  hello:\n    name: example/hello\n    tags: [\"1.0\", latest]\n    dockerfile: \
         images/Dockerfile\n    files: {{ hello: binaries/hello, data: ./data }}\n    args: {{ WHO: \"{{{{ arch.name }}}}\" }}\n    labels: \
         {{ org.example.kind: test }}\n",
        host()
    )
}

const DOCKERFILE: &str = "\
FROM scratch
ARG WHO=nobody
COPY hello /usr/bin/hello
COPY data /srv/data/
ENV WHO=$WHO PATH=/usr/bin
LABEL org.example.who=\"$WHO\"
WORKDIR /srv
USER 65532:65532
EXPOSE 80/tcp
ENTRYPOINT [\"/usr/bin/hello\"]
CMD [\"world\"]
";

fn sample() -> Test {
    Test::new()
        .file("xbuild.yaml", project())
        .file("images/Dockerfile", DOCKERFILE)
        .file("data/one", "1")
        .file("data/two", "2")
        .file("hello.c", "#include <stdio.h>\nint main(void) { puts(\"hello\"); return 0; }\n")
}

fn output(command: &mut Command) -> Vec<u8> {
    let output = command.output().expect("it can be run");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn skopeo(test: &Test, arguments: &[&str], name: &str) -> Value {
    let place = format!("oci:{}:{name}", test.dist("images").display());
    let text = output(Command::new(tool("skopeo")).arg("inspect").args(arguments).arg(place));
    serde_json::from_slice(&text).expect("skopeo prints JSON")
}

#[test]
fn skopeo_reads_the_index_and_what_it_lists() {
    let test = sample().git();
    let said = test.xbuild(["images"]).run();
    for tag in ["1.0", "latest"] {
        let name = format!("example/hello:{tag}");
        let index = skopeo(&test, &["--raw"], &name);
        assert_eq!(index["mediaType"], "application/vnd.oci.image.index.v1+json");
        let platforms: Vec<String> = index["manifests"]
            .as_array()
            .expect("manifests")
            .iter()
            .map(|manifest| {
                format!("{}/{}", manifest["platform"]["os"], manifest["platform"]["architecture"]).replace('"', "")
            })
            .collect();
        let mut expected = vec![format!("linux/{}", host()), "linux/s390x".into()];
        expected.sort();
        let mut found = platforms.clone();
        found.sort();
        assert_eq!(found, expected);
        assert!(said.stdout.contains(&format!("{name}@sha256:")), "{}", said.stdout);
    }
    for arch in [host(), "s390x"] {
        let config =
            skopeo(&test, &["--config", "--override-os", "linux", "--override-arch", arch], "example/hello:1.0");
        assert_eq!(config["architecture"], arch);
        assert_eq!(config["os"], "linux");
        let inner = &config["config"];
        assert_eq!(inner["Entrypoint"], serde_json::json!(["/usr/bin/hello"]));
        assert_eq!(inner["Cmd"], serde_json::json!(["world"]));
        assert_eq!(inner["User"], "65532:65532");
        assert_eq!(inner["WorkingDir"], "/srv");
        assert!(inner["ExposedPorts"]["80/tcp"].is_object());
        let env: Vec<&str> = inner["Env"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
        assert!(env.contains(&format!("WHO={arch}").as_str()) && env.contains(&"PATH=/usr/bin"), "{env:?}");
        let labels = &inner["Labels"];
        assert_eq!(labels["org.example.who"], arch);
        assert_eq!(labels["org.example.kind"], "test");
        assert_eq!(labels["org.opencontainers.image.title"], "hello");
        for label in ["revision", "created", "version"] {
            let value = labels[format!("org.opencontainers.image.{label}")].as_str();
            assert!(value.is_some_and(|value| !value.is_empty()), "label {label} in {labels}");
        }
        assert_eq!(labels["org.opencontainers.image.created"], "2024-01-02T03:04:05Z");
    }
    // What each architecture is called by itself.
    let config = skopeo(&test, &["--config"], "example/hello-s390x:1.0");
    assert_eq!(config["architecture"], "s390x");
}

#[test]
fn skopeo_copies_everything() {
    let test = sample();
    test.xbuild(["images"]).run();
    let place = format!("oci:{}:example/hello:1.0", test.dist("images").display());
    let copy = format!("oci:{}:copy", test.path().join("copy").display());
    // Reads every blob of every architecture, and compares its digest.
    output(Command::new(tool("skopeo")).args(["copy", "--all", &place, &copy]));
}

#[test]
fn umoci_unpacks_what_was_copied() {
    let test = sample();
    test.xbuild(["images"]).run();
    for arch in [host(), "s390x"] {
        let image = format!("{}:example/hello-{arch}:1.0", test.dist("images").display());
        let bundle = test.path().join(format!("bundle-{arch}"));
        let mut command = Command::new(tool("umoci"));
        command.args(["unpack", "--image", &image]).arg(&bundle);
        if !nix::unistd::Uid::effective().is_root() {
            command.arg("--rootless");
        }
        output(&mut command);
        let root = bundle.join("rootfs");
        let program = fs::read(root.join("usr/bin/hello")).expect("the program is in the image");
        assert_eq!(program, fs::read(test.dist(&format!("{arch}/hello"))).expect("and in dist"));
        assert_eq!(fs::metadata(root.join("usr/bin/hello")).expect("it is there").mode() & 0o7777, 0o755);
        assert_eq!(fs::read_to_string(root.join("srv/data/two")).expect("a file"), "2");
        let config: Value =
            serde_json::from_slice(&fs::read(bundle.join("config.json")).expect("a file")).expect("JSON");
        assert_eq!(config["process"]["args"], serde_json::json!(["/usr/bin/hello", "world"]));
    }
}

fn blobs(test: &Test) -> Vec<(PathBuf, (i64, i64, u64))> {
    let mut found: Vec<_> = fs::read_dir(test.dist("images/blobs/sha256"))
        .expect("blobs")
        .flatten()
        .map(|entry| {
            let metadata = entry.metadata().expect("it is there");
            (entry.path(), (metadata.mtime(), metadata.mtime_nsec(), metadata.ino()))
        })
        .collect();
    found.sort();
    found
}

fn layers(test: &Test, arch: &str) -> Vec<String> {
    let manifest = skopeo(test, &["--raw"], &format!("example/hello-{arch}:1.0"));
    let layers = manifest["layers"].as_array().expect("layers");
    layers.iter().map(|layer| layer["digest"].as_str().expect("a digest").to_owned()).collect()
}

#[test]
fn a_layer_that_did_not_change_is_not_written_again() {
    let test = sample();
    test.xbuild(["images"]).run();
    let (before, blobs_before) = (layers(&test, "s390x"), blobs(&test));
    test.xbuild(["images"]).run();
    assert_eq!(blobs(&test), blobs_before, "nothing changed, so nothing is written");
    test.write("data/two", "changed");
    test.xbuild(["images"]).run();
    let (after, blobs_after) = (layers(&test, "s390x"), blobs(&test));
    assert_eq!(before.len(), after.len());
    let same: Vec<&String> = before.iter().filter(|layer| after.contains(layer)).collect();
    assert!(!same.is_empty() && same.len() < before.len(), "one of the layers changed: {before:?} {after:?}");
    for layer in same {
        let hex = layer.strip_prefix("sha256:").expect("sha256");
        let find = |blobs: &[(PathBuf, (i64, i64, u64))]| blobs.iter().find(|(path, _)| path.ends_with(hex)).cloned();
        assert_eq!(
            find(&blobs_before).expect("it was there"),
            find(&blobs_after).expect("it is there"),
            "it was written again"
        );
    }
}

#[test]
fn a_command_without_a_shell_is_told_with_its_line() {
    let test = sample().file("images/Dockerfile", "FROM scratch\nCOPY hello /\nRUN echo hello\n");
    let run = test.xbuild(["images"]).status(1).stdout("");
    run.stderr_contains("images/Dockerfile:3:1: RUN echo hello: exit code 127").run();
}

#[test]
fn wrong_dockerfiles_are_told_with_their_lines() {
    for (text, parts) in [
        ("FROM scratch\nCPOY hello /\n", ["CPOY", ":2"]),
        ("FROM scratch\nCOPY absent /\n", ["absent", ":2:1"]),
        ("COPY hello /\n", ["FROM", ":1"]),
        ("", ["FROM", "Dockerfile"]),
    ] {
        let test = sample().file("images/Dockerfile", text);
        let code = test.xbuild(["images", "--arch", "s390x"]);
        let mut child = code.start();
        let status = child.wait().expect("it ends").code().expect("no signal");
        assert!(status == 1 || status == 2, "{text:?}: exit code {status}");
        let said = test.xbuild(["images", "--arch", "s390x"]).status(status).run();
        for part in parts {
            assert!(said.stderr.contains(part), "{text:?}: no {part:?} in {}", said.stderr);
        }
    }
}

#[test]
fn an_image_with_a_failed_architecture_has_no_index() {
    let test =
        sample().file("hello.c", "#if defined(__s390x__)\n#error not here\n#endif\nint main(void) { return 0; }\n");
    let said = test.xbuild(["images"]).status(1).stderr_contains("not here").run();
    assert!(!said.stdout.contains("example/hello:1.0"), "{}", said.stdout);
    let index: Value = serde_json::from_str(&test.read("images/index.json")).expect("JSON");
    let names: Vec<&str> = index["manifests"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|manifest| manifest["annotations"]["org.opencontainers.image.ref.name"].as_str())
        .collect();
    assert!(names.contains(&format!("example/hello-{}:1.0", host()).as_str()), "{names:?}");
    assert!(!names.iter().any(|name| name.contains("s390x")), "{names:?}");
    assert!(!names.contains(&"example/hello:1.0"), "{names:?}");
}

#[test]
fn a_failure_takes_an_old_index_away() {
    let test = sample();
    test.xbuild(["images"]).run();
    test.write("hello.c", "#if defined(__s390x__)\n#error not here\n#endif\nint main(void) { return 0; }\n");
    test.xbuild(["images"]).status(1).run();
    let text = test.read("images/index.json");
    let index: Value = serde_json::from_str(&text).expect("JSON");
    for manifest in index["manifests"].as_array().expect("a list") {
        let name = manifest["annotations"]["org.opencontainers.image.ref.name"].as_str().unwrap_or_default();
        assert!(name != "example/hello:1.0", "an old image would be taken for the new one: {text}");
        assert!(!name.contains("s390x"), "an old image would be taken for the new one: {text}");
    }
}

#[test]
fn images_build_on_each_other() {
    let project = format!(
        "version: 1\nname: sample\narches: [{}, s390x]\nimages:\n  base: {{ dockerfile: base/Dockerfile }}\n  top: {{ dockerfile: \
         top/Dockerfile }}\n",
        host()
    );
    let test = Test::new()
        .without_builders()
        .file("xbuild.yaml", project)
        .file("base/Dockerfile", "FROM scratch\nCOPY low /low\nENV LOW=1\n")
        .file("base/low", "low")
        .file("top/Dockerfile", "FROM base\nCOPY high /high\n")
        .file("top/high", "high");
    test.xbuild(["images", "top"]).run();
    let base = skopeo(&test, &["--raw"], "sample/base-s390x:latest");
    let top = skopeo(&test, &["--raw"], "sample/top-s390x:latest");
    assert_eq!(base["layers"][0], top["layers"][0]);
    assert_eq!(top["layers"].as_array().map(Vec::len), Some(2));
    let config = skopeo(&test, &["--config"], "sample/top-s390x:latest");
    assert!(config["config"]["Env"].as_array().expect("a list").contains(&"LOW=1".into()));
    test.write("base/Dockerfile", "FROM top\n");
    test.xbuild(["images"]).status(2).stderr_contains("built on itself").run();
}

/// What git writes into a checkout has the modes that the mask of whoever checks out leaves.
#[test]
fn a_checkout_under_another_mask_gives_the_same_layers() {
    let checkout = |mask: u32| {
        let text = format!(
            "version: 1\nname: sample\narches: [{}]\nimages:\n  data:\n    dockerfile: images/Dockerfile\n    context: .\n",
            host()
        );
        let test = Test::new()
            .without_builders()
            .file("xbuild.yaml", text)
            .file("images/Dockerfile", "FROM scratch\nCOPY data /data\n")
            .file("data/one", "1")
            .file("data/run", "#!/bin/sh\n");
        let set = |name: &str, mode: u32| {
            fs::set_permissions(test.path().join(name), std::os::unix::fs::PermissionsExt::from_mode(mode))
                .expect("a mode");
        };
        set("data", 0o777 & !mask);
        set("data/one", 0o666 & !mask);
        set("data/run", 0o777 & !mask);
        let test = test.git();
        // What git does not know has the mode that somebody gave it.
        fs::write(test.path().join("data/own"), "own").expect("a file");
        fs::set_permissions(test.path().join("data/own"), std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .expect("a mode");
        test.xbuild(["images"]).run();
        skopeo(&test, &[], "sample/data:latest")["Layers"].clone()
    };
    let usual = checkout(0o022);
    assert!(usual.is_array());
    for mask in [0o002, 0o077] {
        assert_eq!(checkout(mask), usual, "{mask:o}");
    }
}

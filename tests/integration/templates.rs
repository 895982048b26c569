//! Templates of Dockerfiles, descriptions in folders, names of images.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::{Test, golden};

/// Three images in the manner of projects that expand templates with `sed`: two stand on the first by its published name.
const PROJECT: &str = "\
version: 1
name: suite
arches: [amd64, arm, s390x]
vars: { account: me }
substitute:
  ACCOUNT_NAME: \"{{ account }}\"
  ARCH_EXT: { amd64: '', default: '-{{ arch.name }}' }
images:
  net:
    name: \"{{ account }}/net\"
    tags: [\"1.0\"]
    template: net/Dockerfile.template
    substitute:
      BASEIMAGE: { amd64: 'scratch', arm: 'seed', default: 'seed' }
      QEMUARCH: \"{{ arch.qemu }}\"
    files: { \"qemu-{{ arch.qemu }}\": ./emulators/readme }
    args: { revision: \"r-{{ arch.name }}\" }
  kube: { name: \"{{ account }}/net-kube\", tags: [\"1.0\", latest], template: kube/Dockerfile.template }
  seed: { dockerfile: seed/Dockerfile }
";

const NET: &str = "\
FROM BASEIMAGE
LABEL by=\"ACCOUNT_NAME\" title=netARCH_EXT

# For other architectures, CROSS_BUILD_ goes and the line stays
CROSS_BUILD_COPY qemu-QEMUARCH /usr/bin/
COPY net /
ARG revision
LABEL revision=$revision
";

fn suite() -> Test {
    Test::new()
        .without_builders()
        .file("xbuild.yaml", PROJECT)
        .file("net/Dockerfile.template", NET)
        .file("net/net", "net")
        .file("emulators/readme", "emulator")
        .file("kube/Dockerfile.template", "FROM ACCOUNT_NAME/netARCH_EXT\nCOPY kube /\n")
        .file("kube/kube", "kube")
        .file("seed/Dockerfile", "FROM scratch\nCOPY seed /\n")
        .file("seed/seed", "seed")
}

/// The names in `dist/images`, and what each of them leads to.
fn names(test: &Test) -> BTreeMap<String, (String, bool)> {
    let index: Value = serde_json::from_str(&test.read("images/index.json")).expect("JSON");
    let manifests = index["manifests"].as_array().expect("a list");
    let entry = |manifest: &Value| {
        let name = manifest["annotations"]["org.opencontainers.image.ref.name"].as_str()?.to_owned();
        let is_index = manifest["mediaType"].as_str()?.ends_with("index.v1+json");
        Some((name, (manifest["digest"].as_str()?.to_owned(), is_index)))
    };
    manifests.iter().filter_map(entry).collect()
}

fn document(test: &Test, digest: &str) -> Value {
    let hex = digest.strip_prefix("sha256:").expect("sha256");
    serde_json::from_str(&test.read(&format!("images/blobs/sha256/{hex}"))).expect("JSON")
}

fn config(test: &Test, name: &str) -> Value {
    let manifest = document(test, &names(test)[name].0);
    document(test, manifest["config"]["digest"].as_str().expect("a digest"))
}

fn masked(test: &Test, text: &str) -> String {
    text.replace(&test.path().display().to_string(), "[project]")
}

#[test]
fn the_plan_shows_what_templates_expand_to() {
    let test = suite();
    let plan = test.xbuild(["plan", "--dockerfile"]).run();
    golden("templates.Dockerfile", &plan.stdout);
    let one = test.xbuild(["plan", "--dockerfile", "kube", "--arch", "s390x"]).run();
    assert_eq!(one.stdout, "FROM me/net-s390x\nCOPY kube /\n");
    golden("templates-plan.txt", &masked(&test, &test.xbuild(["plan"]).run().stdout));
}

#[test]
fn images_stand_on_each_other_by_their_published_names() {
    let test = suite();
    test.xbuild(["images", "kube"]).run();
    let found = names(&test);
    for name in ["me/net", "me/net-kube"] {
        for arch in ["amd64", "arm", "s390x"] {
            assert!(!found[&format!("{name}-{arch}:1.0")].1, "{found:?}");
        }
        assert!(found[&format!("{name}:1.0")].1, "{found:?}");
    }
    // For amd64 there is no emulator, nor the base image that the others have.
    let layers = |name: &str| document(&test, &found[name].0)["layers"].as_array().map_or(0, Vec::len);
    assert_eq!((layers("me/net-amd64:1.0"), layers("me/net-kube-amd64:1.0")), (1, 2));
    assert_eq!((layers("me/net-arm:1.0"), layers("me/net-kube-arm:1.0")), (3, 4));
    let labels = &config(&test, "me/net-kube-s390x:1.0")["config"]["Labels"];
    assert_eq!((&labels["revision"], &labels["by"]), (&"r-s390x".into(), &"me".into()));
    assert_eq!(labels["title"], "net-s390x");
}

#[test]
fn places_are_those_in_the_template() {
    let template = NET.replace("COPY net /", "COPY ACCOUNT_NAME absent /");
    let test = suite().file("net/Dockerfile.template", template);
    for arch in ["amd64", "s390x"] {
        let run = test.xbuild(["images", "net", "--arch", arch]).status(2);
        run.stderr_contains("net/Dockerfile.template:6:").run();
    }
    test.write("net/Dockerfile.template", NET.replace("COPY net", "CPOY net"));
    test.xbuild(["images", "net"]).status(2).stderr_contains("net/Dockerfile.template:6:1: unknown instruction").run();
}

#[test]
fn placeholders_that_lead_nowhere_are_errors() {
    for (change, to, wanted) in [
        ("BASEIMAGE:", "BASEIMGE:", "the placeholder 'BASEIMGE' does not occur in"),
        ("BASEIMAGE:", "BASEIMGE:", "hint: did you mean 'BASEIMAGE'?"),
        ("ARCH_EXT: {", "ELSEWHERE: {", "the placeholder 'ELSEWHERE' occurs in no template of the project"),
        (", default: 'seed'", "", "substitute: BASEIMAGE has no value for s390x"),
        ("ACCOUNT_NAME:", "AC COUNT:", "'AC COUNT' cannot be a placeholder"),
        ("arm: 'seed'", "arm: \"a\\nb\"", "the value of 'BASEIMAGE' has several lines"),
        ("arm: 'seed'", "sparc: 'seed'", "xbuild.yaml:14:18"),
        ("    substitute:", "    vars: { a: b }\n    substitute:", "both 'substitute' and 'vars'"),
        (
            "dockerfile: seed/Dockerfile",
            "dockerfile: seed/Dockerfile, substitute: { A: b }",
            "'substitute' goes with 'template'",
        ),
    ] {
        let test = suite().file("xbuild.yaml", PROJECT.replace(change, to));
        test.xbuild(["images"]).status(2).stderr_contains(wanted).run();
    }
    let test = suite().file("kube/Dockerfile.template", "FROM ACCOUNT_NAME/netARC_EXT\n");
    let run = test.xbuild(["images", "kube"]).status(2).stderr_contains("hint: did you mean 'ARCH_EXT'?");
    run.stderr_contains("kube/Dockerfile.template:1:6: nothing is put in for 'ARC_EXT'").run();
}

#[test]
fn bases_that_cannot_be_are_errors() {
    for (template, wanted) in [
        ("FROM me/net-arm\n", "me/net-arm is the image 'net' for arm, but the image is built for"),
        ("FROM kube\n", "image 'kube' is built on itself"),
        ("FROM me/net-kubeARCH_EXT\n", "image 'kube' is built on itself"),
    ] {
        let test = suite().file("kube/Dockerfile.template", template);
        test.xbuild(["images", "kube"]).status(2).stderr_contains(wanted).run();
    }
    let test = suite().file("seed/Dockerfile", "FROM kube\n");
    let run = test.xbuild(["images"]).status(2).stderr_contains("is built on itself");
    run.stderr_contains(" <- net <- ").run();
    // For amd64 alone there is no circle: nothing stands on `seed`.
    test.xbuild(["images", "--arch", "amd64"]).run();
    let test = suite().file("xbuild.yaml", PROJECT.replace("net-kube\"", "net\""));
    test.xbuild(["images"]).status(2).stderr_contains("are both called me/net").run();
}

#[test]
fn architectures_and_contents_are_told_in_the_names() {
    let naming = |keys: &str| PROJECT.replace("images:\n", &format!("naming: {{ {keys} }}\nimages:\n"));
    let test = suite().file("xbuild.yaml", naming("style: tag-suffix"));
    test.xbuild(["images", "kube"]).stdout_contains("me/net-kube:1.0@sha256:").run();
    let found = names(&test);
    assert!(found.contains_key("me/net-kube:latest-s390x") && found["me/net:1.0"].1, "{found:?}");

    let test = suite().file("xbuild.yaml", naming("style: bare-suffix, plain: amd64"));
    let said = test.xbuild(["images", "kube"]).run();
    let found = names(&test);
    assert_eq!(found["me/netamd64:1.0"], found["me/net:1.0"]);
    assert!(!found["me/net:1.0"].1, "amd64 has the plain name: {found:?}");
    assert!(said.stdout.contains("me/net-kubes390x:1.0@sha256:"), "{}", said.stdout);

    let test = suite().file("xbuild.yaml", naming("content-tag: true"));
    test.xbuild(["images", "kube"]).run();
    let found = names(&test);
    let (digest, _) = &found["me/net:1.0"];
    let tag = &digest["sha256:".len()..][..12];
    assert_eq!(&found[&format!("me/net:{tag}")].0, digest);
    assert_eq!(found[&format!("me/net-s390x:{tag}")], found["me/net-s390x:1.0"]);

    for (keys, wanted) in [("style: suffix", "xbuild.yaml:8:"), ("styel: tag-suffix", "did you mean 'style'?")] {
        suite().file("xbuild.yaml", naming(keys)).xbuild(["images"]).status(2).stderr_contains(wanted).run();
    }
}

const LINUXKIT: &str = "\
image: tool
org: kit
network: true
arches:
  - s390x
gitrepo: https://example.org/kit
extra-sources:
  - ../shared:/vendor
buildArgs:
  - WORD=kit
config:
  binds:
    - /run:/run
  capabilities: [CAP_NET_ADMIN]
";

fn kit() -> Test {
    Test::new()
        .without_builders()
        .file("xbuild.yaml", "version: 1\nname: kits\narches: [amd64, s390x]\nimages: [pkg/tool, pkg/plain]\n")
        .file("pkg/tool/build.yml", LINUXKIT)
        .file("pkg/tool/Dockerfile", "FROM scratch\nARG WORD\nCOPY vendor /vendor/\nCOPY own /\nENV WORD=$WORD\n")
        .file("pkg/tool/own", "own")
        .file("pkg/shared/x", "x")
        .file("pkg/plain/Dockerfile.template", "FROM tool\n{% if arch.name == 'arm' %}\nUSER 2\n{% endif %}\nUSER 1\n")
        .file("pkg/plain/build.yml", "arches: [s390x]\n")
}

#[test]
fn folders_describe_images() {
    let test = kit();
    test.xbuild(["images"]).stdout_contains("kit/tool:latest@").stdout_contains("kits/plain:latest@").run();
    let tool = config(&test, "kit/tool-s390x:latest");
    let labels = &tool["config"]["Labels"];
    assert_eq!(labels["org.opencontainers.image.source"], "https://example.org/kit");
    assert_eq!(labels["org.mobyproject.config"], r#"{"binds":["/run:/run"],"capabilities":["CAP_NET_ADMIN"]}"#);
    assert!(tool["config"]["Env"].as_array().expect("a list").contains(&"WORD=kit".into()));
    assert_eq!(config(&test, "kits/plain-s390x:latest")["config"]["User"], "1");
    test.write("pkg/tool/build.yml", LINUXKIT.to_owned() + "tag: \"{{.Hash}}\"\n");
    let said = test.xbuild(["images", "tool"]).run();
    let tag = said.stdout.trim().strip_prefix("kit/tool:").and_then(|rest| rest.split_once('@')).expect("a name");
    assert!(tag.1.starts_with(&format!("sha256:{}", tag.0)), "{}", said.stdout);
}

#[test]
fn what_a_folder_says_wrongly_is_placed() {
    for (line, wanted) in [
        ("imag: x", "pkg/tool/build.yml:15:1: unknown field 'imag'"),
        ("imag: x", "hint: did you mean 'image'?"),
        ("depends: { docker-images: { list: [a] } }", "pkg/tool/build.yml:15:"),
        ("depends: { docker-images: { list: [a] } }", "'depends' is not supported"),
        ("tag: \"{{.Release}}\"", "is a template of LinuxKit's"),
        ("name: x", "it has both 'name' and 'image'"),
        ("dockerfile: ../../../x", "'../../../x' is not a path below the project"),
        ("template: Dockerfile\nsubstitute: { WORT: x }", "the placeholder 'WORT' does not occur"),
        ("args: { WORD: { amd64: x } }", "args: WORD has no value for s390x"),
    ] {
        let test = kit().file("pkg/tool/build.yml", format!("{LINUXKIT}{line}\n"));
        test.xbuild(["images"]).status(2).stderr_contains(wanted).run();
    }
    let test = kit().file("pkg/plain/Dockerfile", "FROM tool\n");
    test.xbuild(["images"]).status(2).stderr_contains("has a Dockerfile and a Dockerfile.template").run();
    let test = kit().file("pkg/plain/Dockerfile.template", "FROM tool\nUSER {{ usr }}\n");
    let run = test.xbuild(["images"]).status(2).stderr_contains("there is no variable 'usr'");
    run.stderr_contains("pkg/plain/Dockerfile.template:2:9: ").run();
    let list = "version: 1\nname: kits\nimages: [pkg/absent]\n";
    kit().file("xbuild.yaml", list).xbuild(["images"]).status(2).stderr_contains("there is no folder").run();
    let list = "version: 1\nname: kits\nimages: [pkg/tool, other/tool]\n";
    let test = kit().file("xbuild.yaml", list).file("other/tool/Dockerfile", "FROM scratch\n");
    test.xbuild(["images"]).status(2).stderr_contains("two folders describe an image 'tool'").run();
}

#[test]
fn the_context_may_be_another_folder() {
    let project = "version: 1\nname: sample\narches: [s390x]\nimages:\n  one: { dockerfile: build/one.Dockerfile, context: src }\n";
    let test = Test::new()
        .without_builders()
        .file("xbuild.yaml", project)
        .file("build/one.Dockerfile", "FROM scratch\nCOPY . /\n")
        .file("src/kept", "1")
        .file("src/left", "1")
        .file("src/.dockerignore", "kept\n")
        .file("build/one.Dockerfile.dockerignore", "left\n.dockerignore\n");
    test.xbuild(["images"]).run();
    let manifest = document(&test, &names(&test)["sample/one-s390x:latest"].0);
    let hex = manifest["layers"][0]["digest"].as_str().expect("a digest").trim_start_matches("sha256:").to_owned();
    let layer = std::fs::File::open(test.dist(&format!("images/blobs/sha256/{hex}"))).expect("a layer");
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(layer));
    let paths =
        archive.entries().expect("a tar").map(|entry| entry.expect("an entry").path().expect("a path").into_owned());
    assert_eq!(paths.map(|path| path.display().to_string()).collect::<Vec<_>>(), ["kept"]);
}

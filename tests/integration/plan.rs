//! What `xbuild plan` shows, and that it is what runs.

use crate::support::{Test, golden, host};

const PROJECT: &str = "\
version: 1
name: sample
arches: [s390x]
vars: { greeting: hello }
binaries:
  hello:
    command: |
      printf '#!/bin/sh\\necho {{ greeting }}\\n' > hello
    outputs: { hello: hello }
    env: { GREETED: \"{{ arch.name }}\" }
  counter:
    go: { package: ./counter, tags: [netgo], ldflags: [-s], static: true }
    libs: [tiny]
images:
  hello:
    name: example/hello
    dockerfile: images/Dockerfile
    files: { hello: binaries/hello, notes: ./notes }
";

const RECIPE: &str = "\
schema: 1
summary: tiny
default: '1'
versions:
  '1': { sha256: 0000000000000000000000000000000000000000000000000000000000000000, sources: [{ url: 'https://example.org/t' }] }
build: make install
installs: [lib/libtiny.a]
";

fn sample() -> Test {
    Test::new()
        .file("xbuild.yaml", PROJECT)
        .file("images/Dockerfile", "FROM scratch\nCOPY hello notes /\n")
        .file("notes", "notes\n")
        .file("toolchains/libs/tiny.yaml", RECIPE)
}

/// Digests and the folder differ from run to run, the host from machine to machine.
fn masked(test: &Test, text: &str) -> String {
    let text = text.replace(&test.path().display().to_string(), "[project]");
    let mut out = String::new();
    for line in text.lines() {
        let line: Vec<String> = line
            .split(' ')
            .map(|word| match word.strip_prefix("sha256:").unwrap_or(word) {
                digest if digest.len() >= 12 && digest.bytes().all(|b| b.is_ascii_hexdigit()) => "[digest]".to_owned(),
                _ => word.to_owned(),
            })
            .collect();
        let line = line.join(" ");
        out += match line.trim().split_once('=') {
            Some(("XBUILD_BUILD_ARCH", _)) => "              XBUILD_BUILD_ARCH=[host]",
            Some(("XBUILD_BUILD_TRIPLE", _)) => "              XBUILD_BUILD_TRIPLE=[host]",
            _ => &line,
        };
        out.push('\n');
    }
    out
}

#[test]
fn the_text_is_as_it_was() {
    let test = sample().without_builders();
    let plan = test.xbuild(["plan"]).run();
    golden("plan.txt", &masked(&test, &plan.stdout));
}

#[test]
fn nothing_runs_and_nothing_is_written() {
    let test = sample().without_builders();
    test.xbuild(["plan"]).run();
    assert!(!test.dist("").exists());
}

#[test]
fn the_graph_is_one_of_dot() {
    let test = sample().without_builders();
    let dot = test.xbuild(["plan", "--format", "dot"]).run().stdout;
    assert!(dot.starts_with("digraph plan {\n") && dot.ends_with("}\n"), "{dot}");
    assert!(dot.contains("\"binary/hello/s390x\" -> \"image/hello/s390x\";"), "{dot}");
}

#[test]
fn what_is_planned_is_what_runs() {
    let project = format!(
        "version: 1\nname: sample\narches: [{}, s390x]\nbinaries:\n  hello:\n    command: |\n      printf \
         '#!/bin/sh\\n' > hello; env > environment\n    outputs: {{ hello: hello }}\n    libs: [libpcap]\n    env: {{ \
         GREETING: \"it's {{{{ arch.name }}}}\" }}\n",
        host()
    );
    let test = Test::new().file("xbuild.yaml", project);
    let plan = test.xbuild(["plan", "--format", "json"]).run().json();
    test.xbuild(["binaries"]).run();
    let records = test.build_record();
    let mut compared = 0;
    for step in plan["steps"].as_array().expect("steps") {
        let id = step["id"].as_str().expect("an id");
        let record = &records["steps"][id];
        assert!(record.is_object(), "dist/build.json has no {id}");
        if let Some(command) = step["work"].get("command") {
            assert_eq!(command["argv"], record["argv"], "{id}");
            assert_eq!(command["env"], record["environment"], "{id}");
            compared += 1;
        }
        if let Some(key) = step["key"].as_str() {
            assert_eq!(record["key"], key, "{id}");
        }
    }
    assert_eq!(compared, 4, "two programs and two libraries run commands");
    let after = test.xbuild(["plan", "--format", "json"]).run().json();
    for step in after["steps"].as_array().expect("steps") {
        assert_eq!(step["state"], "cached", "{}", step["id"]);
        assert_eq!(records["steps"][step["id"].as_str().expect("an id")]["key"], step["key"]);
    }
}

#[test]
fn a_change_says_what_changed() {
    let project = |word: &str| {
        format!(
            "version: 1\nname: sample\narches: [{}]\nbinaries:\n  hello:\n    command: \"printf '#!/bin/sh\\n' > {word}\"\n    \
             outputs: {{ hello: {word} }}\n",
            host()
        )
    };
    let test = Test::new().file("xbuild.yaml", project("one")).file("input", "1");
    test.xbuild(["binaries"]).run();
    test.xbuild(["plan"]).stdout_contains("0 to build").run();
    test.write("input", "2");
    test.xbuild(["plan"]).stdout_contains("source tree changed").run();
    test.write("input", "1");
    test.write("xbuild.yaml", project("two"));
    test.xbuild(["plan"]).stdout_contains("command").stdout_contains("changed").run();
}

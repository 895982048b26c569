//! What `xbuild plan` shows, and that it is what runs.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::{DEBIAN, Test, golden, host, unique};

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

/// The instructions of an image as a plan shows them: state and what it waits for, by line.
fn instructions(test: &Test, image: &str) -> BTreeMap<u64, (String, String)> {
    let plan = test.xbuild(["plan", "--format", "json", image]).run().json();
    let id = format!("image/{image}/{}", host());
    let step = plan["steps"].as_array().expect("steps").iter().find(|step| step["id"] == id.as_str()).cloned();
    let stages = step.expect("the image")["stages"].clone();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = stages.as_array().expect("stages").iter().flat_map(|stage| stage["instructions"].as_array().cloned());
    all.flatten()
        .map(|view| (view["line"].as_u64().expect("a line"), (text(&view["state"]), text(&view["until"]))))
        .collect()
}

/// The lines of an image whose commands ran, and those whose commands had been run before.
fn ran(test: &Test, image: &str) -> (Vec<u64>, Vec<u64>) {
    let said = test.xbuild(["images", image, "--json", "-v"]).run().stderr;
    let prefix = format!("image/{image}/{}:", host());
    let (mut built, mut cached) = (Vec::new(), Vec::new());
    for event in said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let Some(line) = event["step"].as_str().and_then(|step| step.strip_prefix(&prefix)) else { continue };
        if event["event"] == "finished" {
            let lines = if event["outcome"] == "cached" { &mut cached } else { &mut built };
            lines.push(line.parse().expect("a line"));
        }
    }
    (built, cached)
}

#[test]
fn instructions_are_shown_as_they_will_run() {
    let mark = format!("mark {}", unique());
    let image = |name: &str| format!("  {name}: {{ name: example/{name}, dockerfile: {name}/Dockerfile{{more}} }}\n");
    let test = Test::new()
        .file(
            "xbuild.yaml",
            format!(
                "version: 1\nname: sample\narches: [{}]\nbases:\n{DEBIAN}binaries:\n  hello:\n    command: \"printf '#!/bin/sh\\\\n' > \
                 hello\"\n    outputs: {{ hello: hello }}\nimages:\n{}{}{}",
                host(),
                image("app").replace("{more}", ""),
                image("child").replace("{more}", ""),
                image("program").replace("{more}", ", files: { hello: binaries/hello }"),
            ),
        )
        .file(
            "app/Dockerfile",
            format!(
                "FROM debian:bookworm-slim AS tools\nRUN echo {mark} > /tool\n\nFROM debian:bookworm-slim\nCOPY note /note\n\
                 RUN cat /note > /copy\nENV A=b\nRUN cat /copy > /again\nCOPY --from=tools /tool /\nRUN cat /tool > /more\n"
            ),
        )
        .file("app/note", &mark)
        .file("child/Dockerfile", "FROM example/app\nRUN true\n")
        .file("program/Dockerfile", "FROM debian:bookworm-slim\nRUN true\nCOPY hello /\nRUN /hello\n");
    let state = |state: &str, until: &str| (state.to_owned(), until.to_owned());

    // The base may be there already, from another test.
    test.xbuild(["images", "app", "--target", "tools"]).run();
    let expected = BTreeMap::from([
        (2, state("cached", "")),
        (5, state("always", "")),
        (6, state("run", "")),
        (7, state("always", "")),
        (8, state("unknown", "line 6 has run")),
        (9, state("always", "")),
        (10, state("unknown", "line 6 has run")),
    ]);
    assert_eq!(instructions(&test, "app"), expected);
    let app = format!("image/app/{}", host());
    assert_eq!(instructions(&test, "child")[&2], state("unknown", &format!("{app} is built")));
    let program = instructions(&test, "program");
    assert_eq!(program[&4].0, "unknown", "{program:?}");
    test.xbuild(["plan", "app"]).stdout_contains("will run").stdout_contains("# until line 6 has run").run();
    test.xbuild(["plan", "app", "--format", "dot"]).stdout_contains(format!("-> \"{app}\";")).run();
    assert_eq!(ran(&test, "app"), (vec![6, 8, 10], vec![2]));

    let all_cached = instructions(&test, "app");
    assert!([2, 6, 8, 10].iter().all(|line| all_cached[line].0 == "cached"), "{all_cached:?}");
    assert_eq!(instructions(&test, "child")[&2].0, "run", "its base is known now");

    // A command that does the same as before hides what changed from those after it.
    test.write("app/Dockerfile", format!(
        "FROM debian:bookworm-slim AS tools\nRUN echo {mark} > /tool; true\n\nFROM debian:bookworm-slim\nCOPY note /note\n\
         RUN cat /note > /copy\nENV A=b\nRUN cat /copy > /again\nCOPY --from=tools /tool /\nRUN cat /tool > /more\n"
    ));
    let planned = instructions(&test, "app");
    assert_eq!(planned[&2], state("run", ""));
    assert_eq!(planned[&8], state("cached", ""));
    assert_eq!(planned[&10], state("unknown", "line 2 has run"));
    assert_eq!(ran(&test, "app"), (vec![2], vec![6, 8, 10]));
}

#[test]
fn a_base_that_is_not_there_leaves_commands_unknown() {
    let test = Test::new()
        .without_builders()
        .file(
            "xbuild.yaml",
            format!(
                "version: 1\nname: sample\narches: [{}]\nbases:\n{DEBIAN}images:\n  app: {{ dockerfile: app/Dockerfile }}\n",
                host()
            ),
        )
        .file("app/Dockerfile", "FROM debian:bookworm-slim\nRUN true\nCOPY Dockerfile /\n");
    let found = instructions(&test, "app");
    assert_eq!(found[&2].0, "unknown");
    assert!(found[&2].1.starts_with("base/") && found[&2].1.ends_with(" is there"), "{found:?}");
    assert_eq!(found[&3].0, "always");
    assert!(!test.dist("").exists());
}

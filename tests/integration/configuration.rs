//! Wrong project files: file, line, column, the offending text, a hint.

use crate::support::{Test, golden};

/// What xbuild says of a project file, with the folder masked.
fn complaint(text: &str) -> String {
    let test = Test::new().without_builders().file("xbuild.yaml", text);
    let said = test.xbuild(["plan"]).status(2).stdout("").run();
    said.stderr.replace(&test.path().display().to_string(), "[project]")
}

const START: &str = "version: 1\nname: sample\narches: [s390x]\n";

#[test]
fn an_unknown_key_is_placed_and_the_nearest_offered() {
    let text = format!("{START}binaries:\n  hello:\n    comand: make\n    outputs: {{ hello: hello }}\n");
    let said = complaint(&text);
    assert!(said.contains("xbuild.yaml:6:5"), "{said}");
    golden("unknown-key.txt", &said);
}

#[test]
fn an_unknown_arch_in_the_file_is_placed() {
    let said = complaint("version: 1\nname: sample\narches: [s390x, sparc]\n");
    assert!(said.contains("xbuild.yaml:3:"), "{said}");
    golden("unknown-arch-in-file.txt", &said);
}

#[test]
fn a_key_that_stands_twice_is_placed() {
    let said = complaint(&format!("{START}vars: {{ a: x, a: y }}\n"));
    assert!(said.contains("xbuild.yaml:4:") && said.contains("'a' stands twice"), "{said}");
}

#[test]
fn broken_yaml_is_placed() {
    for (text, place) in [("version: 1\nname: [\n", ":"), ("version: 1\n\tname: x\n", ":2:1"), ("", "")] {
        let said = complaint(text);
        assert!(said.contains(&format!("xbuild.yaml{place}")), "{text:?}: {said}");
    }
}

#[test]
fn a_wrong_type_is_placed() {
    let said = complaint(&format!("{START}binaries:\n  hello: {{ command: make, network: perhaps }}\n"));
    assert!(said.contains("xbuild.yaml:5:"), "{said}");
}

#[test]
fn unknown_names_list_those_there_are() {
    let said = complaint("version: 1\nname: sample\ntoolchain: debian-sarge\n");
    assert!(said.contains("xbuild.yaml: toolchain: there is no toolchain 'debian-sarge'"), "{said}");
    assert!(said.contains("debian-bookworm, debian-trixie"), "{said}");
    let binary = "    command: make\n    outputs: { hello: hello }\n";
    let said = complaint(&format!("{START}binaries:\n  hello:\n{binary}    libs: [libpcp]\n"));
    assert!(said.contains("binaries.hello.libs: ") && said.contains("libpcap, libseccomp"), "{said}");
    let said = complaint(&format!("{START}binaries:\n  hello:\n{binary}    libs: [libpcap@0.1]\n"));
    assert!(said.contains("1.10.3, 1.10.5"), "{said}");
}

#[test]
fn what_is_wrong_is_told_at_its_place_and_in_words() {
    let binary = |key: &str| format!("{START}binaries:\n  hello: {{ command: make, {key} }}\n");
    for (text, parts) in [
        ("[]\n".into(), ["xbuild.yaml:1:1", "expected a map with 'version', 'name'"]),
        ("hello\n".into(), ["xbuild.yaml:1:1", "expected a map with 'version', 'name'"]),
        ("null\n".into(), ["xbuild.yaml:1:1: invalid type: nothing", "expected a map with 'version', 'name'"]),
        ("version: \"1\"\nname: x\n".into(), ["xbuild.yaml:1:10", "expected the number 1"]),
        ("name: x\nversion: 2\n".into(), ["xbuild.yaml:2:10", "version 2 is not known, only 1"]),
        (format!("{START}engine: foo\n"), ["xbuild.yaml:4:9", "hint: there are native, docker"]),
        (format!("{START}environment: [a b]\n"), ["xbuild.yaml:4:15", "hint: write NAME"]),
        (binary("time_limit: 10"), ["xbuild.yaml:5:39: binaries.hello.time_limit", "hint: write it as 90s, 10m or 2h"]),
        (binary("components: [cmak]"), ["xbuild.yaml: binaries.hello.components: ", "cmake"]),
        (format!("{START}vars: {{ a-b: c }}\n"), ["xbuild.yaml: vars: ", "'a-b'"]),
    ] {
        let said = complaint(&text);
        assert!(parts.iter().all(|part| said.contains(part)), "{text}{said}");
    }
}

#[test]
fn two_programs_of_one_name_are_refused() {
    let binary = "{ command: make, outputs: { same: x } }";
    let said = complaint(&format!("{START}binaries:\n  a: {binary}\n  b: {binary}\n"));
    assert!(said.contains("'a' and 'b' both make 'same'"), "{said}");
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    for name in ["../x", "a/b", "-x"] {
        let said = complaint(&format!("{START}binaries:\n  '{name}': {{ command: make, outputs: {{ x: x }} }}\n"));
        assert!(said.contains("is not a name"), "{said}");
    }
}

#[test]
fn a_file_beyond_reason_is_refused() {
    let said = complaint(&format!("{START}# {}\n", "x".repeat(2 << 20)));
    assert!(said.contains("may have"), "{said}");
}

#[test]
fn another_file_and_variables_are_taken() {
    let text = format!(
        "{START}vars: {{ word: one }}\nbinaries:\n  hello: {{ command: 'echo {{{{ word }}}}', outputs: {{ hello: hello }} }}\n"
    );
    let test = Test::new().without_builders().file("other.yaml", text);
    let file = test.path().join("other.yaml").display().to_string();
    test.xbuild(["-f", &file, "plan"]).stdout_contains("echo one").run();
    test.xbuild(["-f", &file, "plan", "--set", "word=two"]).stdout_contains("echo two").run();
    test.xbuild(["-f", &file, "plan"]).env("XBUILD_WORD", "three").stdout_contains("echo three").run();
    test.xbuild(["-f", &file, "plan", "--set", "word"]).status(2).run();
}

//! Toolchains as data.

use crate::support::{Test, elf_header, golden, readelf};

const HELLO: &str = "#include <stdio.h>\n#include <math.h>\nint main(void) { printf(\"%f\\n\", sqrt(2)); return 0; }\n";

#[test]
fn the_list_names_toolchains_and_libraries() {
    let test = Test::new().without_builders();
    let list = test.xbuild(["toolchain", "ls"]).run();
    golden("toolchain-ls.txt", &list.stdout);
    let json = test.xbuild(["toolchain", "ls", "--json"]).run().json();
    assert_eq!(json["toolchains"][0]["name"], "debian-bookworm");
    assert_eq!(json["libraries"][0]["versions"], serde_json::json!(["1.10.3", "1.10.5"]));
}

#[test]
fn a_definition_is_shown_as_it_was_written() {
    let test = Test::new().without_builders();
    let own = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/toolchains/debian-trixie.yaml"))
        .expect("it is there");
    test.xbuild(["toolchain", "show", "debian-trixie"]).stdout(own).run();
    test.xbuild(["toolchain", "show", "debian-sarge"])
        .status(2)
        .stderr_contains("debian-bookworm, debian-trixie")
        .run();
    let json = test.xbuild(["toolchain", "show", "debian-trixie", "--json"]).run().json();
    assert_eq!(json["base"]["bootstrap"]["suite"], "trixie");
}

#[test]
fn a_definition_is_shown_as_a_dockerfile() {
    let test = Test::new().without_builders();
    let shown = test.xbuild(["toolchain", "show", "debian-trixie", "--dockerfile", "--arch", "s390x"]).run().stdout;
    for text in ["FROM ", "debian:trixie-slim", "gcc-s390x-linux-gnu", "golang-1.24-go"] {
        assert!(shown.contains(text), "{text} is not in\n{shown}");
    }
    assert!(!shown.contains("gcc-arm-linux"), "one architecture was asked for:\n{shown}");
}

#[test]
fn a_projects_own_definition_comes_first_and_is_strict() {
    let own = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/toolchains/debian-trixie.yaml"))
        .expect("it is there");
    let mine = own.replace("summary: \"", "summary: \"mine, ");
    let test = Test::new()
        .without_builders()
        .file("toolchains/debian-trixie.yaml", &mine)
        .file("toolchains/further.yaml", &mine);
    test.xbuild(["toolchain", "ls"]).stdout_contains("mine, ").stdout_contains("further").run();
    test.write("toolchains/further.yaml", own.replace("emulator:", "emulater:"));
    let run = test.xbuild(["toolchain", "show", "further", "--json"]).status(2);
    run.stderr_contains("further.yaml:").stderr_contains("did you mean 'emulator'?").run();
    test.write("toolchains/further.yaml", own.replace("arches: [amd64", "arches: [vax, amd64"));
    test.xbuild(["toolchain", "show", "further", "--json"]).status(2).stderr_contains("'vax'").run();
}

/// A toolchain of a project's own, with a name of its own, builds.
#[test]
fn a_projects_own_definition_builds() {
    let own = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/toolchains/debian-trixie.yaml"))
        .expect("it is there");
    let mine = own.replace("environment:\n", "environment:\n  GREETING: \"hello {{ arch.debian }}\"\n");
    let test = Test::new().file("toolchains/debian-trixie.yaml", mine).file(
        "xbuild.yaml",
        "version: 1\nname: sample\narches: [s390x]\nbinaries:\n  hello:\n    command: \"{ echo '#!/bin/sh'; echo $GREETING; } > \
         hello\"\n    outputs: { hello: hello }\n",
    );
    test.xbuild(["binaries"]).run();
    assert!(test.read("s390x/hello").contains("hello s390x"));
}

/// Layers of two targets that come to the same are one, and made once.
#[test]
fn targets_may_have_the_same_packages() {
    let toolchain = "schema: 1\nsummary: \"two targets\"\nbase:\n  image: \"debian:trixie-slim\"\n  bootstrap: { suite: trixie \
                     }\nglibc: \"2.41\"\npackages: []\ntargets:\n  cross: { packages: [patch] }\n  native: { packages: [patch] \
                     }\nemulator: { packages: [qemu-user], program: \"usr/bin/qemu-{{ arch.qemu }}\" }\narches: [riscv64, \
                     s390x]\ntools: { CC: \"none\" }\n";
    let project = "version: 1\nname: sample\ntoolchain: two\nbinaries:\n  hello: { command: \"{ echo '#!/bin/sh'; patch --version; } > hello\", outputs: { \
                   hello: hello } }\n";
    let test = Test::new().cold().file("toolchains/two.yaml", toolchain).file("xbuild.yaml", project);
    test.xbuild(["binaries"]).run();
    assert!(test.read("s390x/hello").contains("GNU patch") && test.read("riscv64/hello").contains("GNU patch"));
    test.xbuild(["plan"]).stdout_contains("0 to build").run();
}

/// The older release: what is built there runs on glibc 2.36.
#[test]
fn bookworm_has_the_lower_floor() {
    let project = |toolchain: &str| {
        format!(
            "version: 1\nname: sample\ntoolchain: {toolchain}\narches: [s390x]\nbinaries:\n  hello:\n    command: $CXX -o hello \
             hello.cc -lm && $CC -o plain hello.c -lm\n    outputs: {{ hello: hello, plain: plain }}\n    static: false\n    glibc: \
             \"2.36\"\n"
        )
    };
    let test = Test::new()
        .file("hello.c", HELLO)
        .file("hello.cc", "#include <iostream>\nint main() { std::cout << \"hello\\n\"; }\n")
        .file("xbuild.yaml", project("debian-bookworm"));
    test.xbuild(["binaries"]).run();
    let mut highest = (0, 0);
    for name in ["hello", "plain"] {
        let file = test.dist(&format!("s390x/{name}"));
        assert_eq!(elf_header(&file, "Machine"), "IBM S/390");
        for word in readelf("-V", &file).split_whitespace() {
            let numbers = word.strip_prefix("GLIBC_").and_then(|version| version.split_once('.'));
            if let Some((major, minor)) = numbers {
                let minor: String = minor.chars().take_while(char::is_ascii_digit).collect();
                highest = highest.max((major.parse().unwrap_or(0), minor.parse().unwrap_or(0)));
            }
        }
    }
    assert!(((2, 17)..=(2, 36)).contains(&highest), "GLIBC_{}.{}", highest.0, highest.1);
}

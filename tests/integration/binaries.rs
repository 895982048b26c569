//! Programs: how they are built, what is demanded of them, and how failures are told.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use crate::support::{Test, elf_header, host, readelf};

const HELLO: &str = "#include <stdio.h>\nint main(void) { puts(\"hello\"); return 0; }\n";

fn project(binaries: &str) -> String {
    format!("version: 1\nname: sample\narches: [{}, s390x]\nbinaries:\n{binaries}", host())
}

/// A Go program that calls C.
fn go_project(keys: &str) -> Test {
    Test::new()
        .file("xbuild.yaml", project(&format!("  hello:\n    go: {{ package: ., {keys} }}\n")))
        .file("go.mod", "module example.org/hello\n\ngo 1.19\n")
        .file(
            "main.go",
            "package main\n\n// int twice(int x) { return 2 * x; }\nimport \"C\"\nimport \"fmt\"\n\nvar version = \"none\"\n\n\
             func main() { fmt.Println(C.twice(21), version) }\n",
        )
}

#[test]
fn go_with_c_is_static_when_it_is_asked_for() {
    let test = go_project("tags: [netgo, osusergo], ldflags: ['-X main.version=7'], static: true");
    let said = test.xbuild(["binaries"]).run();
    for arch in [host(), "s390x"] {
        let file = test.dist(&format!("{arch}/hello"));
        assert!(said.stdout.lines().any(|line| line == file.canonicalize().unwrap().display().to_string()));
        assert!(!readelf("-l", &file).contains("INTERP"), "{arch} has an interpreter");
    }
    let file = test.dist("s390x/hello");
    assert_eq!(elf_header(&file, "Machine"), "IBM S/390");
    assert_eq!(elf_header(&file, "Data"), "2's complement, big endian");
    let output = std::process::Command::new(test.dist(&format!("{}/hello", host()))).output().expect("it runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "42 7\n");
}

#[test]
fn go_with_c_is_dynamic_otherwise() {
    let test = go_project("static: false");
    test.xbuild(["binaries", "--arch", "s390x"]).run();
    let file = test.dist("s390x/hello");
    assert!(readelf("-l", &file).contains("/lib/ld64.so.1"));
    assert!(readelf("-d", &file).contains("libc.so.6"));
    assert!(!test.dist(host()).exists(), "one architecture was asked for");
}

#[test]
fn c_is_switched_off_when_it_is_asked_for() {
    let test = go_project("cgo: false").file("main.go", "package main\n\nfunc main() { println(1) }\n");
    test.xbuild(["binaries", "--arch", "s390x"]).run();
    assert!(!readelf("-l", &test.dist("s390x/hello")).contains("INTERP"));
}

#[test]
fn a_command_makes_several_programs() {
    let test = Test::new().file("hello.c", HELLO).file(
        "xbuild.yaml",
        project(
            "  pair:\n    command: |\n      mkdir -p out; $CC -o out/first hello.c; $CC -o second hello.c\n    outputs: { first: \
             out/first, other: second }\n",
        ),
    );
    test.xbuild(["binaries"]).run();
    for place in ["first", "other"] {
        let path = test.dist(&format!("s390x/{place}"));
        assert_eq!(elf_header(&path, "Machine"), "IBM S/390");
        let metadata = fs::metadata(&path).expect("it is there");
        assert_eq!(metadata.permissions().mode() & 0o7777, 0o755);
        // Without git there is no better time.
        assert_eq!(metadata.mtime(), 0);
    }
    let sums = test.read("SHA256SUMS");
    assert_eq!(sums.lines().count(), 4, "{sums}");
    let mut check = std::process::Command::new("sha256sum");
    check.args(["--check", "--strict", "SHA256SUMS"]).current_dir(test.dist(""));
    assert!(check.status().expect("sha256sum can be run").success());
}

#[test]
fn tools_and_places_are_in_the_environment() {
    let names = [
        "CC",
        "CXX",
        "AR",
        "STRIP",
        "PKG_CONFIG_LIBDIR",
        "GOARCH",
        "CGO_ENABLED",
        "XBUILD_ARCH",
        "XBUILD_TRIPLE",
        "XBUILD_JOBS",
        "XBUILD_BUILD_TRIPLE",
        "SOURCE_DATE_EPOCH",
    ];
    let shown: String = names.iter().map(|name| format!("      echo {name}=\"${name}\"; \n")).collect();
    let command = format!(
        "  env:\n    outputs: {{ env: env }}\n    command: |\n      {{ echo '#!/bin/sh'\n{shown}      }} > env\n"
    );
    let test = Test::new().file("xbuild.yaml", project(&command));
    test.xbuild(["binaries", "-j", "3"]).run();
    let text = test.read("s390x/env");
    for line in [
        "CC=s390x-linux-gnu-gcc",
        "CXX=s390x-linux-gnu-g++",
        "AR=s390x-linux-gnu-ar",
        "STRIP=s390x-linux-gnu-strip",
        "GOARCH=s390x",
        "CGO_ENABLED=1",
        "XBUILD_ARCH=s390x",
        "XBUILD_TRIPLE=s390x-linux-gnu",
        "XBUILD_JOBS=3",
        "SOURCE_DATE_EPOCH=0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    assert!(text.contains("PKG_CONFIG_LIBDIR=/usr/s390x-linux-gnu/lib/pkgconfig"), "{text}");
}

#[test]
fn a_dynamic_program_is_not_taken_for_a_static_one() {
    let test = Test::new().file("hello.c", HELLO).file(
        "xbuild.yaml",
        project("  hello: { command: $CC -o hello hello.c, outputs: { hello: hello }, static: true }\n"),
    );
    let run = test.xbuild(["binaries", "--arch", "s390x"]).status(1).stdout("");
    run.stderr_contains("s390x/hello is dynamically linked (needs libc.so.6)").stderr_contains("static: true").run();
    assert!(!test.dist("s390x/hello").exists(), "a program that is not what was asked for is no output");
}

#[test]
fn a_program_for_another_machine_is_refused() {
    let test = Test::new().file("hello.c", HELLO).file(
        "xbuild.yaml",
        project(&format!("  hello: {{ command: '[ $XBUILD_ARCH = {0} ] || cp /bin/true hello; [ -e hello ] || $CC -o hello hello.c', outputs: {{ hello: hello }} }}\n", host())),
    );
    let said = test.xbuild(["binaries"]).status(1).run();
    assert!(said.stderr.contains(&format!("s390x/hello is for {}, not s390x", host())), "{}", said.stderr);
}

#[test]
fn a_symbol_above_the_ceiling_is_named() {
    // Since glibc 2.34 every program's start asks for that version.
    let test = Test::new().file("hello.c", HELLO).file(
        "xbuild.yaml",
        project("  hello: { command: $CC -o hello hello.c, outputs: { hello: hello }, glibc: \"2.17\" }\n"),
    );
    let run = test.xbuild(["binaries", "--arch", "s390x"]).status(1);
    run.stderr_contains("s390x/hello needs GLIBC_2.34 (symbol __libc_start_main").stderr_contains("at most 2.17").run();
}

#[test]
fn a_compile_error_is_told_and_the_others_go_on() {
    let program = "#include <stdio.h>\n#if defined(__s390x__)\nint main(void) { return mistake; }\n#else\nint main(void) { return 0; }\n#endif\n";
    let test = Test::new()
        .file("hello.c", program)
        .file("xbuild.yaml", project("  hello: { command: $CC -o hello hello.c, outputs: { hello: hello } }\n"));
    let run = test.xbuild(["binaries"]).status(1);
    let said = run
        .stderr_contains("error: ‘mistake’ undeclared")
        .stderr_contains("hello.c:3:")
        .stderr_contains("binary/hello/s390x")
        .stderr_contains("xbuild shell --arch s390x")
        .run();
    let built = test.dist(&format!("{}/hello", host()));
    assert!(built.exists(), "the other architecture goes on");
    assert!(said.stdout.contains(host()) && !said.stdout.contains("s390x"), "{}", said.stdout);
    let sums = test.read("SHA256SUMS");
    assert!(!sums.contains("s390x"), "{sums}");
}

#[test]
fn a_stale_program_does_not_outlive_a_failure() {
    let binaries = "  hello: { command: $CC -o hello hello.c, outputs: { hello: hello } }\n";
    let test = Test::new().file("hello.c", HELLO).file("xbuild.yaml", project(binaries));
    test.xbuild(["binaries", "--arch", "s390x"]).run();
    test.write("hello.c", "mistake\n");
    test.xbuild(["binaries", "--arch", "s390x"]).status(1).run();
    assert!(!test.dist("s390x/hello").exists(), "an old program would be taken for the new one");
    assert!(!test.read("SHA256SUMS").contains("s390x/hello"));
}

#[test]
fn one_program_fails_and_its_neighbour_does_not() {
    let test = Test::new()
        .file("go.mod", "module example.org/two\n\ngo 1.19\n")
        .file("good/main.go", "package main\n\nfunc main() {}\n")
        .file("bad/main.go", "package main\n\nfunc main() { mistake() }\n")
        .file(
            "xbuild.yaml",
            project("  good: { go: { package: ./good, cgo: false } }\n  bad: { go: { package: ./bad, cgo: false } }\n"),
        );
    let run = test.xbuild(["binaries", "--arch", "s390x"]).status(1);
    run.stderr_contains("undefined: mistake").stderr_contains("binary/bad/s390x").run();
    assert!(test.dist("s390x/good").exists());
    assert!(!test.dist("s390x/bad").exists());
    // The neighbour alone is nobody's failure.
    test.xbuild(["binaries", "good", "--arch", "s390x"]).run();
}

#[test]
fn a_file_that_was_promised_and_not_made_is_named() {
    let test =
        Test::new().file("xbuild.yaml", project("  hello: { command: 'true', outputs: { hello: build/hello } }\n"));
    test.xbuild(["binaries", "--arch", "s390x"]).status(1).stderr_contains("made no file 'build/hello'").run();
    let links = "  hello: { command: ln -s /etc/passwd hello, outputs: { hello: hello } }\n";
    let test = Test::new().file("xbuild.yaml", project(links));
    test.xbuild(["binaries", "--arch", "s390x"]).status(1).stderr_contains("'hello'").run();
}

#[test]
fn a_preparation_runs_before_the_programs() {
    let test = Test::new().file(
        "xbuild.yaml",
        project("  hello: { command: cp generated hello, outputs: { hello: hello } }\n")
            .replace("binaries:", "prepare: \"printf '#!/bin/sh\\\\n' > generated\"\nbinaries:"),
    );
    test.xbuild(["binaries", "--arch", "s390x"]).run();
    let test = Test::new().file(
        "xbuild.yaml",
        project("  hello: { command: cp generated hello, outputs: { hello: hello } }\n")
            .replace("binaries:", "prepare: exit 9\nbinaries:"),
    );
    test.xbuild(["binaries", "--arch", "s390x"]).status(1).stderr_contains("`prepare` failed: exit code 9").run();
}

#[test]
fn facts_of_programs_are_those_that_readelf_tells() {
    let test = Test::new()
        .file("hello.c", HELLO)
        .file("xbuild.yaml", project("  hello: { command: $CC -o hello hello.c, outputs: { hello: hello } }\n"));
    test.xbuild(["binaries", "--arch", "s390x"]).run();
    let text = test.xbuild(["verify"]).run().stdout;
    for fact in ["s390x", "libc.so.6", "/lib/ld64.so.1", "2.34"] {
        assert!(text.contains(fact), "{fact} is not in\n{text}");
    }
    let facts = test.xbuild(["verify", "--json"]).run().json();
    let shown = facts["files"][0]["facts"].to_string();
    let needed: Vec<String> = readelf("-d", &test.dist("s390x/hello"))
        .lines()
        .filter_map(|line| Some(line.split_once("(NEEDED)")?.1.split_once('[')?.1.split_once(']')?.0.to_owned()))
        .collect();
    assert!(!needed.is_empty());
    for library in needed {
        assert!(shown.contains(&library), "{library} is not in {shown}");
    }
    let file = test.path().join("hello.c").display().to_string();
    test.xbuild(["verify", &file]).status(2).stderr_contains("hello.c").run();
}

//! Libraries from recipes: several versions, both kinds of linking, recipes of a project's own.

use std::path::Path;

use crate::support::{Answer, Server, Test, archive, host, readelf, sha256};

const VERSION: &str = "#include <pcap.h>\n#include <stdio.h>\nint main(void) { puts(pcap_lib_version()); return 0; }\n";

fn project(binaries: &str) -> String {
    format!("version: 1\nname: sample\narches: [s390x]\nbinaries:\n{binaries}")
}

/// Whether a program has a text in it.
fn holds(file: &Path, text: &str) -> bool {
    let bytes = std::fs::read(file).unwrap_or_else(|error| panic!("cannot read {}: {error}", file.display()));
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn two_versions_stand_side_by_side() {
    let program = |name: &str, library: &str| {
        format!(
            "  {name}:\n    command: $CC -static -o {name} version.c -lpcap\n    outputs: {{ {name}: {name} }}\n    libs: [{library}]\n    \
             static: true\n    test: \"{name} | grep 'libpcap version {}'\"\n",
            library.rsplit_once('@').map_or("1.10.5", |(_, version)| version)
        )
    };
    let binaries = program("old", "libpcap@1.10.3") + &program("new", "libpcap");
    let test = Test::new().file("version.c", VERSION).file("xbuild.yaml", project(&binaries));
    // They run, as s390x programs.
    test.xbuild(["test"]).run();
    for (name, has, has_not) in [("old", "1.10.3", "1.10.5"), ("new", "1.10.5", "1.10.3")] {
        let file = test.dist(&format!("s390x/{name}"));
        assert!(holds(&file, has) && !holds(&file, has_not), "{name} is linked with {has}");
    }
}

#[test]
fn static_linking_takes_nothing_but_the_library() {
    let command = "    command: |
      test \"$(echo $(pkg-config --libs libpcap))\" = -lpcap
      echo \"says: $(pkg-config --static --libs libpcap)\"
      pkg-config --static --libs libpcap | tr ' ' '\\n' | grep '^-l' | grep -v '^-lpcap$' && exit 1
      $CC -static -o plain version.c -lpcap
      $CC -static -o asked version.c $(pkg-config --static --cflags --libs libpcap)
      nm=$($NM /usr/$XBUILD_TRIPLE/lib/libpcap.a)
      if echo \"$nm\" | grep -E 'dbus_|nl_|ibv_|bt_'; then exit 1; fi
";
    let binaries = format!(
        "  pair:\n{command}    outputs: {{ plain: plain, asked: asked }}\n    libs: [libpcap]\n    static: true\n"
    );
    let test = Test::new().file("version.c", VERSION).file("xbuild.yaml", project(&binaries));
    test.xbuild(["binaries", "-v"]).run();
    for name in ["plain", "asked"] {
        assert!(!readelf("-d", &test.dist(&format!("s390x/{name}"))).contains("NEEDED"));
    }
}

#[test]
fn dynamic_linking_asks_for_the_library_alone() {
    let binaries = "  dynamic:\n    command: $CC -o dynamic version.c $(pkg-config --cflags --libs libpcap)\n    outputs: { dynamic: \
                    dynamic }\n    libs: [libpcap]\n    static: false\n    test: dynamic\n";
    let test = Test::new().file("version.c", VERSION).file("xbuild.yaml", project(binaries));
    test.xbuild(["test"]).run();
    let dynamic = readelf("-d", &test.dist("s390x/dynamic"));
    let needed: Vec<&str> =
        dynamic.lines().filter_map(|line| line.split_once("(NEEDED)")?.1.split('[').nth(1)).collect();
    assert_eq!(needed, ["libpcap.so.1]", "libc.so.6]"]);
    assert!(!dynamic.contains("RPATH") && !dynamic.contains("RUNPATH"), "{dynamic}");
}

#[test]
fn the_hosts_libraries_are_not_found() {
    let binaries = "  hello:\n    command: |\n      if pkg-config --exists libpcap; then exit 1; fi\n      printf '#!/bin/sh\\n' > \
                    hello\n    outputs: { hello: hello }\n";
    // The libraries of the builder are those that the program asks for.
    Test::new().file("xbuild.yaml", project(binaries)).xbuild(["binaries"]).run();
}

#[test]
fn seccomp_is_the_second_recipe() {
    let program = "#include <seccomp.h>\n#include <stdio.h>\nint main(void) {\n  const struct scmp_version *v = seccomp_version();\n  \
                   scmp_filter_ctx c = seccomp_init(SCMP_ACT_ALLOW);\n  if (!c || seccomp_arch_native() != SCMP_ARCH_S390X) return 1;\n  \
                   if (seccomp_rule_add(c, SCMP_ACT_ERRNO(1), SCMP_SYS(ptrace), 0)) return 2;\n  printf(\"%u.%u\\n\", v->major, \
                   v->minor);\n  return seccomp_export_bpf(c, 2);\n}\n";
    let binaries = "  filter:\n    command: $CC -static -o filter filter.c $(pkg-config --static --cflags --libs libseccomp)\n    \
                    outputs: { filter: filter }\n    libs: [libseccomp]\n    static: true\n    test: test \"$(filter 2> /dev/null)\" = 2.6\n";
    Test::new().file("filter.c", program).file("xbuild.yaml", project(binaries)).xbuild(["test"]).run();
}

#[test]
fn a_project_brings_its_own_recipe() {
    let bytes = archive(&[
        ("answer-2/answer.c", 0o644, b"int answer(void) { return 42; }\n"),
        ("answer-2/answer.h", 0o644, b"int answer(void);\n"),
    ]);
    let digest = sha256(&bytes);
    let server = Server::new([("/answer-2.tar", Answer::Body(bytes))]);
    let recipe = format!(
        "schema: 1\nsummary: \"an answer\"\ndefault: \"2\"\nversions:\n  \"2\": {{ sha256: {digest}, sources: [{{ url: \"{}\" }}] }}\nbuild: \
         |\n  $CC -c answer.c; $AR rcs libanswer.a answer.o\n  install -D -m 644 libanswer.a \
         $DESTDIR$XBUILD_PREFIX/lib/libanswer.a\n  install -D -m 644 answer.h $DESTDIR$XBUILD_PREFIX/include/answer.h\ninstalls: \
         [lib/libanswer.a, include/answer.h]\n",
        server.url("/answer-2.tar")
    );
    let program = "#include <answer.h>\nint main(void) { return answer(); }\n";
    let binaries = "  ask:\n    command: $CC -static -o ask ask.c -lanswer\n    outputs: { ask: ask }\n    libs: [answer]\n    test: \"ask || \
                    test $? = 42\"\n";
    let test = Test::new()
        .file("toolchains/libs/answer.yaml", &recipe)
        .file("ask.c", program)
        .file("xbuild.yaml", project(binaries));
    test.xbuild(["test"]).run();
    test.xbuild(["toolchain", "ls"]).stdout_contains("answer").run();
    // What a recipe promises and does not install is an error of the recipe's.
    test.write("toolchains/libs/answer.yaml", recipe.replace("include/answer.h]", "include/question.h]"));
    test.xbuild(["binaries"]).status(1).stderr_contains("did not install").stderr_contains("question.h").run();
    // So is a wrong key, with its place.
    test.write("toolchains/libs/answer.yaml", recipe.replace("summary", "sumary"));
    test.xbuild(["binaries"])
        .status(2)
        .stderr_contains("answer.yaml:2:1")
        .stderr_contains("did you mean 'summary'?")
        .run();
}

#[test]
fn a_project_brings_its_own_version() {
    // The built-in recipe, in a version of the project's: here one whose only source is dead.
    let own = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/toolchains/libs/libpcap.yaml"))
        .expect("it is there");
    let server = Server::new([]);
    let version = format!(
        "versions:\n  \"9.9\": {{ sha256: {}, sources: [{{ url: \"{}\" }}] }}\n",
        "0".repeat(64),
        server.url("/libpcap-9.9.tar.gz")
    );
    let binaries = "  hello:\n    command: \"true\"\n    outputs: { hello: hello }\n    libs: [libpcap@9.9]\n";
    let test = Test::new()
        .file("toolchains/libs/libpcap.yaml", own.replacen("versions:\n", &version, 1))
        .file("xbuild.yaml", project(binaries));
    let run = test.xbuild(["binaries"]).status(3).stderr_contains(server.url("/libpcap-9.9.tar.gz"));
    run.stderr_contains("library/libpcap@9.9/s390x").run();
}

#[test]
fn go_finds_the_library_for_every_machine() {
    let test = Test::new()
        .file("go.mod", "module example.org/version\n\ngo 1.19\n")
        .file(
            "main.go",
            "package main\n\n// #cgo pkg-config: libpcap\n// #include <pcap.h>\nimport \"C\"\n\nfunc main() { \
             println(C.GoString(C.pcap_lib_version())) }\n",
        )
        .file(
            "xbuild.yaml",
            format!(
                "version: 1\nname: sample\narches: [{}, s390x]\nbinaries:\n  version:\n    go: {{ package: ., static: true }}\n    libs: \
                 [libpcap]\n    test: \"version 2>&1 | grep 'libpcap version 1.10.5'\"\n",
                host()
            ),
        );
    test.xbuild(["test"]).run();
}

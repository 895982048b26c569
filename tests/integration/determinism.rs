//! The same project gives the same bytes: wherever it is, whoever builds it, in whatever environment, from whatever store.

use std::time::Duration;

use crate::support::{Identity, Test, host};

/// What must be the same: sums of the programs, digests of the indexes.
fn facts(test: &Test) -> (String, serde_json::Value) {
    (test.read("SHA256SUMS"), test.build_record()["images"].clone())
}

fn sample() -> Test {
    // Go with C, C alone, and C++: paths, times and names get into programs in many ways.
    Test::new()
        .file(
            "xbuild.yaml",
            format!(
                "version: 1\nname: sample\narches: [{}, s390x]\nbinaries:\n  counter:\n    go: {{ package: ./counter, static: true, \
                 ldflags: ['-X main.version={{{{ version }}}}'] }}\n    libs: [libpcap]\n  hello:\n    command: $CC -g -static -o hello $PWD/hello.c && \
                 $CXX -g -o other hello.cc\n    outputs: {{ hello: hello, other: other }}\nimages:\n  sample:\n    dockerfile: \
                 images/Dockerfile\n    files: {{ hello: binaries/hello, counter: binaries/counter }}\n",
                host()
            ),
        )
        .file("go.mod", "module example.org/counter\n\ngo 1.19\n")
        .file(
            "counter/main.go",
            "package main\n\n// #cgo LDFLAGS: -lpcap\n// #include <pcap.h>\nimport \"C\"\n\nvar version string\n\nfunc main() { \
             println(C.GoString(C.pcap_lib_version()), version) }\n",
        )
        .file("hello.c", "#include <stdio.h>\nint main(void) { puts(__FILE__ \" \" __DATE__ \" \" __TIME__); return 0; }\n")
        .file("hello.cc", "#include <iostream>\nint main() { std::cout << __FILE__ << __TIME__ << std::endl; }\n")
        .file("images/Dockerfile", "FROM scratch\nCOPY hello counter /usr/bin/\nCOPY data /srv/\n")
        .file("images/data/b", "b")
        .file("images/data/a", "a")
        .git()
}

#[test]
fn everybody_builds_the_same_bytes_everywhere() {
    let first = sample();
    first.xbuild(["images"]).run();
    let expected = facts(&first);
    assert_eq!(expected.0.lines().count(), 6, "{}", expected.0);
    for (identity, umask) in [(Identity::Own, 0o000), (Identity::Range, 0o077), (Identity::Single, 0o027)] {
        if !identity.possible() {
            continue;
        }
        std::thread::sleep(Duration::from_millis(1100));
        let test = match identity {
            // The warm store was used already; a fresh one has libraries and layers made anew.
            Identity::Own => sample().cold(),
            _ => sample().user(identity),
        };
        let home = tempfile::tempdir().expect("a folder");
        identity.own(home.path());
        let run =
            test.xbuild(["images", "-j", "1"]).umask(umask).env("TZ", "Pacific/Kiritimati").env("LANG", "tr_TR.UTF-8");
        let run = run.env("HOME", home.path()).env("LC_ALL", "C").env("GOFLAGS", "-race").env("CFLAGS", "-O3");
        run.env("CGO_ENABLED", "0").run();
        assert_eq!(facts(&test), expected, "as {identity:?} with the mask {umask:o}");
        if identity == Identity::Own {
            test.xbuild(["cache", "fsck"]).stdout_contains("the store is sound").run();
        }
    }
}

#[test]
fn the_time_of_outputs_is_that_of_the_commit() {
    use std::os::unix::fs::MetadataExt;
    let test = sample();
    test.xbuild(["images", "--arch", "s390x"]).run();
    let time = |test: &Test| std::fs::metadata(test.dist("s390x/hello")).expect("it is there").mtime();
    assert_eq!(time(&test), 1_704_164_645);
    let test = sample();
    test.xbuild(["binaries", "hello", "--arch", "s390x"]).env("SOURCE_DATE_EPOCH", "86400").run();
    assert_eq!(time(&test), 86_400);
    test.xbuild(["binaries"]).env("SOURCE_DATE_EPOCH", "yesterday").status(2).stderr_contains("yesterday").run();
}

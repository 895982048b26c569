//! Kills at any moment leave garbage at most: the next run succeeds, and the store is sound.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::{DEBIAN, Test, host, processes_with, tool, unique};

/// Numbers that look random, the same for the same seed.
struct Moments(u64);

impl Moments {
    fn new(salt: u64) -> Moments {
        let seed = std::env::var("XBUILD_TEST_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_261_121);
        Moments(seed ^ salt.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn between(&mut self, low: Duration, high: Duration) -> Duration {
        // Steele, Lea and Flood's splitmix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        low + (high - low).mul_f64(((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 53) as f64)
    }
}

/// Starts `images`, and kills it after a while; false when it was done before.
fn killed(test: &Test, after: Duration) -> bool {
    let mut child = test.xbuild(["images"]).start();
    let started = Instant::now();
    while started.elapsed() < after {
        if let Some(status) = child.try_wait().expect("a child") {
            assert!(status.success(), "{status} without a kill:\n{}", test.said());
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().expect("it is there");
    child.wait().expect("it ends");
    true
}

/// Every blob of the layout that an image's name leads to, read and compared by another program.
fn whole(test: &Test, name: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    copy(&format!("oci:{}:{name}", test.dist("images").display()), folder.path());
}

/// The name of the only image.
fn image(test: &Test) -> String {
    let record = test.build_record();
    record["images"].as_object().expect("a map").keys().next().expect("an image").clone()
}

fn sums(test: &Test) -> (String, String) {
    (test.read("SHA256SUMS"), test.build_record()["images"].to_string())
}

/// A C program with a library, and an image of it: everything that an example has but for Go, which would take most of the
/// time.
fn sample() -> Test {
    let project = "version: 1\nname: sample\narches: [s390x]\nbinaries:\n  count:\n    command: $CC -static -o count count.c \
                   -lpcap\n    outputs: { count: count }\n    libs: [libpcap]\nimages:\n  app: { name: example/app, \
                   dockerfile: app/Dockerfile, files: { count: binaries/count } }\n";
    Test::new()
        .file("xbuild.yaml", project)
        .file("count.c", "#include <pcap.h>\n#include <stdio.h>\nint main(void) { return puts(pcap_lib_version()); }\n")
        .file("app/Dockerfile", "FROM scratch\nCOPY count /count\nENTRYPOINT [\"/count\"]\n")
}

#[test]
fn kills_while_everything_is_made_do_no_harm() {
    let test = sample().cold();
    let mut moments = Moments::new(1);
    let (mut kills, mut last) = (0, String::new());
    for _ in 0..6 {
        let moment = moments.between(Duration::from_millis(200), Duration::from_secs(9));
        last += &format!(" {moment:?}");
        if killed(&test, moment) {
            kills += 1;
        }
    }
    // Shown when the test fails.
    #[expect(clippy::print_stderr, reason = "a test's own words are captured")]
    {
        eprintln!("killed after{last}");
    }
    assert!(kills >= 3, "it was done before it could be killed:{last}");
    test.xbuild(["images"]).run();
    test.xbuild(["cache", "fsck"]).stdout_contains("the store is sound").run();
    whole(&test, &image(&test));
    let reference = sample();
    reference.xbuild(["images"]).run();
    assert_eq!(sums(&test), sums(&reference), "what came after kills is what comes without");
    // What kills have left is garbage, and goes.
    test.xbuild(["cache", "gc"]).run();
    assert_eq!(count(&test.store().path().join("tmp")), 0);
    test.xbuild(["images"]).run();
    test.xbuild(["cache", "fsck"]).stdout_contains("the store is sound").run();
}

#[test]
fn kills_while_images_are_assembled_do_no_harm() {
    let test = sample();
    test.xbuild(["images"]).run();
    let expected = sums(&test);
    let mut moments = Moments::new(2);
    for _ in 0..8 {
        // From nothing, from a whole layout, and from what the last kill has left.
        if moments.between(Duration::ZERO, Duration::from_secs(1)) < Duration::from_millis(500) {
            let _ = std::fs::remove_dir_all(test.dist(""));
        }
        killed(&test, moments.between(Duration::from_millis(1), Duration::from_millis(150)));
        if moments.between(Duration::ZERO, Duration::from_secs(1)) < Duration::from_millis(500) {
            test.xbuild(["images"]).run();
            assert_eq!(sums(&test), expected);
            whole(&test, &image(&test));
        }
    }
    test.xbuild(["images"]).run();
    assert_eq!(sums(&test), expected);
    whole(&test, &image(&test));
}

#[test]
fn two_at_once_share_a_store() {
    let first = sample().cold();
    let second = sample();
    let store = first.store().path().to_owned();
    let mut other = second.xbuild(["images"]).env("XBUILD_STORE", &store).start();
    let mut same = first.xbuild(["binaries"]).start();
    first.xbuild(["images"]).run();
    assert!(same.wait().expect("it ends").success(), "two in one project");
    assert!(other.wait().expect("it ends").success(), "two in one store");
    first.xbuild(["images"]).run();
    assert_eq!(sums(&first), sums(&second));
    first.xbuild(["cache", "fsck"]).stdout_contains("the store is sound").run();
}

#[test]
fn kills_while_commands_of_images_run_do_no_harm() {
    let mark = format!("0.3{}", unique());
    let test = Test::new()
        .cold()
        .file(
            "xbuild.yaml",
            format!(
                "version: 1\nname: sample\narches: [{}, s390x]\nbases:\n  \"debian:bookworm-slim\": {{ layout: ./debian \
                 }}\nimages:\n  app: {{ name: example/app, dockerfile: app/Dockerfile, tests: [spec.yaml] }}\n",
                host()
            ),
        )
        .file("app/Dockerfile", "FROM debian:bookworm-slim\n")
        .file(
            "spec.yaml",
            "schemaVersion: 2.0.0\ncommandTests: [{ name: all, command: cat, args: [/made], expectedOutput: \
             ['^1\\n2\\n3\\n4\\n5\\n6\\n$'] }]\n",
        );
    debian(&test.path().join("debian"));
    // What its commands run in is made before the first kill.
    test.xbuild(["images"]).status(1).stderr_contains("spec.yaml: all").run();
    test.write(
        "app/Dockerfile",
        format!(
            "FROM debian:bookworm-slim\nRUN --mount=type=cache,target=/kept,sharing=locked for i in 1 2 3 4 5 6; do echo $i >> \
             /made; mkdir -p /many/$i; echo $i > /kept/$i; sleep {mark}; done\nRUN rm -r /many; sleep {mark}\n"
        ),
    );
    let mut moments = Moments::new(3);
    let (mut kills, mut running) = (0, 0);
    for round in 0..8 {
        let mut child = test.xbuild(["images"]).start();
        // Every other time there is a command that runs for sure.
        let started = Instant::now();
        while round % 2 == 0 && processes_with(&mark).is_empty() && started.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(moments.between(Duration::ZERO, Duration::from_millis(1500)));
        running += usize::from(!processes_with(&mark).is_empty());
        kills += usize::from(child.try_wait().expect("a child").is_none());
        let _ = child.kill();
        child.wait().expect("it ends");
        let killed = Instant::now();
        while !processes_with(&mark).is_empty() {
            assert!(killed.elapsed() < Duration::from_secs(20), "a command outlives xbuild");
            std::thread::sleep(Duration::from_millis(20));
        }
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("the mounts");
        let store = test.store().path().display().to_string();
        assert!(!mounts.contains(&store), "a mount outlives xbuild");
    }
    assert!(kills >= 3 && running >= 2, "{kills} kills, of which {running} while a command ran");
    test.xbuild(["images"]).run();
    test.xbuild(["cache", "fsck"]).stdout_contains("the store is sound").run();
    for arch in [host(), "s390x"] {
        whole(&test, &format!("example/app-{arch}:latest"));
    }
    test.xbuild(["cache", "gc"]).run();
    assert_eq!(count(&test.store().path().join("tmp")), 0);
    test.xbuild(["images"]).run();
}

/// A small Debian as a layout, from the warm store: how such bases are made is another test's business.
fn debian(folder: &Path) {
    let project = format!(
        "version: 1\nname: base\narches: [{}, s390x]\nbases:\n{DEBIAN}images:\n  base: {{ name: example/base, dockerfile: Dockerfile }}\n",
        host()
    );
    let base = Test::new().file("xbuild.yaml", project).file("Dockerfile", "FROM debian:bookworm-slim\n");
    base.xbuild(["images"]).run();
    copy(&format!("oci:{}:example/base:latest", base.dist("images").display()), folder);
}

/// Copies an image with all of its architectures to a layout, reading every blob.
fn copy(source: &str, folder: &Path) {
    let target = format!("oci:{}:copy", folder.display());
    let output = Command::new(tool("skopeo")).args(["copy", "--all", source, &target]).output();
    let output = output.expect("it can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn count(folder: &Path) -> usize {
    std::fs::read_dir(folder).map(|entries| entries.count()).unwrap_or_default()
}

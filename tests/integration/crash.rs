//! Kills at any moment leave garbage at most: the next run succeeds, and the store is sound.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::{Test, tool};

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
    let copy = tempfile::tempdir().expect("a folder");
    let source = format!("oci:{}:{name}", test.dist("images").display());
    let target = format!("oci:{}:copy", copy.path().display());
    let output =
        Command::new(tool("skopeo")).args(["copy", "--all", &source, &target]).output().expect("it can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The name of the only image.
fn image(test: &Test) -> String {
    let record = test.build_record();
    record["images"].as_object().expect("a map").keys().next().expect("an image").clone()
}

fn sums(test: &Test) -> (String, String) {
    (test.read("SHA256SUMS"), test.build_record()["images"].to_string())
}

fn sample() -> Test {
    let test = Test::example("pcap-go");
    let text = std::fs::read_to_string(test.path().join("xbuild.yaml")).expect("the example has a project file");
    let start = text.find("arches: [").expect("it names architectures");
    let end = start + text[start..].find(']').expect("a list");
    let text = format!("{}arches: [s390x]{}", &text[..start], &text[end + 1..]);
    test.file("xbuild.yaml", text)
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

fn count(folder: &Path) -> usize {
    std::fs::read_dir(folder).map(|entries| entries.count()).unwrap_or_default()
}

//! A second run with nothing to do does nothing.

use crate::support::Test;

#[test]
fn a_second_run_builds_nothing_and_touches_nothing() {
    let test = Test::example("pcap-go");
    let arches = format!("{},s390x", crate::support::host());
    let first = test.xbuild(["images", "--arch", &arches]).run();
    let dist = test.snapshot("dist");
    let plan = test.xbuild(["plan", "--format", "json", "--arch", &arches]).run().json();
    for step in plan["steps"].as_array().expect("steps") {
        let image = step["work"]["kind"] == "image";
        assert!(image || step["state"] == "cached", "{}: {}", step["id"], step["reason"]);
    }
    let second = test.xbuild(["images", "--arch", &arches]).run();
    assert_eq!(first.stdout, second.stdout);
    assert_eq!(dist, test.snapshot("dist"));
    let records = |test: &Test| test.build_record()["steps"].clone();
    assert_eq!(records(&test), records(&test));
    // So does one that may not download.
    test.xbuild(["images", "--arch", &arches, "--offline"]).run();
    assert_eq!(dist, test.snapshot("dist"));
}

/// A project whose program tells when it was built, so that a second build cannot be taken for the first.
fn with_another_result_each_time() -> Test {
    Test::new().file(
        "xbuild.yaml",
        format!(
            "version: 1\nname: sample\narches: [{}]\nbinaries:\n  hello:\n    command: \"{{ echo '#!/bin/sh'; date +%N; }} > hello\"\n    \
             outputs: {{ hello: hello }}\n",
            crate::support::host()
        ),
    )
}

#[test]
fn a_file_that_git_ignores_changes_nothing_and_any_other_does() {
    let test = with_another_result_each_time().file(".gitignore", "*.log\n").file("input", "1");
    let place = format!("{}/hello", crate::support::host());
    test.xbuild(["binaries"]).run();
    let first = test.read(&place);
    test.write("build.log", "noise");
    test.xbuild(["binaries"]).run();
    assert_eq!(first, test.read(&place));
    test.write("input", "2");
    test.xbuild(["binaries"]).run();
    let second = test.read(&place);
    assert_ne!(first, second);
    // Back to what was: the first result is still there.
    test.write("input", "1");
    test.xbuild(["binaries"]).run();
    assert_eq!(first, test.read(&place));
}

#[test]
fn what_is_missing_in_dist_comes_back() {
    let test = with_another_result_each_time();
    let place = format!("{}/hello", crate::support::host());
    test.xbuild(["binaries"]).run();
    let first = test.read(&place);
    std::fs::remove_dir_all(test.dist("")).expect("dist can be removed");
    test.xbuild(["binaries"]).run();
    assert_eq!(first, test.read(&place));
    std::fs::write(test.dist(&place), "something else").expect("dist can be written");
    test.xbuild(["binaries"]).run();
    assert_eq!(first, test.read(&place), "what somebody wrote over an output is no output");
}

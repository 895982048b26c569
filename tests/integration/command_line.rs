//! Options, help, exit codes.

use crate::support::{Test, golden};

const PROJECT: &str = "version: 1\nname: sample\narches: [s390x]\nbinaries:\n  hello:\n    command: make\n    outputs: { hello: hello }\n";

#[test]
fn the_help_is_as_it_was() {
    let help = Test::new().without_builders().xbuild(["--help"]).run();
    golden("help.txt", &help.stdout);
    for verb in ["toolchain", "binaries", "test", "images", "run", "shell", "plan", "verify", "doctor", "cache"] {
        Test::new().without_builders().xbuild([verb, "--help"]).stdout_contains("Usage: xbuild ").run();
    }
}

#[test]
fn the_version_is_the_packages() {
    let version = format!("xbuild {}\n", env!("CARGO_PKG_VERSION"));
    Test::new().without_builders().xbuild(["--version"]).stdout(version).run();
}

#[test]
fn an_unknown_architecture_lists_those_there_are() {
    let test = Test::new().without_builders().file("xbuild.yaml", PROJECT);
    let said = test.xbuild(["binaries", "--arch", "sparc"]).status(2).stdout("").run();
    golden("unknown-arch.txt", &said.stderr);
    test.xbuild(["run", "--arch", "../../etc", "--", "true"]).status(2).stderr_contains("s390x").run();
}

#[test]
fn an_architecture_that_the_project_does_not_build_is_told() {
    let test = Test::new().without_builders().file("xbuild.yaml", PROJECT);
    let said = test.xbuild(["binaries", "--arch", "arm"]).status(2).stdout("").run();
    golden("arch-not-in-project.txt", &said.stderr);
}

#[test]
fn an_unknown_binary_lists_those_there_are() {
    let test = Test::new().without_builders().file("xbuild.yaml", PROJECT);
    let said = test.xbuild(["binaries", "hallo"]).status(2).stdout("").run();
    golden("unknown-binary.txt", &said.stderr);
}

#[test]
fn an_unknown_image_is_told() {
    let test = Test::new().without_builders().file("xbuild.yaml", PROJECT);
    test.xbuild(["images", "web"]).status(2).stderr_contains("image").run();
}

#[test]
fn usage_errors_end_with_two() {
    let test = Test::new().without_builders();
    test.xbuild(["frobnicate"]).status(2).stdout("").run();
    test.xbuild(["binaries", "--frobnicate"]).status(2).stdout("").run();
    test.xbuild(["binaries"]).status(2).stderr_contains("there is no project file").stderr_contains("hint: ").run();
    test.xbuild(["binaries", "-j", "0"]).status(2).run();
    test.xbuild(["--engine", "magic", "binaries"]).status(2).stderr_contains("native").run();
}

#[test]
fn a_store_that_cannot_be_written_ends_with_three() {
    let test = Test::new().without_builders().file("xbuild.yaml", PROJECT).file("occupied", "");
    let store = test.path().join("occupied");
    let run = test.xbuild(["binaries"]).env("XBUILD_STORE", store).status(3).stdout("");
    run.stderr_contains("cannot use the store").stderr_contains("XBUILD_STORE").run();
}

#[test]
fn the_doctor_finds_what_the_tests_need() {
    let test = Test::new().without_builders();
    let report = test.xbuild(["doctor", "--json"]).run().json();
    let findings = report["findings"].as_array().expect("findings");
    assert!(findings.len() > 5, "{report}");
    for finding in findings {
        // Each "no" comes with what mends it.
        if finding["state"] == "missing" {
            assert!(finding["mend"].as_str().is_some_and(|mend| !mend.is_empty()), "{finding}");
        }
    }
    test.xbuild(["doctor"]).stdout_contains("kernel").run();
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let test = Test::new().without_builders();
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_xbuild"))
        .arg("-C")
        .arg(test.path())
        .args(["toolchain", "show", "debian-trixie"])
        .env("XBUILD_STORE", test.store().path())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("xbuild can be run");
    drop(child.stdout.take());
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

#[test]
fn colour_is_for_terminals_and_for_those_who_ask() {
    let test = Test::new().without_builders();
    let plain = test.xbuild(["binaries"]).status(2).run();
    assert!(!plain.stderr.contains('\u{1b}'), "{}", plain.stderr);
    let forced = test.xbuild(["binaries", "--color", "always"]).status(2).run();
    assert!(forced.stderr.contains('\u{1b}'), "{}", forced.stderr);
    let never = test.xbuild(["binaries", "--color", "never"]).status(2).run();
    assert!(!never.stderr.contains('\u{1b}'), "{}", never.stderr);
}

//! Options, help, exit codes.

use std::os::unix::ffi::OsStrExt;

use crate::support::{Test, golden};

const PROJECT: &str = "version: 1\nname: sample\narches: [s390x]\nbinaries:\n  hello:\n    command: make\n    outputs: { hello: hello }\n";

#[test]
fn the_help_is_as_it_was() {
    let help = Test::new().without_builders().xbuild(["--help"]).run();
    golden("help.txt", &help.stdout);
    let verbs =
        ["toolchain", "binaries", "test", "images", "lint", "run", "shell", "plan", "verify", "doctor", "cache"];
    for verb in verbs {
        let help =
            Test::new().without_builders().xbuild([verb, "--help"]).stdout_contains("Usage: xbuild ").run().stdout;
        let (own, global) = help.split_once("\nGlobal options:\n").expect("two kinds of options");
        assert!(own.contains("--help") && !own.contains("--offline"), "{verb}: {own}");
        let (global, examples) = global.split_once("\nExamples:\n").expect("examples");
        assert!(global.contains("--offline"), "{verb}: {global}");
        let shown = examples.lines().filter(|line| line.starts_with(&format!("    xbuild {verb}"))).count();
        assert!((2..=4).contains(&shown), "{verb}: {examples}");
        assert!(examples.lines().all(|line| line.len() <= 60), "{verb}: {examples}");
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
fn an_unknown_name_of_a_plan_lists_images_and_binaries() {
    let test = Test::new().without_builders().file("xbuild.yaml", PROJECT);
    let run = test.xbuild(["plan", "hallo"]).status(2).stdout("").stderr_contains("no image and no binary 'hallo'");
    run.stderr_contains("did you mean 'hello'?").stderr_contains("it has no images and the binaries hello").run();
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
fn a_project_file_that_is_not_there_is_told_with_its_whole_path() {
    let test = Test::new().without_builders().file("other.yaml", PROJECT);
    let path = test.path().join("xbuild.yaml").display().to_string();
    test.xbuild(["plan"]).status(2).stderr_contains(format!("no project file {path}")).stderr_contains("-C DIR").run();
    let beside = format!("-f {}", test.path().join("other.yaml").display());
    let run = test.xbuild(["-f", "other.yaml", "plan"]).status(2).stderr_contains("no project file /other.yaml");
    run.stderr_contains(beside).run();
}

#[test]
fn what_is_wrong_with_an_option_is_told_at_once() {
    let test = Test::new().without_builders().file("xbuild.yaml", PROJECT);
    let images = |option: &str, value: &str, said: &str| {
        test.xbuild(["images", option, value]).status(2).stdout("").stderr_contains(said).run();
    };
    images("--output", "type=tar,dest=x,foo=y", "'foo=y'");
    images("--output", "type=tar,dest=-", "go to files");
    images("--output", "type=tgz,dest=x", "there is no type 'tgz'");
    images("--output", "dest=x", "no type=");
    images("--secret", "x", "id=NAME,src=FILE or id=NAME,env=VARIABLE");
    images("--secret", "id=x,src=/nonexistent", "cannot read the secret 'x' from /nonexistent");
    images("--set", "nmae=x", "there is no variable 'nmae'");
}

#[test]
fn variables_of_the_environment_concern_those_who_use_them() {
    let test = Test::new().without_builders().file("xbuild.yaml", PROJECT);
    let odd = || std::ffi::OsStr::from_bytes(b"\xff");
    test.xbuild(["plan"]).env("ODD", odd()).env("XBUILD_ODD", odd()).run();
    let run = test.xbuild(["plan"]).env("XBUILD_VERSION", odd()).status(2);
    run.stderr_contains("XBUILD_VERSION of the environment is not UTF-8").run();
    test.xbuild(["plan"]).env("XBUILD_ENGINE", "").env("XBUILD_BUILDERS", "").run();
    for (name, value) in [("XBUILD_ENGINE", "magic"), ("XBUILD_BUILDERS", "mips=farm")] {
        test.xbuild(["toolchain", "ls"]).env(name, value).run();
        test.xbuild(["plan"]).env(name, value).status(2).stderr_contains(format!("error: {name}: ")).run();
    }
    test.xbuild(["plan", "--engine", "native"]).env("XBUILD_ENGINE", "magic").run();
}

#[test]
fn facts_of_programs_do_not_wait_for_others() {
    let test = Test::new().without_builders();
    let program = env!("CARGO_BIN_EXE_xbuild");
    let run = test.xbuild(["verify", "/nonexistent", program]).status(2).stdout_contains(format!("{program}\n"));
    run.stderr_contains("cannot read /nonexistent").run();
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
fn the_doctor_finds_that_the_store_has_no_place() {
    let test = Test::new().without_builders();
    let run = test.xbuild(["doctor"]).env("XBUILD_STORE", "").env("XDG_CACHE_HOME", "").env("HOME", "").status(3);
    run.stdout_contains("there is no place for the store").stdout_contains("git").run();
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

//! `xbuild run` and `xbuild shell` on an engine.

use std::process::Command;

use super::sample::{bare, left, on};
use crate::support::{Docker, Files, Identity, Release, Test, tool, xbuild_as};

/// What comes out of a terminal in which xbuild runs on an engine, and its exit code.
fn on_a_terminal(test: &Test, endpoint: &str, arguments: &str) -> (String, Option<i32>) {
    let program = xbuild_as(Identity::Own).get_program().to_string_lossy().into_owned();
    let line = format!("stty rows 33 cols 77; '{program}' -C '{}' {arguments}", test.path().display());
    let mut command = Command::new(tool("script"));
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]).env("TERM", "xterm-256color");
    command.env("XBUILD_ENGINE", format!("docker={endpoint}")).env("XBUILD_STORE", test.store().path());
    let output = command.output().expect("script can be run");
    (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code())
}

fn talks(docker: &Docker) {
    let endpoint = docker.endpoint();
    let test = bare("").file("letter", "hello\n");
    let run = |words: &[&str]| {
        let words: Vec<&str> = ["run", "--arch", "s390x", "--"].iter().chain(words).copied().collect();
        on(test.xbuild_with(&words), &endpoint)
    };
    run(&["cat", "letter"]).stdout("hello\n").run();
    run(&["sh", "-c", "echo $XBUILD_ARCH; pwd; echo words >&2; exit 7"])
        .status(7)
        .stdout("s390x\n/src\n")
        .stderr_contains("words")
        .run();
    run(&["sh", "-c", "kill -KILL $$"]).status(137).run();
    run(&["sh", "-c", "rm letter; touch new"]).run();
    assert!(test.path().join("letter").exists() && !test.path().join("new").exists(), "the project has changed");
    let long = "a line\n".repeat(50_000);
    run(&["sort"]).input(long.clone()).stdout(long.clone()).run();
    let shell = on(test.xbuild(["shell", "--arch", "s390x"]), &endpoint);
    shell.input("cat letter\nexit 5\n").status(5).stdout("hello\n").run();
    let asked = "run --arch s390x -- sh -c 'test -t 0 && test -t 1 && stty size; echo $TERM; exit 3'";
    let (shown, code) = on_a_terminal(&test, &endpoint, asked);
    assert!(shown.contains("33 77") && shown.contains("xterm-256color"), "{shown}");
    assert_eq!(code, Some(3), "{shown}");
    assert_eq!(left(docker), [""; 0]);
}

#[test]
fn commands_talk_on_docker_that_sees_the_files() {
    let Some(docker) = Docker::of(Release::Oldest).files(Files::Seen).start() else { return };
    talks(&docker);
}

#[test]
fn commands_talk_on_docker_that_sees_no_files() {
    let Some(docker) = Docker::of(Release::Current).start() else { return };
    talks(&docker);
}

//! Projects whose git folder is elsewhere: worktrees and submodules, of whomever they are.

use std::path::Path;
use std::process::Command;

use super::sample::{bare_with, on, printed, stir};
use crate::support::{Docker, Files, Identity, Release, Test, tool};

fn git(folder: &Path, arguments: &[&str]) {
    let mut command = Command::new(tool("git"));
    command.args(["-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "protocol.file.allow=always"]);
    command.args(["-c", "safe.directory=*"]).args(arguments).current_dir(folder).env("GIT_CONFIG_GLOBAL", "/dev/null");
    let output = command.output().expect("git can be run");
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A commit with a tag, and one more.
fn project() -> Test {
    let makefile = "hello:\n\t{ echo '#!/bin/sh'; git describe --always --dirty; } > hello\n";
    let test = bare_with("git, make", &printed("true").replace("{ echo '#!/bin/sh'; true; } > hello", "make hello"));
    let test = test.file("Makefile", makefile).file(".gitignore", ".salt\nhello\ndist\n").git();
    git(test.path(), &["tag", "-m", "a release", "v1.2.3"]);
    git(test.path(), &["commit", "-q", "--allow-empty", "-m", "more"]);
    test
}

/// A folder for a project, with nothing in it.
fn empty() -> Test {
    let test = Test::new().below("project");
    std::fs::remove_dir_all(test.path()).expect("it is there");
    test
}

fn worktree(of: &Test) -> Test {
    let test = empty();
    git(of.path(), &["worktree", "add", "-q", "--detach", &test.path().to_string_lossy()]);
    test
}

fn submodule(of: &Test) -> Test {
    let test = empty();
    let above = test.path().parent().expect("a folder").to_owned();
    git(&above, &["init", "-q"]);
    git(&above, &["submodule", "--quiet", "add", &of.path().to_string_lossy(), "project"]);
    git(&above, &["commit", "-q", "-m", "a submodule"]);
    test
}

#[test]
fn commands_find_the_history_of_worktrees_and_submodules() {
    let seen = Docker::of(Release::Oldest).files(Files::Seen).start();
    let (Some(seen), Some(unseen)) = (seen, Docker::of(Release::Current).start()) else { return };
    let origin = project();
    for test in [worktree(&origin), submodule(&origin)] {
        test.xbuild(["binaries", "--engine", "native"]).run();
        let native = test.read("s390x/hello");
        assert!(native.starts_with("#!/bin/sh\nv1.2.3-1-g") && !native.contains("dirty"), "{native}");
        // Not of whoever runs xbuild.
        Identity::Range.own(test.path().parent().expect("a folder"));
        Identity::Range.own(origin.path());
        for docker in [&seen, &unseen] {
            stir(&test);
            on(test.xbuild(["binaries"]), &docker.endpoint()).run();
            assert_eq!(test.read("s390x/hello"), native);
        }
    }
}

//! What git is asked about a project runs nothing that the repository names, whosever it is.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{Test, host, tool};

/// What a commit has that is signed.
const SIGNATURE: &str = "gpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----\n";

/// A project in a repository that names a program wherever one may be named. Each leaves its name in a folder.
struct Hostile {
    test: Test,
    marks: tempfile::TempDir,
}

impl Hostile {
    fn new() -> Hostile {
        let project = format!(
            "version: 1\nname: sample\narches: [{}]\nbinaries:\n  hello:\n    command: \"true\"\n    outputs: {{ hello: hello }}\n    \
             env: {{ VERSION: \"{{{{ version }}}}\" }}\n",
            host()
        );
        let test =
            Test::new().file("xbuild.yaml", project).file(".gitattributes", "*.txt filter=one\n*.md filter=a.two\n");
        let test = test.file("a.txt", "text\n").file("b.md", "text\n").git().without_builders();
        let hostile = Hostile { test, marks: tempfile::tempdir().expect("a folder") };
        let commit = hostile.git(&["cat-file", "commit", "HEAD"], "");
        let signed = commit.replacen("\n\n", &format!("\n{SIGNATURE}\n"), 1);
        let signed = hostile.git(&["hash-object", "-t", "commit", "-w", "--stdin"], &signed);
        hostile.git(&["update-ref", "HEAD", signed.trim()], "");
        let included = format!("[filter \"one\"]\n\tclean = \"{}; cat\"\n\trequired = true\n", hostile.mark("clean"));
        hostile.test.write(".git/included", included);
        hostile.git(&["config", "include.path", "included"], "");
        hostile.git(&["config", "log.showSignature", "true"], "");
        hostile.git(&["config", "gpg.program", &hostile.program("gpg")], "");
        hostile.git(&["config", "core.fsmonitor", &hostile.program("fsmonitor")], "");
        fs::create_dir_all(hostile.test.path().join(".git/hooks")).expect("a folder");
        fs::copy(hostile.program("hook"), hostile.test.path().join(".git/hooks/post-index-change")).expect("a hook");
        hostile
    }

    /// A shell command that says that it was run.
    fn mark(&self, name: &str) -> String {
        format!("touch {}/{name}", self.marks.path().display())
    }

    /// A program that does.
    fn program(&self, name: &str) -> String {
        let path = self.marks.path().join(format!("{name}.sh"));
        fs::write(&path, format!("#!/bin/sh\n{}\n", self.mark(name))).expect("a program");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&path, mode).expect("its owner may");
        path.display().to_string()
    }

    fn git(&self, arguments: &[&str], input: &str) -> String {
        let mut git = Command::new(tool("git"));
        git.args(["-c", "safe.directory=*"]).args(arguments).current_dir(self.test.path());
        let git = git.env("GIT_CONFIG_GLOBAL", "/dev/null").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut git = git.spawn().expect("git can be run");
        git.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("git reads");
        let output = git.wait_with_output().expect("git ends");
        assert!(output.status.success(), "git {arguments:?}");
        String::from_utf8(output.stdout).expect("text")
    }

    /// The version as planning finds it, in a repository of the caller's own or of somebody else.
    fn version(&self, owner: &str) -> String {
        // Files that look as if they might have changed are looked at.
        for name in ["a.txt", "b.md"] {
            self.test.write(name, "text\n");
        }
        let plan =
            self.test.xbuild(["plan", "--format", "json"]).env("GIT_TEST_ASSUME_DIFFERENT_OWNER", owner).run().json();
        let steps = plan["steps"].as_array().expect("steps").iter();
        let version = steps.filter_map(|step| step["work"]["command"]["env"]["VERSION"].as_str()).next();
        version.expect("a version").to_owned()
    }

    /// Which programs were run, since this was asked last.
    fn ran(&self) -> Vec<String> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.marks.path()).expect("a folder").flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if !name.ends_with(".sh") {
                fs::remove_file(entry.path()).expect("its owner may");
                names.push(name);
            }
        }
        names
    }

    fn expected(&self) -> String {
        format!("git-{}", &self.git(&["rev-parse", "HEAD"], "")[..12])
    }
}

const OWN: &str = "0";
const FOREIGN: &str = "1";

#[test]
fn in_a_repository_of_one_s_own_filters_run_and_nothing_else() {
    let hostile = Hostile::new();
    assert_eq!(hostile.version(OWN), hostile.expected());
    assert_eq!(hostile.ran(), ["clean"]);
}

#[test]
fn in_a_repository_of_another_s_nothing_runs() {
    let hostile = Hostile::new();
    hostile.git(&["config", "filter.a.two.process", &hostile.mark("process")], "");
    let index = hostile.test.path().join(".git/index");
    let before = fs::read(&index).expect("an index");
    assert_eq!(hostile.version(FOREIGN), hostile.expected());
    hostile.test.write("xbuild.yaml", fs::read_to_string(hostile.test.path().join("xbuild.yaml")).unwrap() + "\n");
    assert_eq!(hostile.version(FOREIGN), hostile.expected() + "-dirty");
    assert_eq!(fs::read(&index).expect("an index"), before, "nothing is written either");
    // A name that git would understand in another way on its command line.
    hostile.test.write(".gitattributes", "*.txt filter=one=x\n");
    hostile.git(&["config", "filter.one=x.clean", &hostile.mark("equals")], "");
    hostile.test.write("a.txt", "text\n");
    let plan = hostile.test.xbuild(["plan"]).env("GIT_TEST_ASSUME_DIFFERENT_OWNER", FOREIGN);
    plan.status(2).stderr_contains("version").run();
    assert_eq!(hostile.ran(), [""; 0]);
}

#[test]
fn a_folder_that_came_with_the_files_is_no_repository() {
    let hostile = Hostile::new();
    let inner = Test::new().below("inner");
    // What is in `.git` elsewhere are plain files here.
    copy(&hostile.test.path().join(".git"), inner.path());
    copy(hostile.test.path(), inner.path());
    hostile.git(&["--git-dir", &inner.path().display().to_string(), "config", "core.worktree", "."], "");
    fs::create_dir(inner.path().with_file_name(".git")).expect("a folder");
    let inner = inner.without_builders();
    inner.xbuild(["plan"]).status(2).stderr_contains("version").run();
    assert_eq!(hostile.ran(), [""; 0]);
}

/// Copies all but `.git`.
fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("a folder").flatten().filter(|entry| entry.file_name() != ".git") {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir_all(&to).expect("a folder");
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).expect("a copy");
        }
    }
}

//! Commands of structure tests, in real containers of real images.

use std::fs;
use std::time::{Duration, Instant};

use crate::support::{DEBIAN, Identity, Test, host, tool, unique};

const PROJECT: &str =
    "images:\n  app: { name: example/app, dockerfile: app/Dockerfile, tests: [\"tests/{{ arch.name }}.yaml\"] }\n";

/// An image with a shell for two architectures. `useradd` notes the day, which is the present one unless it is told another.
fn with_a_shell() -> Test {
    Test::new()
        .file(
            "xbuild.yaml",
            format!(
                "version: 1\nname: sample\narches: [{}, s390x]\nbases:\n{DEBIAN}{PROJECT}",
                host()
            ),
        )
        .file(
            "app/Dockerfile",
            "FROM debian:bookworm-slim\nRUN SOURCE_DATE_EPOCH=1 useradd -m -u 1234 me && chown me /srv\nENV GREETING=hello\nWORKDIR /srv\nUSER me\n\
             ENTRYPOINT [\"/bin/false\"]\n",
        )
}

fn spec(machine: &str) -> String {
    let mark = unique();
    format!(
        "# {mark}: what an earlier run has passed does not stand in for this one
schemaVersion: 2.0.0
globalEnvVars: [{{ key: PATH, value: '/more:$PATH' }}]
commandTests:
- name: as the image says
  command: sh
  args: [-c, 'id -u; pwd; echo $GREETING $HOME; uname -m; echo $PATH']
  expectedOutput: ['^1234\\n/srv\\nhello /home/me\\n{machine}\\n/more:/usr']
- name: no network
  command: sh
  args: [-c, 'tail -n +3 /proc/net/dev']
  expectedOutput: ['^ *lo:[^\\n]*\\n$']
- name: one root for all commands
  setup: [[sh, -c, 'echo one > file'], [sh, -c, 'echo two >> file']]
  command: cat
  args: [file]
  expectedOutput: ['^one\\ntwo\\n$']
  teardown: [[test, -s, file]]
- name: a fresh root for each test
  command: test
  args: [-e, file]
  exitCode: 1
- name: two streams
  command: sh
  args: [-c, 'echo out; echo err >&2; kill -9 $$']
  exitCode: 137
  expectedOutput: ['^out\\n$']
  excludedOutput: [err]
  expectedError: ['^err\\n$']
  excludedError: [out]
fileExistenceTests: [{{ name: home, path: /home/me, uid: 1234 }}]
"
    )
}

/// The digest of an architecture's image.
fn named(test: &Test, arch: &str) -> String {
    let index: serde_json::Value = serde_json::from_str(&test.read("images/index.json")).expect("JSON");
    let name = format!("example/app-{arch}:latest");
    let manifests = index["manifests"].as_array().expect("a list");
    let found = manifests.iter().find(|manifest| manifest["annotations"]["org.opencontainers.image.ref.name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {index}"))["digest"].to_string()
}

#[test]
fn commands_run_in_containers_of_the_image() {
    let machine = if host() == "amd64" { "x86_64" } else { "aarch64" };
    let test =
        with_a_shell().file(&format!("tests/{}.yaml", host()), spec(machine)).file("tests/s390x.yaml", spec("s390x"));
    let first = test.xbuild(["images", "-v"]).run();
    for arch in [host(), "s390x"] {
        assert!(first.stderr.contains(&format!("image/app/{arch}/two streams")), "{}", first.stderr);
    }
    // What has passed once is not looked at again, unless it is wanted.
    let second = test.xbuild(["images", "-v"]).run();
    assert_eq!(first.stdout, second.stdout);
    assert!(!second.stderr.contains("two streams"), "{}", second.stderr);
    let digest = named(&test, host());
    let third = test.xbuild(["images", "-v", "--no-cache", "--arch", host()]).run();
    assert!(third.stderr.contains("two streams"), "{}", third.stderr);
    assert_eq!(named(&test, host()), digest, "tests leave nothing in images");

    test.write(
        "tests/s390x.yaml",
        "schemaVersion: 2.0.0\ncontainerRunOptions: { user: root }\ncommandTests:\n\
         - { name: who, command: id, args: [-u], expectedOutput: ['^1234'], exitCode: 4 }\n\
         - { name: setting up, setup: [[sh, -c, 'echo no; exit 9']], command: 'true' }\n",
    );
    let said = test.xbuild(["images"]).status(1).run();
    for wanted in [
        "tests/s390x.yaml: who: standard output has nothing that matches '^1234'; it is\n  | 0\n",
        "tests/s390x.yaml: who: the command ended with exit code 0, and not with exit code 4",
        "tests/s390x.yaml: setting up: the setup `sh -c echo no; exit 9` ended with exit code 9; standard output is\n  | no\n",
    ] {
        assert!(said.stderr.contains(wanted), "{wanted}: {}", said.stderr);
    }
    let index = test.read("images/index.json");
    assert!(index.contains(&format!("example/app-{}:latest", host())), "{index}");
    assert!(!index.contains("example/app-s390x:latest") && !index.contains("\"example/app:latest\""), "{index}");
}

/// An image of one static program, which every Debian has, for the machine itself.
fn with_a_program(spec: &str) -> Test {
    let program = fs::read(tool("ldconfig")).expect("ldconfig can be read");
    Test::new()
        .file("xbuild.yaml", format!("version: 1\nname: sample\narches: [{}]\n{PROJECT}", host()))
        .file(
            "app/Dockerfile",
            "FROM scratch\nCOPY --chmod=755 ldconfig /ldconfig\nRUN [\"/ldconfig\", \"-C\", \"/cache\"]\nUSER 1234\n",
        )
        .file("app/ldconfig", program)
        .file(&format!("tests/{}.yaml", host()), format!("schemaVersion: 2.0.0\n{spec}"))
}

#[test]
fn whoever_builds_can_test_and_plan() {
    for identity in [Identity::Own, Identity::Range, Identity::Single] {
        if !identity.possible() {
            continue;
        }
        let test = with_a_program(
            "commandTests:\n- { name: version, command: /ldconfig, args: [--version], expectedOutput: ['^ldconfig '] }\n\
             - { name: nothing, command: /nothing, exitCode: 127, expectedError: ['cannot run /nothing'] }\n",
        )
        .user(identity)
        .cold();
        test.xbuild(["images"]).stdout_contains("example/app:latest@sha256:").run();
        test.xbuild(["plan"]).stdout_contains("3  cached     RUN [").run();
        test.xbuild(["cache", "fsck"]).stdout_contains("the store is sound").run();
    }
}

#[test]
fn a_command_has_its_limits() {
    let forever = "commandTests: [{ name: forever, command: sleep, args: ['1000'] }]\n";
    let test = with_a_shell();
    let write = |spec: &str| {
        test.write(&format!("tests/{}.yaml", host()), format!("schemaVersion: 2.0.0\n{spec}"));
    };
    write(forever);
    let started = Instant::now();
    test.xbuild(["images", "--arch", host(), "--test-timeout", "2"])
        .status(1)
        .stderr_contains("the command ended with killed after 2 s, and not with exit code 0")
        .run();
    assert!(started.elapsed() < Duration::from_secs(200), "it was not killed");
    write("commandTests: [{ name: loud, command: 'yes' }]\n");
    test.xbuild(["images", "--arch", host()]).status(1).stderr_contains("killed for too much output").run();
}

#[test]
fn what_is_wrong_with_a_test_is_told_before_anything_is_built() {
    let test = with_a_program("commandTests: [{ name: n, command: /ldconfig, expectedOutput: ['('] }]\n");
    test.xbuild(["images"]).status(2).stderr_contains("the regular expression '('").run();
    test.write(&format!("tests/{}.yaml", host()), "schemaVersion: 2.0.0\ncontainerRunOptions: { privileged: true }\n");
    test.xbuild(["images"]).status(2).stderr_contains("privileged is not supported").run();
    assert!(!test.dist("images").exists());
}

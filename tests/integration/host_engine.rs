//! `--engine host`: the machine's own compilers, with neither container nor sandbox.
//!
//! The machine of the tests need not have any cross compiler: where one is needed, the machine is a builder that the native
//! engine has made, with xbuild in it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Identity, Test, elf_header, host, processes_with, readelf, tool, unique, xbuild_as};

const HELLO: &str =
    "#include <stdio.h>\n#include \"made.h\"\nint main(void) { puts(MADE \" \" __FILE__); return 0; }\n";

/// A C program that is built from what `prepare` makes, for the machine itself.
fn hello() -> Test {
    let keys = format!(
        "version: 1\nname: sample\narches: [{}]\nprepare: 'echo \"#define MADE \\\"hello\\\"\" > made.h; rm gone.c'\nbinaries:\n",
        host()
    );
    let binary = "  hello:\n    command: \"test ! -e gone.c; test ! -e dist; $CC -g -o hello $(pwd)/hello.c; rm hello.c\"\n    \
                  outputs: { hello: hello }\n    test: \"test \\\"$(hello)\\\" = \\\"hello /src/hello.c\\\"\"\n";
    Test::new().file("xbuild.yaml", keys + binary).file("hello.c", HELLO).file("gone.c", "").file("dist/old", "")
}

#[test]
fn the_machines_own_compiler_builds_in_a_copy_of_the_tree() {
    for identity in [Identity::Own, Identity::Range, Identity::Single] {
        if !identity.possible() {
            continue;
        }
        let test = hello().user(identity).cold();
        let before = test.snapshot("");
        test.xbuild(["--engine", "host", "test"]).stderr_contains("built 3").run();
        let mut after = test.snapshot("");
        after.retain(|path, _| !path.starts_with(test.path().join("dist")) || before.contains_key(path));
        assert_eq!(before, after, "the tree is as it was");
        let program = fs::read(test.dist(&format!("{}/hello", host()))).expect("a program");
        let store = test.store().path().display().to_string();
        assert!(!program.windows(store.len()).any(|part| part == store.as_bytes()), "a path reached the program");
        test.xbuild(["--engine", "host", "binaries"]).stderr_contains("cached 2 in").run();
    }
}

#[test]
fn another_compiler_means_another_build() {
    let test = hello().cold();
    test.xbuild(["--engine", "host", "binaries"]).run();
    let compiler = test.store().path().join("my-cc").display().to_string();
    fs::write(&compiler, "#!/bin/sh\nexec gcc -DOTHER \"$@\"\n").expect("a script");
    fs::set_permissions(&compiler, fs::Permissions::from_mode(0o755)).expect("its owner may");
    let variable = format!("CC_{}", host());
    let said = test.xbuild(["--engine", "host", "-v", "binaries"]).env(&variable, &compiler).run();
    assert!(said.stderr.contains("the machine's CC changed"), "{}", said.stderr);
    let foreign = if host() == "s390x" { "arm64" } else { "s390x" };
    let file = fs::read_to_string(test.path().join("xbuild.yaml")).expect("the project's file");
    test.write("xbuild.yaml", file.replace(&format!("[{}]", host()), &format!("[{foreign}]")));
    test.xbuild(["--engine", "host", "binaries"])
        .env(&format!("CC_{foreign}"), &compiler)
        .stderr_contains(format!("{compiler} compiles for "))
        .stderr_contains(format!("(CC_{foreign})"))
        .status(3)
        .run();
}

#[test]
fn one_error_names_all_that_is_missing_and_who_brings_it() {
    let test = Test::new().without_builders().file(
        "xbuild.yaml",
        "version: 1\nname: sample\narches: [arm, s390x]\nbinaries:\n  x: { go: { package: . }, libs: [libpcap] }\n",
    );
    let said = test.xbuild(["--engine", "host", "binaries"]).env("PATH", "/nonexistent").status(3).run();
    for text in [
        "this machine has no bison, no flex, no go, no make for all targets; no arm-linux-gnueabihf-ar, ",
        "no s390x-linux-gnu-ranlib for s390x\n",
        "hint: all targets: Debian's and Ubuntu's packages are bison flex golang-1.24-go make\n",
        "hint: s390x: Debian's and Ubuntu's packages are g++-s390x-linux-gnu gcc-s390x-linux-gnu libc6-dev-s390x-cross\n",
    ] {
        assert!(said.stderr.contains(text), "no {text:?} in\n{}", said.stderr);
    }
    assert_eq!(said.stderr.matches("error:").count(), 1, "{}", said.stderr);
}

#[test]
fn no_namespace_is_needed() {
    let test = hello().cold();
    let script = "echo 0 > /proc/sys/user/max_user_namespaces && exec \"$@\"";
    let xbuild = xbuild_as(Identity::Own);
    let mut command = Command::new(tool("unshare"));
    command.args(["--user", "--map-root-user", "sh", "-euc", script, "sh"]).arg(xbuild.get_program());
    command.arg("-C").arg(test.path()).args(["--engine", "host", "binaries"]);
    let output = command.env("XBUILD_STORE", test.store().path()).stdin(Stdio::null()).output().expect("it can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(elf_header(&test.dist(&format!("{}/hello", host())), "Class"), "ELF64");
}

#[test]
fn a_command_runs_on_the_machine_with_the_tools_of_its_target() {
    let test = hello().cold();
    let script = "echo $XBUILD_ARCH; test -e hello.c; rm hello.c; command -v $CC > /dev/null; exit 7";
    let run = test.xbuild(["--engine", "host", "run", "--arch", host(), "--", "sh", "-euc", script]);
    run.stdout(format!("{}\n", host())).status(7).run();
    assert!(test.path().join("hello.c").exists());
}

#[test]
fn nothing_of_a_command_outlives_it_or_xbuild() {
    let seconds = (1_000_000 + unique()).to_string();
    let project = |ends: &str| {
        let command =
            format!("setsid sleep {seconds} & (trap '' TERM INT; sleep {seconds}) & {ends}; cp hello.c hello");
        Test::new().cold().file("hello.c", "").file(
            "xbuild.yaml",
            format!(
                "version: 1\nname: sample\narches: [{}]\nbinaries:\n  hello: {{ command: \"{command}\", outputs: {{ hello: hello }} }}\n",
                host()
            ),
        )
    };
    let gone = || {
        let until = Instant::now() + Duration::from_secs(10);
        while !processes_with(&seconds).is_empty() {
            assert!(Instant::now() < until, "still there: {:?}", processes_with(&seconds));
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    // What it made is no program, which is found after its end.
    project("true").xbuild(["--engine", "host", "binaries"]).status(1).run();
    gone();
    for signal in [nix::sys::signal::Signal::SIGINT, nix::sys::signal::Signal::SIGKILL] {
        let test = project(&format!("sleep {seconds}"));
        let mut xbuild = test.xbuild(["--engine", "host", "binaries"]).start();
        let until = Instant::now() + Duration::from_secs(60);
        while processes_with(&seconds).len() < 3 {
            assert!(Instant::now() < until, "it never ran: {}", test.said());
            std::thread::sleep(Duration::from_millis(20));
        }
        let pid = nix::unistd::Pid::from_raw(i32::try_from(xbuild.id()).expect("a pid"));
        nix::sys::signal::kill(pid, signal).expect("it runs");
        let status = xbuild.wait().expect("it ends");
        assert_eq!(status.code(), (signal == nix::sys::signal::Signal::SIGINT).then_some(130), "{}", test.said());
        gone();
    }
}

/// An example in a machine that has its compilers: a builder of the native engine, with xbuild and the sources that the
/// native build used.
fn machine(example: &Test) -> Test {
    let machine = Test::new().file(
        "xbuild.yaml",
        format!("version: 1\nname: machine\narches: [{}, s390x]\nbinaries:\n  x: {{ go: {{ package: . }} }}\n", host()),
    );
    let sources = machine.path().join("store/sources-v1");
    fs::create_dir_all(&sources).expect("a folder");
    let record = example.build_record().to_string();
    for entry in fs::read_dir(example.store().path().join("sources-v1")).expect("sources").flatten() {
        if record.contains(&*entry.file_name().to_string_lossy()) {
            fs::copy(entry.path(), sources.join(entry.file_name())).expect("a copy");
        }
    }
    let files = example.snapshot("");
    for path in files.keys().filter(|path| !path.starts_with(example.dist("")) && path.is_file()) {
        let target = machine.path().join("project").join(path.strip_prefix(example.path()).expect("it is below"));
        fs::create_dir_all(target.parent().expect("a folder")).expect("a folder");
        fs::copy(path, target).expect("a copy");
    }
    fs::copy(env!("CARGO_BIN_EXE_xbuild"), machine.path().join("xbuild")).expect("a copy");
    machine
}

#[test]
fn the_same_compilers_make_the_same_bytes_as_in_a_builder() {
    let example = Test::example("pcap-go");
    // A machine need not have git.
    let arches = format!("{},s390x", host());
    let with_facts = |test: &Test| {
        test.xbuild(["--set", "version=7", "binaries", "--arch", &arches]).env("SOURCE_DATE_EPOCH", "7").run();
    };
    with_facts(&example);
    let machine = machine(&example);
    for arch in [host(), "s390x"] {
        let script = format!(
            "export XBUILD_STORE=/src/store XBUILD_ENGINE=host; cd project; \
             ../xbuild --set version=7 --offline binaries --arch {arch} >&2; cat dist/SHA256SUMS; \
             ../xbuild --set version=7 --offline test --arch {arch} >&2 || exit $((100 + $?))"
        );
        let run = machine.xbuild(["run", "--arch", arch, "--", "sh", "-euc", &script]).env("SOURCE_DATE_EPOCH", "7");
        // Nobody has told the machine's kernel how to run programs for s390x.
        let foreign = arch != host();
        let said = run.status(if foreign { 103 } else { 0 }).run();
        let native = example.read("SHA256SUMS");
        let line = native.lines().find(|line| line.ends_with(&format!(" {arch}/pcap-go"))).expect("a digest");
        assert_eq!(said.stdout.trim_end(), line, "{arch}");
        if foreign {
            assert!(said.stderr.contains("this machine does not run programs for s390x"), "{}", said.stderr);
        }
    }
    let file = example.dist("s390x/pcap-go");
    assert_eq!(elf_header(&file, "Machine"), "IBM S/390");
    assert!(!readelf("-l", &file).contains("INTERP"));
}

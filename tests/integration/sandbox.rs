//! What commands in a builder see and cannot do, and that nothing of them outlives xbuild.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::support::{Identity, Server, Test, host, processes_with, unique, wait_until};

/// A project whose only program is a script that a command writes; `more` are further keys of it.
fn project(command: &str, more: &str) -> String {
    let command = command.replace('\n', "\n      ");
    format!(
        "version: 1\nname: sample\narches: [{}]\nbinaries:\n  hello:\n{more}    outputs: {{ hello: hello }}\n    \
         command: |\n      {command}\n",
        host()
    )
}

/// What the command of a project has written, after the line that makes it a script.
fn written(command: &str, more: &str) -> String {
    let command = format!("{{ echo '#!/bin/sh'; {command}; }} > hello");
    let test = Test::new().file("xbuild.yaml", project(&command, more));
    test.xbuild(["binaries"]).run();
    let text = test.read(&format!("{}/hello", host()));
    text.strip_prefix("#!/bin/sh\n").expect("the first line").to_owned()
}

fn interfaces(text: &str) -> BTreeSet<String> {
    text.lines().filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned())).collect()
}

#[test]
fn there_is_no_network() {
    let found = interfaces(&written("cat /proc/net/dev", ""));
    assert_eq!(found, BTreeSet::from(["lo".to_owned()]));
    let server = Server::new([]);
    let connect = format!("if (exec 3<> /dev/tcp/127.0.0.1/{}); then echo open; else echo shut; fi", server.port());
    let connect = format!("bash -c '{connect}'");
    assert_eq!(written(&connect, ""), "shut\n");
    assert_eq!(written(&connect, "    network: true\n"), "open\n");
}

#[test]
fn the_network_is_there_when_it_is_asked_for() {
    let found = interfaces(&written("cat /proc/net/dev", "    network: true\n"));
    let own = interfaces(&fs::read_to_string("/proc/net/dev").expect("the machine's interfaces"));
    // Interfaces of containers may come and go meanwhile.
    assert!(found.intersection(&own).count() > 1, "{found:?} and {own:?}");
}

#[test]
fn the_tree_stays_as_it_is() {
    for identity in [Identity::Own, Identity::Range, Identity::Single] {
        if !identity.possible() {
            continue;
        }
        let command = "echo '#!/bin/sh' > hello; rm gone; echo more >> changed; mkdir -p new/folder; chmod 755 mode; mv folder moved";
        let test = Test::new()
            .file("xbuild.yaml", project(command, ""))
            .file("tree/.keep", "")
            .file("gone", "1")
            .file("changed", "1")
            .file("mode", "1")
            .file("folder/file", "1")
            .user(identity);
        let before = test.snapshot(".");
        test.xbuild(["binaries"]).run();
        let mut after = test.snapshot(".");
        after.retain(|path, _| !path.starts_with(test.path().join("./dist")));
        assert_eq!(before, after, "as {identity:?}");
    }
}

#[test]
fn outputs_belong_to_the_caller() {
    use std::os::unix::fs::MetadataExt;
    for identity in [Identity::Own, Identity::Range, Identity::Single] {
        if !identity.possible() {
            continue;
        }
        let test = Test::new().file("xbuild.yaml", project("echo '#!/bin/sh' > hello", "")).user(identity);
        test.xbuild(["binaries"]).run();
        let uid = identity.user().map_or(nix::unistd::Uid::effective(), |user| user.uid).as_raw();
        for place in [format!("{}/hello", host()), "SHA256SUMS".into(), "build.json".into()] {
            assert_eq!(fs::metadata(test.dist(&place)).expect("it is there").uid(), uid, "{place} as {identity:?}");
        }
    }
}

#[test]
fn commands_are_root_inside_and_the_machine_is_protected() {
    let checks = "\
test \"$(id -u)\" = 0
test \"$(hostname 2> /dev/null || cat /proc/sys/kernel/hostname)\" = xbuild
for file in /proc/sys/kernel/hostname /proc/sys/vm/drop_caches /proc/sys/kernel/core_pattern /proc/sysrq-trigger; do
  if (echo 1 > $file) 2> /dev/null; then echo \"$file can be written\"; exit 1; fi
done
if mount -o remount,rw /proc/sys 2> /dev/null && (echo 1 > /proc/sys/vm/drop_caches) 2> /dev/null; then echo remounted; exit 1; fi
test ! -e /.outside
test -z \"$(ls /home)\"
test \"$(ls /proc | grep -c '^[0-9]*$')\" -lt 20
echo '#!/bin/sh' > hello";
    for identity in [Identity::Own, Identity::Range, Identity::Single] {
        if identity.possible() {
            let test = Test::new().file("xbuild.yaml", project(checks, "")).user(identity);
            test.xbuild(["binaries", "-v"]).run();
        }
    }
}

#[test]
fn the_environment_is_the_plans_alone() {
    let look = "if env | grep -i smuggled || grep -ai smuggled /proc/*/environ; then exit 1; fi";
    for identity in [Identity::Own, Identity::Range, Identity::Single] {
        if !identity.possible() {
            continue;
        }
        let command = format!("{look}; echo '#!/bin/sh' > hello");
        let test = Test::new().file("xbuild.yaml", project(&command, "")).user(identity);
        test.xbuild(["binaries"]).env("SMUGGLED", "smuggled").run();
        test.xbuild(["run", "--arch", host(), "--", "sh", "-c", look]).env("SMUGGLED", "smuggled").run();
    }
}

#[test]
fn there_is_no_input_to_wait_for() {
    let test = Test::new().file(
        "xbuild.yaml",
        project(
            "if read line; then exit 1; fi; if (: < /dev/tty) 2> /dev/null; then exit 2; fi; \
             if readlink /proc/1/fd/0; then exit 3; fi; echo '#!/bin/sh' > hello",
            "",
        ),
    );
    test.xbuild(["binaries"]).silent_stdin().run();
}

#[test]
fn a_hundred_megabytes_of_output_are_fine() {
    let test = Test::new().file(
        "xbuild.yaml",
        project("yes 'a line of output that nobody reads' | head -c 100000000; echo '#!/bin/sh' > hello", ""),
    );
    let mut child = test.xbuild(["binaries", "-q"]).start();
    assert!(child.wait().expect("xbuild ends").success());
    assert!(test.dist(&format!("{}/hello", host())).exists());
}

#[test]
fn what_a_command_leaves_running_ends_with_it() {
    let seconds = format!("9{}", unique());
    let command = format!("sleep {seconds} & setsid sleep {seconds} & echo '#!/bin/sh' > hello");
    let test = Test::new().file("xbuild.yaml", project(&command, ""));
    test.store();
    let started = Instant::now();
    test.xbuild(["binaries"]).run();
    assert!(started.elapsed() < Duration::from_secs(60), "it waited for what a command left running");
    gone(&seconds);
}

#[test]
fn everything_dies_with_xbuild() {
    for identity in [Identity::Own, Identity::Range, Identity::Single] {
        if !identity.possible() {
            continue;
        }
        for signal in [nix::sys::signal::SIGKILL, nix::sys::signal::SIGTERM, nix::sys::signal::SIGINT] {
            let seconds = format!("8{}", unique());
            let command =
                format!("trap '' TERM INT; setsid sleep {seconds} & (trap '' TERM INT HUP; sleep {seconds}); :");
            let test = Test::new().file("xbuild.yaml", project(&command, "")).user(identity);
            let mut child = test.xbuild(["binaries"]).start();
            wait_until("the command runs", || processes_with(&seconds).len() == 2);
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id() as i32), signal).expect("xbuild is there");
            let status = child.wait().expect("xbuild ends");
            if signal != nix::sys::signal::SIGKILL {
                assert_eq!(status.code(), Some(130), "after {signal} as {identity:?}");
            }
            gone(&seconds);
        }
    }
}

#[test]
fn commands_of_a_run_end_with_their_exit_code() {
    let test = Test::new().file("xbuild.yaml", project(":", ""));
    test.xbuild(["run", "--arch", host(), "--", "sh", "-c", "echo out; exit 37"]).status(37).stdout("out\n").run();
    test.xbuild(["run", "--arch", host(), "--", "sh", "-c", "kill -9 $$"]).status(137).run();
    test.xbuild(["run", "--arch", host(), "--", "no-such-program"]).status(127).run();
}

#[test]
fn folders_with_odd_names_are_projects_too() {
    for name in ["with space", "comma,and:colon", "back\\slash", "quote'\"$(x)", "new\nline", "-dash"] {
        let test =
            Test::new().below(name).file("xbuild.yaml", project("cat input > hello", "")).file("input", "#!/bin/sh\n");
        test.xbuild(["binaries"]).run();
        assert!(test.dist(&format!("{}/hello", host())).exists(), "{name}");
    }
}

#[test]
fn testing_changes_nothing_on_the_machine() {
    let listing = || {
        let mut names: Vec<_> = fs::read_dir("/proc/sys/fs/binfmt_misc")
            .map(|entries| entries.flatten().map(|entry| entry.file_name()).collect())
            .unwrap_or_default();
        names.sort();
        names
    };
    for identity in [Identity::Own, Identity::Range, Identity::Single] {
        if !identity.possible() {
            continue;
        }
        let project = "version: 1\nname: sample\narches: [s390x]\nbinaries:\n  hello:\n    command: $CC -o hello hello.c\n    \
                       outputs: { hello: hello }\n    test: test \"$(hello)\" = \"big s390x\"\n";
        let program = "#include <stdio.h>\n#include <sys/utsname.h>\nint main(void) { struct utsname u; int one = 1; uname(&u);\n  \
                       printf(\"%s %s\\n\", *(char *)&one ? \"little\" : \"big\", u.machine); return 0; }\n";
        let test = Test::new().file("xbuild.yaml", project).file("hello.c", program).user(identity);
        let before = listing();
        test.xbuild(["test"]).run();
        assert_eq!(before, listing(), "as {identity:?}");
        test.xbuild(["test", "--", "with", "arguments"]).run();
    }
}

#[test]
fn a_test_that_fails_ends_with_one() {
    let test = Test::new().file("xbuild.yaml", project("printf '#!/bin/sh\\nexit 5\\n' > hello", "    test: hello\n"));
    test.xbuild(["test"]).status(1).stderr_contains("test/hello/").stderr_contains("exit code 5").run();
}

#[test]
fn a_port_of_the_machine_is_free_inside() {
    // The sandbox has its own loopback interface: somebody who listens here is not in the way.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a socket");
    let port = listener.local_addr().expect("an address").port();
    let connect = format!("bash -c '(echo hello > /dev/tcp/127.0.0.1/{port}) 2> /dev/null || echo refused'");
    assert_eq!(written(&connect, ""), "refused\n");
    if let Ok((mut stream, _)) = listener.accept() {
        let mut text = String::new();
        let _ = stream.read_to_string(&mut text);
        panic!("a sandbox came through: {text}");
    }
}

/// Waits for the end of processes with an argument, a little.
fn gone(argument: &str) {
    let started = Instant::now();
    while !processes_with(argument).is_empty() {
        assert!(started.elapsed() < Duration::from_secs(5), "processes {:?} still run", processes_with(argument));
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Both streams are one: a compiler's complaint stands where the command is that it is about.
#[test]
fn what_a_command_says_comes_in_its_order() {
    let test = Test::new().file(
        "xbuild.yaml",
        format!(
            "version: 1\nname: sample\narches: [{}]\nbinaries:\n  hello:\n    command: for n in 1 2 3 4 5 6 7 8; do echo out \
             $n; echo err $n >&2; done; exit 7\n    outputs: {{ hello: hello }}\n",
            host()
        ),
    );
    let lines: String = (1..=8).map(|n| format!("out {n}\nerr {n}\n")).collect();
    test.xbuild(["binaries"]).status(1).stderr_contains(lines).run();
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let test = Test::new();
    let run = test.xbuild(["run", "--arch", host(), "--", "no-such-program"]).status(127);
    run.stderr_contains("cannot run no-such-program").run();
    test.xbuild(["run", "--arch", host(), "--", "/etc/passwd"])
        .status(126)
        .stderr_contains("cannot run /etc/passwd")
        .run();
}

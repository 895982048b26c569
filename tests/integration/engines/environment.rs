//! What commands on an engine see of xbuild's own environment.

use super::sample::{bare, on, printed};
use crate::support::{Docker, Release, processes_with, unique, wait_until};

#[test]
fn commands_see_what_they_are_to_see() {
    let Some(docker) = Docker::of(Release::Oldest).start() else { return };
    let names = "$PASSED,${UNSET-unset},$SET,$LINE,${SECRET-unset},$LC_ALL,${http_proxy-none},${HTTPS_PROXY-none}";
    let binaries = |network| {
        format!(
            "environment: [PASSED, UNSET, SET=project, LC_NUMERIC]\nbinaries:\n  hello:\n    outputs: {{ hello: hello \
             }}\n    network: {network}\n    command: |\n      {{ echo '#!/bin/sh'; echo \"{names}\"; }} > hello\n"
        )
    };
    for (network, proxies) in [(false, "none,none"), (true, "http://proxy:1,http://proxy:2")] {
        let test = bare(&binaries(network));
        let run = test.xbuild(["binaries", "-e", "LINE", "-e", "SET=line, with $words", "-e", "ABSENT"]);
        let run = run.env("PASSED", "it's \"passed\"").env("LINE", "from the line").env("SECRET", "secret");
        let run = run.env("http_proxy", "http://proxy:1").env("HTTPS_PROXY", "http://proxy:2");
        on(run, &docker.endpoint()).run();
        let expected =
            format!("#!/bin/sh\nit's \"passed\",unset,line, with $words,from the line,unset,C.UTF-8,{proxies}\n");
        assert_eq!(test.read("s390x/hello"), expected);
    }
}

#[test]
fn what_commands_say_comes_in_its_order() {
    let Some(docker) = Docker::of(Release::Current).start() else { return };
    let test = bare(
        "binaries:\n  hello:\n    outputs: { hello: hello }\n    command: for n in 1 2 3 4 5 6 7 8; do echo out $n; echo err \
         $n >&2; done; exit 7\n",
    );
    let lines: String = (1..=8).map(|n| format!("out {n}\nerr {n}\n")).collect();
    on(test.xbuild(["binaries"]), &docker.endpoint()).status(1).stderr_contains(lines).run();
}

#[test]
fn a_secret_is_seen_by_commands_alone() {
    let Some(docker) = Docker::of(Release::Current).start() else { return };
    let (mark, secret) = (format!("300.{}", unique()), format!("hush-{}", unique()));
    let test = bare(&printed(&format!("test -n \"$TOKEN\"; sleep {mark}")));
    let mut child = on(test.xbuild(["binaries", "-e", "TOKEN"]).env("TOKEN", &secret), &docker.endpoint()).start();
    wait_until("the command", || !processes_with(&mark).is_empty());
    let container = docker.must(["ps", "--quiet"]);
    let inspected = docker.must(["inspect", &container]);
    assert!(inspected.contains("io.xbuild.owner") && !inspected.contains(&secret), "{inspected}");
    for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&line).contains(&secret), "{}", String::from_utf8_lossy(&line));
    }
    child.kill().expect("it is there");
    child.wait().expect("it ends");
}

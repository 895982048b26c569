//! What commands on an engine see of xbuild's own environment.

use super::sample::{bare, on};
use crate::support::{Docker, Release};

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

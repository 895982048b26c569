//! Small projects to build on engines, and what engines have afterwards.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::{Answer, Imports, Run, Server, Test, archive, sha256};

/// A toolchain with nothing but a small Debian and these packages: its builders are loaded in a moment.
fn bare_toolchain(packages: &str) -> String {
    format!(
        "schema: 1\nsummary: \"a small Debian\"\nbase:\n  image: \"debian:trixie-slim\"\n  bootstrap: {{ suite: trixie \
         }}\nglibc: \"2.41\"\npackages: [{packages}]\ncomponents:\n  ssh: {{ packages: [openssh-client] }}\ntargets:\n  cross: {{ packages: [] }}\n  native: {{ packages: [] \
         }}\nemulator: {{ packages: [qemu-user], program: \"usr/bin/qemu-{{{{ arch.qemu }}}}\" }}\narches: [amd64, arm64, \
         ppc64le, s390x]\ntools: {{ CC: \"none\" }}\n"
    )
}

/// A project whose programs are scripts, for s390x unless the text says otherwise.
pub(super) fn bare(rest: &str) -> Test {
    bare_with("", rest)
}

/// The same with packages in the builder.
pub(super) fn bare_with(packages: &str, rest: &str) -> Test {
    let arches = if rest.contains("arches:") { "" } else { "arches: [s390x]\n" };
    let test = Test::new()
        .file("toolchains/bare.yaml", bare_toolchain(packages))
        .file("xbuild.yaml", format!("version: 1\nname: sample\ntoolchain: bare\n{arches}{rest}"));
    // What the store has, engines get from it.
    test.xbuild(["toolchain", "--engine", "native"]).run();
    test
}

/// A program of a project that is a script with what this command prints.
pub(super) fn printed(command: &str) -> String {
    format!(
        "binaries:\n  hello:\n    outputs: {{ hello: hello }}\n    command: |\n      {{ echo '#!/bin/sh'; {command}; }} > hello\n"
    )
}

/// An upstream archive on a server, and the keys of a program that is built from it.
pub(super) fn upstream() -> (String, Server) {
    let program = b"#include <answer.h>\nint main(void) { return __FILE__[0] == ANSWER; }\n";
    let bytes = archive(&[("tool-1/tool.c", 0o644, program), ("tool-1/answer.h", 0o644, b"#define ANSWER 'x'\n")]);
    let digest = sha256(&bytes);
    let server = Server::new([("/tool.tar", Answer::Body(bytes))]);
    let keys = format!(
        "    source: {{ sha256: {digest}, sources: [{{ url: \"{}\" }}] }}\n    command: $CC -g -I. -o tool $PWD/tool.c\n    \
         outputs: {{ tool: tool }}\n",
        server.url("/tool.tar")
    );
    (keys, server)
}

/// C with a library, an upstream archive, and a preparation that makes, changes and removes files; for s390x.
pub(super) fn c_project() -> Test {
    let (archive, _) = upstream();
    let project = format!(
        "version: 1\nname: sample\narches: [s390x]\nprepare: |\n  echo '#define ANSWER 42' > made.h; echo '/* changed */' > \
         changed.h; rm gone.h; mkdir -p new/folder; ln -s ../../made.h new/folder/link.h\nbinaries:\n  count:\n    command: test \
         ! -e gone.h && $CC -g -static -o out/count $PWD/count.c -lpcap\n    outputs: {{ count: out/count }}\n    libs: \
         [libpcap]\n    static: true\n  tool:\n{archive}    libs: [libpcap]\n"
    );
    let count = "#include \"changed.h\"\n#include \"new/folder/link.h\"\n#include <pcap.h>\n#include <stdio.h>\n\
                 int main(void) { puts(pcap_lib_version()); puts(__FILE__); return ANSWER; }\n";
    Test::new()
        .file("xbuild.yaml", project)
        .file("count.c", count)
        .file("changed.h", "#error it was to be changed\n")
        .file("gone.h", "")
        .file("out/.keep", "")
}

/// A run on the engine that listens there.
pub(super) fn on<'a>(run: Run<'a>, endpoint: &str) -> Run<'a> {
    run.env("XBUILD_ENGINE", format!("docker={endpoint}"))
}

/// Makes what is built next of the tree be built, and not be taken from the store.
pub(super) fn stir(test: &Test) {
    test.write(".salt", format!("{:?}", std::time::SystemTime::now()));
}

/// What xbuild has on an engine beside images and the compilers' caches: containers and volumes.
pub(super) fn left(engine: &dyn Imports) -> Vec<String> {
    let containers = engine.client(&["ps", "--all", "--quiet", "--no-trunc"]);
    let volumes = engine.client(&["volume", "ls", "--quiet"]);
    let volumes = volumes.lines().filter(|name| !name.starts_with("xbuild-cache-"));
    containers.lines().chain(volumes).map(str::to_owned).collect()
}

/// Nothing is left after a moment: what holds a container is a connection.
pub(super) fn nothing_stays(engine: &dyn Imports) {
    let started = Instant::now();
    while !left(engine).is_empty() {
        assert!(started.elapsed() < Duration::from_secs(20), "left behind: {:?}", left(engine));
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The user and the group of a file.
pub(super) fn owner(path: &Path) -> (u32, u32) {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::symlink_metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    (metadata.uid(), metadata.gid())
}

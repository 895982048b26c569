//! Base images without a registry.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::Docker;
use crate::support::{Test, host, tool};

/// An engine that images can be put into.
pub(crate) trait Imports {
    /// A folder that the engine sees as `/exchange`.
    fn work(&self) -> &Path;

    /// Runs the engine's client with arguments that must work; what it prints.
    fn client(&self, arguments: &[&str]) -> String;

    /// Makes an image of busybox, with this name.
    fn import_busybox(&self, name: &str) {
        fs::write(self.work().join("busybox.tar"), busybox_root(&Docker::busybox())).expect("an archive");
        self.client(&["import", "--change", "CMD /bin/sh", "/exchange/busybox.tar", name]);
    }

    /// Makes an image of a small Debian, with this name; xbuild bootstraps it, and remembers it in the warm store.
    fn import_debian(&self, name: &str) {
        let project = format!(
            "version: 1\nname: sample\narches: [{}]\nbases:\n  \"debian:trixie-slim\": {{ bootstrap: {{ suite: trixie, \
             updates: false }} }}\nimages:\n  base: {{ dockerfile: images/Dockerfile }}\n",
            host()
        );
        let test = Test::new().file("xbuild.yaml", project).file("images/Dockerfile", "FROM debian:trixie-slim\n");
        let archive = self.work().join("debian.tar");
        test.xbuild(["images", "--output", &format!("type=tar,dest={}", archive.display())]).run();
        self.client(&["import", "--change", "CMD /bin/bash", "/exchange/debian.tar", name]);
        fs::remove_file(archive).expect("it is there");
    }
}

/// An archive of a root folder with busybox and its commands, to be imported as an image.
fn busybox_root(busybox: &Path) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let script = r#"
        cd "$1"
        umask 022
        mkdir -p bin dev etc proc root sys tmp usr/bin var
        chmod 1777 tmp
        cp "$2" bin/busybox
        for name in $(bin/busybox --list); do [ -e bin/$name ] || ln -s busybox bin/$name; done
        echo root:x:0:0:root:/root:/bin/sh > etc/passwd
        echo root:x:0: > etc/group
        tar --create --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 .
    "#;
    let output = Command::new(tool("sh")).args(["-ec", script, "sh"]).arg(folder.path()).arg(busybox).output();
    let output = output.expect("sh can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

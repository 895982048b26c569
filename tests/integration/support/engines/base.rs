//! Base images without a registry.

use std::path::Path;
use std::process::Command;

use crate::support::tool;

/// An archive of a root folder with busybox and its commands, to be imported as an image.
pub(crate) fn busybox_root(busybox: &Path) -> Vec<u8> {
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

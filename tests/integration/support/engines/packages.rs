//! Debian's packages of an engine, unpacked into a folder and never installed.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::{Identity, stores, tool};

/// Packages of a release; what they depend on comes along.
pub(super) struct Packages {
    /// The folder in the store of the tests is called after it.
    pub(super) name: &'static str,
    pub(super) suite: &'static str,
    pub(super) names: &'static [&'static str],
}

impl Packages {
    /// The folder that holds them, downloaded and unpacked once.
    pub(super) fn unpacked(&self) -> PathBuf {
        let place = stores::place(Identity::Own);
        fs::create_dir_all(&place).unwrap_or_else(|error| panic!("cannot make {}: {error}", place.display()));
        let place = place.canonicalize().expect("it is there");
        // Another list of packages is another folder.
        let list = blake3::hash(self.names.join(" ").as_bytes()).to_hex();
        let root = place.join(format!("{}-{}-{}", self.name, self.suite, &list[..8]));
        let lock = File::create(root.with_extension("lock")).expect("a lock");
        lock.lock().expect("a lock");
        if !root.exists() {
            let unfinished = tempfile::Builder::new().prefix("packages-").tempdir_in(&place).expect("a folder");
            self.download(&unfinished.path().join("apt"));
            unpack(&unfinished.path().join("apt"), &unfinished.path().join("root"));
            fs::rename(unfinished.path().join("root"), &root).expect("on the same disk");
        }
        root
    }

    fn download(&self, apt: &Path) {
        for folder in ["lists/partial", "archives/partial"] {
            fs::create_dir_all(apt.join(folder)).expect("a folder for apt");
        }
        let named = std::env::var("XBUILD_DEBIAN_MIRROR").ok();
        let mirrors = xbuild::debian::Mirrors::find(named.as_deref()).expect("a Debian mirror");
        let source = format!("deb {} {} main\n", mirrors.main(), self.suite);
        fs::write(apt.join("sources.list"), source).expect("a file for apt");
        fs::write(apt.join("status"), "").expect("a file for apt");
        let set = |name: &str, path: &str| format!("-o{name}={}", apt.join(path).display());
        let options = [
            set("Dir::State::Lists", "lists"),
            set("Dir::State::status", "status"),
            set("Dir::Cache", ""),
            set("Dir::Etc::sourcelist", "sources.list"),
            "-oDir::Etc::sourceparts=/dev/null".into(),
            "-oAcquire::Languages=none".into(),
            "-oAcquire::Retries=3".into(),
            "-oAPT::Sandbox::User=root".into(),
            "-oDebug::NoLocking=1".into(),
        ];
        let install = [&["install", "--yes", "--download-only", "--no-install-recommends"], self.names].concat();
        for arguments in [&["update"][..], &install] {
            let output = Command::new(tool("apt-get")).args(&options).args(arguments).stdin(Stdio::null()).output();
            let output = output.expect("apt-get can be run");
            assert!(output.status.success(), "apt-get {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

fn unpack(apt: &Path, root: &Path) {
    for folder in ["usr/bin", "usr/sbin", "usr/lib", "usr/lib64"] {
        fs::create_dir_all(root.join(folder)).expect("a folder");
        let name = &folder["usr/".len()..];
        symlink(folder, root.join(name)).expect("a link");
    }
    for package in fs::read_dir(apt.join("archives")).expect("packages").flatten() {
        if package.path().extension().is_some_and(|extension| extension == "deb") {
            // Older packages have files in /bin; `dpkg-deb -x` would make a folder of the link.
            let script = r#"dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2" --keep-directory-symlink"#;
            let mut command = Command::new(tool("sh"));
            let status = command.args(["-c", script, "sh"]).arg(package.path()).arg(root).status();
            assert!(status.expect("sh can be run").success(), "{}", package.path().display());
        }
    }
    // Links that are made when packages are installed.
    for name in ["iptables", "ip6tables"] {
        if root.join("usr/sbin/xtables-nft-multi").exists() {
            symlink("xtables-nft-multi", root.join("usr/sbin").join(name)).expect("a link");
        }
    }
    // Parts of git are scripts.
    let busybox = Command::new(root.join("usr/bin/busybox")).arg("--list").output().expect("busybox can be run");
    for name in String::from_utf8_lossy(&busybox.stdout).lines() {
        let there = |folder: &str| root.join(folder).join(name).symlink_metadata().is_ok();
        if !there("usr/bin") && !there("usr/sbin") {
            symlink("busybox", root.join("usr/bin").join(name)).expect("a link");
        }
    }
    // Most of the small files, and nothing that is used.
    for folder in ["doc", "man", "locale", "info", "lintian", "bash-completion", "perl", "zsh", "fish", "icons"] {
        let _ = fs::remove_dir_all(root.join("usr/share").join(folder));
    }
}

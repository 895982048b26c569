//! A real Docker engine for a test: Debian's packages, unpacked into a folder, with a daemon that only the test sees.
//!
//! The engine of the machine's own release would not do: BuildKit's built-in frontend decides which instructions there
//! are, and newer frontends come from registries alone. The daemon has its own mount and process namespaces, so that
//! everything of it is gone with the test, whatever ends the test; it makes no network, and needs none.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::unistd::Uid;

use super::{Identity, skip, stores, tool};

/// The oldest release with an engine whose frontend knows heredocs, `--link`, `--checksum` and `--exclude`.
const SUITE: &str = "forky";

/// The daemon runs `xz` for archives that are compressed with it, and `git`.
const PACKAGES: [&str; 6] = ["docker.io", "docker-cli", "docker-buildx", "busybox-static", "git", "xz-utils"];

/// Where an engine keeps images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Images {
    /// In its own storage driver, as most engines in use. It cannot merge layers, so that `--link` means nothing to it.
    OfDriver,
    /// In containerd, as engines that are installed anew.
    OfContainerd,
}

impl Images {
    fn options(self) -> &'static str {
        match self {
            Images::OfDriver => "--storage-driver overlay2 --feature containerd-snapshotter=false",
            Images::OfContainerd => "--feature containerd-snapshotter=true",
        }
    }
}

/// `$1` is the folder with the engine, `$2` the one that it sees as `/exchange`, `$3` options of the daemon. A bare chroot
/// would not do: containers start with `pivot_root`, which wants to stand on a mount.
const START: &str = r#"set -e
root=$1 work=$2 options=$3
mount --make-rprivate /
mount --bind "$root" "$root"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
mkdir -p "$root/exchange"
mount --bind "$work" "$root/exchange"
cd "$root"
pivot_root . old
exec /usr/bin/busybox env -i PATH=/usr/sbin:/usr/bin HOME=/root OPTIONS="$options" /usr/bin/busybox sh -c '
  busybox umount -l /old
  exec dockerd --host unix:///exchange/socket --data-root /exchange/data --exec-root /run/docker --pidfile /run/docker.pid \
    --bridge none $OPTIONS \
    --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false'
"#;

/// A running engine.
pub(crate) struct Docker {
    daemon: Child,
    /// The daemon, which is the first process of its namespace: everything there dies with it.
    init: String,
    work: tempfile::TempDir,
}

impl Docker {
    /// Starts one; nothing where only an ordinary user is, for a daemon takes root.
    pub(crate) fn start(images: Images) -> Option<Docker> {
        if !Uid::effective().is_root() {
            skip("a Docker daemon takes root");
            return None;
        }
        let root = engine();
        let work = tempfile::Builder::new().prefix("docker-").tempdir_in(stores::place(Identity::Own));
        let work = work.expect("a folder for the daemon");
        let log = File::create(work.path().join("log")).expect("a log");
        let mut command = Command::new(tool("setpriv"));
        command.args(["--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child"]);
        command.args(["sh", "-c", START, "sh"]).arg(root).arg(work.path()).arg(images.options());
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a log")).stderr(log);
        let daemon = command.spawn().expect("setpriv can be run");
        let mut docker = Docker { daemon, init: String::new(), work };
        docker.wait();
        Some(docker)
    }

    /// A folder that the engine sees as `/exchange`.
    pub(crate) fn work(&self) -> &Path {
        self.work.path()
    }

    /// Runs `docker` with these arguments, beside the daemon.
    pub(crate) fn docker<I: IntoIterator<Item = S>, S: AsRef<std::ffi::OsStr>>(&self, arguments: I) -> Output {
        let mut command = Command::new(tool("nsenter"));
        command.args(["--target", &self.init, "--mount", "--root", "--pid", "/usr/bin/busybox", "env", "-i"]);
        command.args(["PATH=/usr/sbin:/usr/bin", "HOME=/root", "DOCKER_HOST=unix:///exchange/socket", "docker"]);
        command.args(arguments).stdin(Stdio::null()).output().expect("nsenter can be run")
    }

    /// The same for what must work; what it prints.
    pub(crate) fn must<I: IntoIterator<Item = S>, S: AsRef<std::ffi::OsStr>>(&self, arguments: I) -> String {
        let output = self.docker(arguments);
        assert!(output.status.success(), "docker: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// A statically linked busybox, to run and to make images of.
    pub(crate) fn busybox() -> PathBuf {
        engine().join("usr/bin/busybox")
    }

    fn wait(&mut self) {
        let started = Instant::now();
        let children = format!("/proc/{0}/task/{0}/children", self.daemon.id());
        loop {
            // After `setpriv` the process is `unshare`; its one child is to be the daemon.
            if let Some(init) =
                fs::read_to_string(&children).ok().and_then(|text| Some(text.split(' ').next()?.to_owned()))
            {
                self.init = init;
            }
            if self.work().join("socket").exists() && self.docker(["version"]).status.success() {
                return;
            }
            let ended = self.daemon.try_wait().expect("its state").is_some();
            if ended || started.elapsed() > Duration::from_secs(60) {
                panic!("no Docker daemon: {}", fs::read_to_string(self.work().join("log")).unwrap_or_default());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        if let Ok(init) = self.init.parse() {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(init), nix::sys::signal::SIGKILL);
        }
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

/// The folder with the engine, downloaded and unpacked once.
fn engine() -> PathBuf {
    let place = stores::place(Identity::Own);
    fs::create_dir_all(&place).unwrap_or_else(|error| panic!("cannot make {}: {error}", place.display()));
    let root = place.canonicalize().expect("it is there").join(format!("docker-{SUITE}-git"));
    let lock = File::create(root.with_extension("lock")).expect("a lock");
    lock.lock().expect("a lock");
    if !root.exists() {
        let unfinished = tempfile::Builder::new().prefix("docker-").tempdir_in(&place).expect("a folder");
        download(&unfinished.path().join("apt"));
        unpack(&unfinished.path().join("apt"), &unfinished.path().join("root"));
        fs::rename(unfinished.path().join("root"), &root).expect("on the same disk");
    }
    root
}

fn download(apt: &Path) {
    for folder in ["lists/partial", "archives/partial"] {
        fs::create_dir_all(apt.join(folder)).expect("a folder for apt");
    }
    let named = std::env::var("XBUILD_DEBIAN_MIRROR").ok();
    let mirrors = xbuild::debian::Mirrors::find(named.as_deref()).expect("a Debian mirror");
    fs::write(apt.join("sources.list"), format!("deb {} {SUITE} main\n", mirrors.main())).expect("a file for apt");
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
    let install = [&["install", "--yes", "--download-only", "--no-install-recommends"][..], &PACKAGES].concat();
    for arguments in [&["update"][..], &install] {
        let output = Command::new(tool("apt-get")).args(&options).args(arguments).stdin(Stdio::null()).output();
        let output = output.expect("apt-get can be run");
        assert!(output.status.success(), "apt-get {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

fn unpack(apt: &Path, root: &Path) {
    for folder in ["usr/bin", "usr/sbin", "usr/lib", "usr/lib64"] {
        fs::create_dir_all(root.join(folder)).expect("a folder");
        let name = &folder["usr/".len()..];
        std::os::unix::fs::symlink(folder, root.join(name)).expect("a link");
    }
    for folder in ["proc", "sys", "dev", "run", "tmp", "root", "old"] {
        fs::create_dir_all(root.join(folder)).expect("a folder");
    }
    for package in fs::read_dir(apt.join("archives")).expect("packages").flatten() {
        if package.path().extension().is_some_and(|extension| extension == "deb") {
            let status = Command::new(tool("dpkg-deb")).arg("-x").arg(package.path()).arg(root).status();
            assert!(status.expect("dpkg-deb can be run").success(), "{}", package.path().display());
        }
    }
    // Parts of git are scripts.
    let busybox = Command::new(root.join("usr/bin/busybox")).arg("--list").output().expect("busybox can be run");
    for name in String::from_utf8_lossy(&busybox.stdout).lines() {
        let there = |folder: &str| root.join(folder).join(name).symlink_metadata().is_ok();
        if !there("usr/bin") && !there("usr/sbin") {
            std::os::unix::fs::symlink("busybox", root.join("usr/bin").join(name)).expect("a link");
        }
    }
    // Documentation and translations are most of the small files.
    let _ = fs::remove_dir_all(root.join("usr/share"));
}

//! An engine's private place: namespaces, control groups and a folder that are gone with the test, whatever ends it.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Identity, stores, tool, unique};

const KEEP: &str = include_str!("keep.sh");
const ENTER: &str = include_str!("enter.sh");
const NETWORK: &str = include_str!("network.sh");

/// What is to be run there.
pub(super) struct Private<'a> {
    /// The folder with the engine's packages; its `usr` is seen.
    pub(super) engine: &'a Path,
    /// Whose folder it works in.
    pub(super) owner: Identity,
    /// A shell script for the first process of all; `. /exchange/network.sh` gives it a network.
    pub(super) init: String,
    /// Folders that are seen at their own paths.
    pub(super) seen: Vec<PathBuf>,
    /// More namespaces, as options of `unshare`.
    pub(super) namespaces: &'static [&'static str],
}

/// A process that waits for the end of the test, to take everything away.
pub(super) struct Keeper {
    process: Child,
    init: String,
    name: String,
    work: PathBuf,
}

impl Private<'_> {
    pub(super) fn start(self) -> Keeper {
        let place = stores::place(self.owner);
        fs::create_dir_all(&place).unwrap_or_else(|error| panic!("cannot make {}: {error}", place.display()));
        let place = place.canonicalize().expect("it is there");
        let work = tempfile::Builder::new().prefix("engine-").tempdir_in(place).expect("a folder for an engine").keep();
        // Engines with other ids for containers reach their data through it.
        fs::set_permissions(&work, fs::Permissions::from_mode(0o755)).expect("its owner may");
        settings(&work.join("etc"));
        fs::write(work.join("init"), self.init).expect("a script");
        fs::write(work.join("enter.sh"), ENTER).expect("a script");
        fs::write(work.join("network.sh"), NETWORK).expect("a script");
        let name = format!("xbuild-test-{}", unique());
        let mut command = Command::new(tool("setsid"));
        // A session of its own: who kills the test's processes leaves it to do its work.
        command.args(["sh", "-c", KEEP, "keep"]).arg(&name).arg(&work).args(self.namespaces).arg("--");
        command.arg("sh").arg(work.join("enter.sh")).arg(&name).arg(&work).arg(self.engine).args(self.seen);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("setsid can be run");
        let mut init = String::new();
        let _ = BufReader::new(process.stdout.take().expect("a pipe")).read_line(&mut init);
        let keeper = Keeper { process, init: init.trim().to_owned(), name, work };
        assert!(!keeper.init.is_empty(), "no namespaces: {}", keeper.log());
        keeper
    }
}

impl Keeper {
    /// The folder that is seen as `/exchange`.
    pub(super) fn work(&self) -> &Path {
        &self.work
    }

    /// The name of its control groups.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Runs Docker's own client there.
    pub(super) fn docker<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, arguments: I) -> Output {
        let mut command = self.command(&["DOCKER_HOST=unix:///exchange/socket"], ["docker"]);
        command.args(arguments).output().expect("nsenter can be run")
    }

    /// The same for what must work; what it prints.
    pub(super) fn must_docker<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, arguments: I) -> String {
        let output = self.docker(arguments);
        assert!(output.status.success(), "docker: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// What programs there have said.
    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.work.join("log")).unwrap_or_default()
    }

    /// A program to be run there, with nothing but this environment.
    pub(super) fn command<S: AsRef<OsStr>>(
        &self,
        environment: &[&str],
        arguments: impl IntoIterator<Item = S>,
    ) -> Command {
        let mut command = Command::new(tool("nsenter"));
        command.args(["--target", &self.init, "--all", "--root", "--wd"]);
        command.args(["/usr/bin/busybox", "env", "-i", "PATH=/usr/sbin:/usr/bin", "HOME=/root"]);
        command.args(environment).args(arguments).stdin(Stdio::null());
        command
    }

    /// Kills the first process, and with it all; waits until nothing is left of them.
    pub(super) fn kill(&self) {
        let init = self.init.parse().expect("a number");
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(init), nix::sys::signal::SIGKILL);
        while Path::new("/proc").join(&self.init).exists() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Runs a shell script there.
    pub(super) fn shell(&self, script: &str) -> Output {
        self.command(&[], ["busybox", "sh", "-c", script]).output().expect("nsenter can be run")
    }

    /// Waits until something works; fails when nothing is left that could make it work.
    pub(super) fn wait_for(&self, what: &str, works: impl Fn() -> bool) {
        let started = Instant::now();
        while !works() {
            let alive = Path::new("/proc").join(&self.init).exists();
            let ended = !alive || self.work.join("ended").exists();
            if ended || started.elapsed() > Duration::from_secs(60) {
                panic!("no {what}: {}", self.log());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// What programs look up in `/etc`: names of hosts and users, ranges of ids, and certificates.
fn settings(etc: &Path) {
    fs::create_dir_all(etc.join("ssl/certs")).expect("a folder");
    for name in ["resolv.conf", "hosts", "subuid", "subgid", "ssl/certs/ca-certificates.crt"] {
        let text = fs::read(Path::new("/etc").join(name)).unwrap_or_default();
        fs::write(etc.join(name), text).expect("a file");
    }
    let mut users = String::from("root:x:0:0::/root:/bin/sh\nsshd:x:100:65534::/run/sshd:/bin/false\n");
    let mut groups = String::from("root:x:0:\nnogroup:x:65534:\n");
    for user in [Identity::Range, Identity::Single].into_iter().filter_map(Identity::user) {
        users += &format!("{}:x:{}:{}::{}:/bin/sh\n", user.name, user.uid, user.gid, user.dir.display());
        groups += &format!("{}:x:{}:\n", user.name, user.gid);
    }
    fs::write(etc.join("passwd"), users).expect("a file");
    fs::write(etc.join("group"), groups).expect("a file");
}

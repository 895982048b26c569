//! A machine of its own with a Docker engine, that is reached over a network by TLS and by ssh.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use nix::unistd::Uid;

use super::Release;
use super::base::Imports;
use super::certificates::certificates;
use super::context::add_context;
use super::keeper::{Keeper, Private};
use crate::support::{Identity, skip, tool};

const INIT: &str = include_str!("machine.sh");

/// How a client reaches a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reached {
    /// TCP with certificates for both sides.
    ByTls,
    /// `docker system dial-stdio`, run by `ssh`.
    BySsh,
}

/// A running machine: a network, an engine, and a server for `ssh`. It sees no files of the tests.
pub(crate) struct Machine {
    keeper: Keeper,
    interface: String,
    address: String,
}

impl Machine {
    /// Starts one; nothing where only an ordinary user is.
    pub(crate) fn start() -> Option<Machine> {
        if !Uid::effective().is_root() {
            skip("a network of its own takes root");
            return None;
        }
        let keeper = Private {
            engine: &Release::Current.packages().unpacked(),
            owner: Identity::Own,
            init: INIT.to_owned(),
            seen: Vec::new(),
            namespaces: &["--uts", "--ipc"],
        };
        let keeper = keeper.start();
        let work = keeper.work().to_owned();
        keeper.wait_for("network", || work.join("address").exists());
        let text = fs::read_to_string(work.join("address")).expect("an address");
        let (interface, address) = text.trim().split_once(' ').expect("an interface and an address");
        certificates(&work, address);
        keys(&work);
        fs::write(work.join("go"), "").expect("a file");
        let machine = Machine { interface: interface.into(), address: address.into(), keeper };
        machine.keeper.wait_for("machine", || machine.docker(["version"]).status.success());
        Some(machine)
    }

    /// Where its engine is for a client.
    pub(crate) fn endpoint(&self, reached: Reached) -> String {
        match reached {
            Reached::ByTls => format!("tcp://{}:2376", self.address),
            Reached::BySsh => format!("ssh://root@{}:2222", self.address),
        }
    }

    /// A folder for `DOCKER_CERT_PATH`.
    pub(crate) fn certificates(&self) -> PathBuf {
        self.work().join("client")
    }

    /// Adds a context for this machine to a folder such as `~/.docker`.
    pub(crate) fn context(&self, docker_config: &Path, name: &str, reached: Reached) {
        let certificates = self.certificates();
        let certificates = (reached == Reached::ByTls).then_some(certificates.as_path());
        add_context(docker_config, name, &self.endpoint(reached), certificates);
    }

    /// Writes a program `ssh` into a folder, to be the first in `PATH`, that knows these machines and their keys.
    pub(crate) fn ssh_client(folder: &Path, machines: &[&Machine]) {
        let config = folder.join("ssh_config");
        let mut text = String::new();
        for machine in machines {
            let key = folder.join(format!("key-{}", machine.address));
            fs::copy(machine.work().join("user_key"), &key).expect("a key");
            let known = folder.join(format!("known-{}", machine.address));
            let host = fs::read_to_string(machine.work().join("host_key.pub")).expect("a key");
            fs::write(&known, format!("[{}]:2222 {host}", machine.address)).expect("a file");
            text += &format!(
                "Host {}\n  IdentityFile \"{}\"\n  UserKnownHostsFile \"{}\"\n",
                machine.address,
                key.display(),
                known.display()
            );
        }
        text += "Host *\n  IdentitiesOnly yes\n  BatchMode yes\n  StrictHostKeyChecking yes\n";
        fs::write(&config, text).expect("a file");
        let program = folder.join("ssh");
        let script = format!("#!/bin/sh\nexec {} -F '{}' \"$@\"\n", tool("ssh").display(), config.display());
        fs::write(&program, script).expect("a program");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("its owner may");
    }

    /// Runs `docker` on the machine.
    pub(crate) fn docker<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, arguments: I) -> Output {
        self.keeper.docker(arguments)
    }

    /// The same for what must work; what it prints.
    pub(crate) fn must<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, arguments: I) -> String {
        self.keeper.must_docker(arguments)
    }

    /// The interface by which the tests reach it.
    pub(crate) fn interface(&self) -> &str {
        &self.interface
    }

    /// Runs Docker's own client in the network of the tests, with the contexts of a folder below `work`; what it prints.
    pub(crate) fn client_outside(&self, docker_config: &Path, arguments: &[&str]) -> String {
        let folder = Path::new("/exchange").join(docker_config.strip_prefix(self.work()).expect("it is below"));
        let mut command = self.keeper.command(&[&format!("DOCKER_CONFIG={}", folder.display())], ["docker"]);
        let output = command.args(arguments).output().expect("nsenter can be run");
        assert!(output.status.success(), "docker: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Nothing comes or goes any more, and nobody is told: the cable is out.
    pub(crate) fn unplug(&self) {
        let status = Command::new(tool("ip")).args(["link", "set", &self.interface, "down"]).status();
        assert!(status.expect("ip can be run").success());
    }

    /// The machine dies: its engine, containers and network at once.
    pub(crate) fn kill(&self) {
        self.keeper.kill();
        // The kernel takes networks away a moment later.
        while Path::new("/sys/class/net").join(&self.interface).exists() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Imports for Machine {
    fn work(&self) -> &Path {
        self.keeper.work()
    }

    fn client(&self, arguments: &[&str]) -> String {
        self.must(arguments)
    }
}

/// Keys of the machine and of its user, and what the server for `ssh` is to do.
fn keys(work: &Path) {
    for key in ["host_key", "user_key"] {
        let mut command = Command::new(tool("ssh-keygen"));
        command.args(["-q", "-t", "ed25519", "-N", "", "-C", key, "-f"]).arg(work.join(key));
        assert!(command.status().expect("ssh-keygen can be run").success());
    }
    let config = "Port 2222\nHostKey /exchange/host_key\nAuthorizedKeysFile /exchange/user_key.pub\nStrictModes no\n\
                  PermitRootLogin prohibit-password\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
                  UsePAM no\nMaxStartups 100\nMaxSessions 100\nPidFile none\n";
    fs::write(work.join("sshd_config"), config).expect("a file");
}

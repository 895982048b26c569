//! A real Docker engine for a test: Debian's packages, with a daemon that only the test sees.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use super::base::Imports;
use super::context::add_context;
use super::daemon::Daemon;
use super::keeper::Keeper;
use super::{Files, Ids, Images, Network, Release};

/// A running engine.
pub(crate) struct Docker {
    keeper: Keeper,
}

impl Docker {
    pub(super) fn new(keeper: Keeper) -> Docker {
        let docker = Docker { keeper };
        docker.wait();
        docker
    }

    /// An engine of a release, to be described further and started.
    pub(crate) fn of(release: Release) -> Daemon {
        Daemon {
            release,
            images: Images::OfDriver,
            files: Files::Unseen,
            ids: Ids::Same,
            network: Network::OfTests,
            space: None,
        }
    }

    /// Where it listens, for who speaks to it from outside.
    pub(crate) fn endpoint(&self) -> String {
        format!("unix://{}", self.work().join("socket").display())
    }

    /// Adds a context for it to a folder such as `~/.docker`.
    pub(crate) fn context(&self, docker_config: &Path, name: &str) {
        add_context(docker_config, name, &self.endpoint(), None);
    }

    /// Runs `docker` with these arguments, beside the daemon.
    pub(crate) fn docker<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, arguments: I) -> Output {
        self.keeper.docker(arguments)
    }

    /// The same for what must work; what it prints.
    pub(crate) fn must<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, arguments: I) -> String {
        self.keeper.must_docker(arguments)
    }

    /// A statically linked busybox, to run and to make images of.
    pub(crate) fn busybox() -> PathBuf {
        Release::Current.packages().unpacked().join("usr/bin/busybox")
    }

    /// The name of its control groups.
    pub(crate) fn name(&self) -> &str {
        self.keeper.name()
    }

    /// Kills the daemon, as a crash does: containers run on until it is there again.
    pub(crate) fn kill_daemon(&self) {
        let output =
            self.keeper.shell("kill -KILL $(pidof dockerd); until [ -e /exchange/ended ]; do sleep 0.05; done");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Starts the daemon again.
    pub(crate) fn start_daemon(&self) {
        let _ = fs::remove_file(self.work().join("socket"));
        fs::remove_file(self.work().join("ended")).expect("the daemon has ended");
        fs::write(self.work().join("again"), "").expect("a file");
        self.wait();
    }

    fn wait(&self) {
        let there = || self.work().join("socket").exists() && self.docker(["version"]).status.success();
        self.keeper.wait_for("Docker daemon", there);
    }
}

impl Imports for Docker {
    fn work(&self) -> &Path {
        self.keeper.work()
    }

    fn client(&self, arguments: &[&str]) -> String {
        self.must(arguments)
    }
}

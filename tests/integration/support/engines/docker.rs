//! A real Docker engine for a test: Debian's packages, with a daemon that only the test sees.
//!
//! The engine of the machine's own release would not do: BuildKit's built-in frontend decides which instructions there
//! are, and newer frontends come from registries alone. The daemon makes no network; containers have the machine's with
//! `--network host`, or none.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use nix::unistd::Uid;

use super::Files;
use super::base::busybox_root;
use super::keeper::{Keeper, Private};
use super::packages::Packages;
use crate::support::{Identity, skip};

/// An engine of a Debian release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Release {
    /// Docker 20.10, the oldest that xbuild speaks to: the one of Debian 12.
    Oldest,
    /// The newest that Debian has; its frontend knows heredocs, `--link`, `--checksum` and `--exclude`.
    Current,
}

impl Release {
    /// The daemon runs `xz` for archives that are compressed with it, and `git`.
    pub(super) fn packages(self) -> Packages {
        match self {
            Release::Oldest => Packages {
                name: "docker",
                suite: "bookworm",
                names: &["docker.io", "busybox-static", "git", "xz-utils"],
            },
            Release::Current => Packages {
                name: "docker",
                suite: "forky",
                names: &[
                    "docker.io",
                    "docker-cli",
                    "docker-buildx",
                    "busybox-static",
                    "git",
                    "xz-utils",
                    // For machines.
                    "iproute2",
                    "openssh-server",
                    "slirp4netns",
                    // For an engine of an ordinary user.
                    "rootlesskit",
                    "uidmap",
                ],
            },
        }
    }
}

/// Where an engine keeps images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Images {
    /// In its own storage driver, as most engines in use. It cannot merge layers, so that `--link` means nothing to it.
    OfDriver,
    /// In containerd, as engines that are installed anew.
    OfContainerd,
}

/// Whose ids the users of containers have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ids {
    /// Root is root.
    Same,
    /// Root is the first of a range: `--userns-remap`.
    Remapped,
}

/// An engine that is being described.
pub(crate) struct Daemon {
    release: Release,
    images: Images,
    files: Files,
    ids: Ids,
}

/// What the first process does: it runs the daemon, and once more when it is told to.
const INIT: &str = "
while :; do
  dockerd --host unix:///exchange/socket --data-root /exchange/data --exec-root /run/docker --pidfile /run/docker.pid \
    --bridge none --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false OPTIONS &
  echo $! > /exchange/pid
  wait $!
  touch /exchange/ended
  until [ -e /exchange/again ]; do sleep 0.1; done
  rm -f /exchange/again
done
";

impl Daemon {
    /// Where it keeps images; in its own driver unless said.
    pub(crate) fn images(mut self, images: Images) -> Daemon {
        self.images = images;
        self
    }

    /// Which files it sees; no other than `/exchange` unless said.
    pub(crate) fn files(mut self, files: Files) -> Daemon {
        self.files = files;
        self
    }

    /// Whose ids its containers have.
    pub(crate) fn ids(mut self, ids: Ids) -> Daemon {
        self.ids = ids;
        self
    }

    /// Starts it; nothing where only an ordinary user is, for a daemon takes root.
    pub(crate) fn start(self) -> Option<Docker> {
        if !Uid::effective().is_root() {
            skip("a Docker daemon takes root");
            return None;
        }
        let keeper = Private {
            engine: &self.release.packages().unpacked(),
            owner: Identity::Own,
            init: INIT.replace("OPTIONS", &self.options().join(" ")),
            seen: self.files.folders(),
            namespaces: &[],
        };
        let docker = Docker { keeper: keeper.start() };
        docker.wait();
        Some(docker)
    }

    fn options(&self) -> Vec<&'static str> {
        let mut options = match (self.release, self.images) {
            (Release::Oldest, Images::OfDriver) => vec!["--storage-driver overlay2"],
            (Release::Oldest, Images::OfContainerd) => panic!("Docker 20.10 keeps no images in containerd"),
            (Release::Current, Images::OfDriver) => {
                vec!["--storage-driver overlay2", "--feature containerd-snapshotter=false"]
            }
            (Release::Current, Images::OfContainerd) => vec!["--feature containerd-snapshotter=true"],
        };
        if self.ids == Ids::Remapped {
            options.push("--userns-remap xbuild-test");
        }
        options
    }
}

/// A running engine.
pub(crate) struct Docker {
    keeper: Keeper,
}

impl Docker {
    /// An engine of a release, to be described further and started.
    pub(crate) fn of(release: Release) -> Daemon {
        Daemon { release, images: Images::OfDriver, files: Files::Unseen, ids: Ids::Same }
    }

    /// A folder that the engine sees as `/exchange`.
    pub(crate) fn work(&self) -> &Path {
        self.keeper.work()
    }

    /// Where it listens, for who speaks to it from outside.
    pub(crate) fn endpoint(&self) -> String {
        format!("unix://{}", self.work().join("socket").display())
    }

    /// Runs `docker` with these arguments, beside the daemon.
    pub(crate) fn docker<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, arguments: I) -> Output {
        let mut command = self.keeper.command(&["DOCKER_HOST=unix:///exchange/socket"], ["docker"]);
        command.args(arguments).output().expect("nsenter can be run")
    }

    /// The same for what must work; what it prints.
    pub(crate) fn must<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, arguments: I) -> String {
        let output = self.docker(arguments);
        assert!(output.status.success(), "docker: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// A statically linked busybox, to run and to make images of.
    pub(crate) fn busybox() -> PathBuf {
        Release::Current.packages().unpacked().join("usr/bin/busybox")
    }

    /// Makes an image of busybox, with this name.
    pub(crate) fn import_busybox(&self, name: &str) {
        fs::write(self.work().join("busybox.tar"), busybox_root(&Docker::busybox())).expect("an archive");
        self.must(["import", "--change", "CMD /bin/sh", "/exchange/busybox.tar", name]);
    }

    /// The name of its control groups.
    pub(crate) fn name(&self) -> &str {
        self.keeper.name()
    }

    /// Kills the daemon, as a crash does: containers run on until it is there again.
    pub(crate) fn kill_daemon(&self) {
        let output =
            self.keeper.shell("kill -KILL $(cat /exchange/pid); until [ -e /exchange/ended ]; do sleep 0.05; done");
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

//! Which Docker daemon a test wants.
//!
//! The engine of the machine's own release would not do: BuildKit's built-in frontend decides which instructions there
//! are, and newer frontends come from registries alone.

use nix::unistd::Uid;

use super::keeper::Private;
use super::packages::Packages;
use super::{Docker, Files};
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
                names: &["docker.io", "busybox-static", "git", "xz-utils", "slirp4netns"],
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
                    // For networks.
                    "slirp4netns",
                    // For machines.
                    "iproute2",
                    "openssh-server",
                    // For an engine of an ordinary user.
                    "rootlesskit",
                    "uidmap",
                    "util-linux",
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
    /// Root is the first of a range: `--userns-remap`. `--network host` is not for its containers.
    Remapped,
    /// The daemon itself is an ordinary user's, with a range of ids: rootless. It always has a network of its own.
    OfAUser,
}

/// The network of an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Network {
    /// That of the tests: containers have it with `--network host`, or none.
    OfTests,
    /// One of its own with a bridge, which leads to that of the tests: as an engine is when it is installed.
    Own,
}

/// An engine that is being described.
pub(crate) struct Daemon {
    pub(super) release: Release,
    pub(super) images: Images,
    pub(super) files: Files,
    pub(super) ids: Ids,
    pub(super) network: Network,
    pub(super) space: Option<u32>,
}

/// What the first process does: it runs the daemon, and once more when it is told to.
const INIT: &str = "
while :; do
  COMMAND &
  wait $!
  touch /exchange/ended
  until [ -e /exchange/again ]; do sleep 0.1; done
  rm -f /exchange/again
done
";

/// It listens at the usual place too, which its own containers can mount.
const OF_ROOT: &str = "dockerd --host unix:///exchange/socket --host unix:///run/docker.sock \
    --data-root /exchange/data --exec-root /run/docker OPTIONS";

const WITHOUT_NETWORK: &str = "--bridge none --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false";

/// Docker's own way to start a daemon for an ordinary user, in a network that slirp4netns makes.
const OF_A_USER: &str = "su USER -s /bin/sh -c 'XDG_RUNTIME_DIR=/run/user HOME=/exchange/home exec sh \
    /usr/share/docker.io/contrib/dockerd-rootless.sh --host unix:///exchange/socket --data-root /exchange/data OPTIONS'";

/// Everybody may make network interfaces in a network of their own, on most machines.
const FOR_A_USER: &str = "
mkdir -p /run/user /exchange/home
chown USER /run/user /exchange/home /exchange
mount --make-rshared /
mknod -m 666 /run/tun c 10 200
mount --bind /run/tun /dev/net/tun
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

    /// The network of its containers; that of the tests unless said.
    pub(crate) fn network(mut self, network: Network) -> Daemon {
        self.network = network;
        self
    }

    /// How many MB it has for images and containers; what the disk has unless said.
    pub(crate) fn space(mut self, megabytes: u32) -> Daemon {
        self.space = Some(megabytes);
        self
    }

    /// Starts it; nothing where only an ordinary user is, for a daemon takes root.
    pub(crate) fn start(self) -> Option<Docker> {
        if !Uid::effective().is_root() {
            skip("a Docker daemon takes root");
            return None;
        }
        let owner = if self.ids == Ids::OfAUser { Identity::Range } else { Identity::Own };
        let keeper = Private {
            engine: &self.release.packages().unpacked(),
            owner,
            init: self.init(owner),
            seen: self.files.folders(),
            namespaces: &[],
        };
        Some(Docker::new(keeper.start()))
    }

    fn init(&self, owner: Identity) -> String {
        let options = self.options().join(" ");
        let script = match (owner.user(), self.network) {
            (None, Network::OfTests) => INIT.replace("COMMAND", &format!("{OF_ROOT} {WITHOUT_NETWORK}")),
            (None, Network::Own) => {
                format!(". /exchange/network.sh\n{}", INIT.replace("COMMAND", &format!("inside {OF_ROOT}")))
            }
            (Some(user), _) => {
                (FOR_A_USER.to_owned() + &INIT.replace("COMMAND", OF_A_USER)).replace("USER", &user.name)
            }
        };
        let space = self
            .space
            .map(|space| format!("mkdir /exchange/data && mount -t tmpfs -o size={space}m tmpfs /exchange/data\n"));
        space.unwrap_or_default() + &script.replace("OPTIONS", &options)
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

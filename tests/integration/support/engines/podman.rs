//! A real Podman with its API service for a test: Debian's packages, run as root or as an ordinary user.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Output;

use nix::unistd::Uid;

use super::Files;
use super::base::Imports;
use super::keeper::{Keeper, Private};
use super::packages::Packages;
use crate::support::{Identity, skip};

const PACKAGES: Packages =
    Packages { name: "podman", suite: "forky", names: &["podman", "crun", "catatonit", "uidmap", "busybox-static"] };

/// What a user runs. Containers have the network of the tests, where Podman would else set up one of its own.
const SERVICE: &str = r#"
mkdir -p /etc/containers
limits=
# Builds ask for more files and processes than root may have on some machines.
if ! (ulimit -Hn 1048576) 2> /dev/null; then
  files=$(ulimit -Hn) processes=$(ulimit -Hu)
  limits="\"nofile=$files:$files\", \"nproc=$processes:$processes\""
fi
cat > /etc/containers/containers.conf <<END
[containers]
netns = "host"
default_ulimits = [$limits]
[engine]
events_logger = "none"
END
echo '{"default": [{"type": "insecureAcceptAnything"}]}' > /etc/containers/policy.json
mkdir -p /run/user/UID /exchange/data /exchange/home
chown USER /run/user/UID /exchange/data /exchange/home /exchange
mount --make-shared /
cat > /run/service <<'END'
export HOME=/exchange/home XDG_RUNTIME_DIR=/run/user/UID PODMAN_IGNORE_CGROUPSV1_WARNING=yes
exec podman --root /exchange/data --runroot /run/user/UID/storage --storage-driver overlay --cgroup-manager cgroupfs \
  system service --time=0 unix:///exchange/socket
END
busybox su USER -s /bin/sh -c 'exec sh /run/service' &
wait $!
touch /exchange/ended
while :; do sleep 1000; done
"#;

/// A running service.
pub(crate) struct Podman {
    keeper: Keeper,
}

impl Podman {
    /// Starts one for root, [`Identity::Own`], or for an ordinary user with a range of ids, [`Identity::Range`].
    pub(crate) fn start(identity: Identity, files: Files) -> Option<Podman> {
        if !Uid::effective().is_root() {
            skip("a Podman beside the machine's own takes root");
            return None;
        }
        let user = identity.user();
        let (name, id) = user.map_or_else(|| ("root".into(), 0), |user| (user.name, user.uid.as_raw()));
        let keeper = Private {
            engine: &PACKAGES.unpacked(),
            owner: identity,
            init: SERVICE.replace("USER", &name).replace("UID", &id.to_string()),
            seen: files.folders(),
            namespaces: &[],
        };
        let podman = Podman { keeper: keeper.start() };
        let there = || podman.work().join("socket").exists() && podman.podman(["version"]).status.success();
        podman.keeper.wait_for("Podman service", there);
        Some(podman)
    }

    /// Where it listens, for who speaks to it from outside.
    pub(crate) fn endpoint(&self) -> String {
        format!("unix://{}", self.work().join("socket").display())
    }

    /// Runs `podman` with these arguments, as a client of the service.
    pub(crate) fn podman<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, arguments: I) -> Output {
        let arguments = arguments.into_iter().map(|argument| argument.as_ref().to_owned());
        let client = ["podman", "--remote", "--url", "unix:///exchange/socket"].map(Into::into);
        let mut command = self.keeper.command(&[], client.into_iter().chain(arguments));
        command.output().expect("nsenter can be run")
    }

    /// The same for what must work; what it prints.
    pub(crate) fn must<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, arguments: I) -> String {
        let output = self.podman(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "podman: {said}\nits service: {}", self.keeper.log());
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// The name of its control groups.
    pub(crate) fn name(&self) -> &str {
        self.keeper.name()
    }
}

impl Imports for Podman {
    fn work(&self) -> &Path {
        self.keeper.work()
    }

    fn client(&self, arguments: &[&str]) -> String {
        self.must(arguments)
    }
}

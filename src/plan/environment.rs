//! Environment and arguments of commands in a builder. They name no path of the machine, so that none reaches an output.

use std::collections::BTreeMap;

use super::Command;
use crate::config::{GoBuild, Toolchain, Variables};
use crate::domain::{Arch, Name, Result};

/// Where the source tree is.
pub const SOURCE: &str = "/src";
/// Where a command leaves what is not a file of the tree.
pub const OUTPUT: &str = "/out";
/// Where caches are.
pub const CACHE: &str = "/var/cache/xbuild";
/// Where the caller's SSH agent listens.
pub const SSH_AGENT: &str = "/run/ssh-agent.sock";

/// Where programs are, after those of components.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Where libraries of a target are installed: a folder that its compiler searches anyway.
pub fn prefix(target: Arch) -> String {
    format!("/usr/{}", target.triple())
}

/// What is the same for every command of a builder.
pub(super) struct Builder<'a> {
    pub(super) toolchain: &'a Toolchain,
    pub(super) components: &'a [Name],
    pub(super) host: Arch,
    pub(super) target: Arch,
    pub(super) epoch: u64,
}

impl Builder<'_> {
    /// The environment of commands that build for the builder's own machine.
    pub(super) fn native_environment(&self) -> BTreeMap<String, String> {
        let folders = self.components.iter().filter_map(|name| self.toolchain.components.get(name));
        let path: Vec<&str> = folders.flat_map(|c| c.path.iter().map(String::as_str)).chain([PATH]).collect();
        pairs([
            ("PATH", path.join(":")),
            ("HOME", "/root".into()),
            ("LC_ALL", "C.UTF-8".into()),
            ("TZ", "UTC".into()),
            ("SOURCE_DATE_EPOCH", self.epoch.to_string()),
            ("CGO_ENABLED", "0".into()),
            ("GOCACHE", format!("{CACHE}/go-build")),
            ("GOMODCACHE", format!("{CACHE}/go-mod")),
            ("GOPATH", format!("{CACHE}/go-path")),
            ("GOENV", "off".into()),
            ("GOFLAGS", "-buildvcs=false".into()),
            ("GOPROXY", "off".into()),
            ("GOTOOLCHAIN", "local".into()),
            // The tree may belong to somebody else than the builder's user.
            ("GIT_CONFIG_COUNT", "1".into()),
            ("GIT_CONFIG_KEY_0", "safe.directory".into()),
            ("GIT_CONFIG_VALUE_0", "*".into()),
        ])
    }

    /// The environment of commands that build for the target.
    ///
    /// # Errors
    /// A usage error for a template of the toolchain's that does not expand.
    pub(super) fn environment(&self) -> Result<BTreeMap<String, String>> {
        let mut environment = self.native_environment();
        environment.extend(self.toolchain.target_environment(self.target)?);
        environment.extend(pairs([
            ("GOOS", "linux".into()),
            ("GOARCH", self.target.go().into()),
            ("CGO_ENABLED", "1".into()),
            ("XBUILD_ARCH", self.target.name().into()),
            ("XBUILD_TRIPLE", self.target.triple().into()),
            ("XBUILD_BUILD_ARCH", self.host.name().into()),
            ("XBUILD_BUILD_TRIPLE", self.host.triple().into()),
            ("XBUILD_PREFIX", prefix(self.target)),
            ("XBUILD_OUT", OUTPUT.into()),
        ]));
        environment.extend(self.target.goarm().map(|version| ("GOARM".to_owned(), version.to_owned())));
        Ok(environment)
    }

    /// The environment of tests: programs of the target find the builder's libraries, natively and under QEMU.
    ///
    /// # Errors
    /// A usage error for a template of the toolchain's that does not expand.
    pub(super) fn test_environment(&self) -> Result<BTreeMap<String, String>> {
        let mut environment = self.environment()?;
        if let Some(path) = environment.get_mut("PATH") {
            *path = format!("{OUTPUT}:{path}");
        }
        let libraries = format!("{}/lib", prefix(self.target));
        environment.extend(pairs([("QEMU_LD_PREFIX", prefix(self.target)), ("LD_LIBRARY_PATH", libraries)]));
        Ok(environment)
    }
}

/// The call of `go build` for one program.
///
/// # Errors
/// A usage error for a linker flag that does not expand.
pub(super) fn go_build(name: &Name, go: &GoBuild, variables: &Variables) -> Result<Vec<String>> {
    let mut argv: Vec<String> = ["go", "build", "-trimpath", "-buildvcs=false", "-o"].map(str::to_owned).to_vec();
    argv.push(format!("{OUTPUT}/{name}"));
    if !go.tags.is_empty() {
        argv.extend(["-tags".into(), go.tags.join(",")]);
    }
    let mut flags = go.ldflags.iter().map(|flag| variables.expand(flag)).collect::<Result<Vec<String>>>()?;
    if go.statically_linked && go.cgo {
        flags.extend(["-linkmode", "external", "-extldflags", "-static"].map(str::to_owned));
    }
    if !flags.is_empty() {
        argv.extend(["-ldflags".into(), flags.join(" ")]);
    }
    argv.push(go.package.clone());
    Ok(argv)
}

/// A shell command, that stops at the first error.
pub(super) fn shell(text: &str, env: BTreeMap<String, String>, network: bool) -> Command {
    Command {
        argv: vec!["sh".into(), "-euc".into(), text.to_owned()],
        env,
        cwd: SOURCE.into(),
        network,
        time_limit: None,
    }
}

fn pairs<const N: usize>(pairs: [(&str, String); N]) -> BTreeMap<String, String> {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Catalogue;

    #[test]
    fn every_target_has_its_compiler_and_its_folder() {
        let toolchain =
            Catalogue::of_project("/nonexistent".as_ref()).toolchain(&"debian-trixie".parse().unwrap()).unwrap();
        for (target, goarch, goarm, compiler, prefix) in [
            (Arch::Amd64, "amd64", None, "x86_64-linux-gnu-gcc", "/usr/x86_64-linux-gnu"),
            (Arch::Arm, "arm", Some("7"), "arm-linux-gnueabihf-gcc", "/usr/arm-linux-gnueabihf"),
            (Arch::Arm64, "arm64", None, "aarch64-linux-gnu-gcc", "/usr/aarch64-linux-gnu"),
            (Arch::Ppc64le, "ppc64le", None, "powerpc64le-linux-gnu-gcc", "/usr/powerpc64le-linux-gnu"),
            (Arch::Riscv64, "riscv64", None, "riscv64-linux-gnu-gcc", "/usr/riscv64-linux-gnu"),
            (Arch::S390x, "s390x", None, "s390x-linux-gnu-gcc", "/usr/s390x-linux-gnu"),
        ] {
            let builder = Builder { toolchain: &toolchain, components: &[], host: Arch::Amd64, target, epoch: 7 };
            let environment = builder.environment().unwrap();
            let get = |name: &str| environment.get(name).map(String::as_str);
            assert_eq!(get("GOARCH"), Some(goarch));
            assert_eq!(get("GOARM"), goarm);
            assert_eq!(get("CC"), Some(compiler));
            assert_eq!(get("XBUILD_PREFIX"), Some(prefix));
            assert!(get("PKG_CONFIG_LIBDIR").unwrap().starts_with(&format!("{prefix}/lib/pkgconfig")));
            assert_eq!(get("SOURCE_DATE_EPOCH"), Some("7"));
            assert_eq!(builder.native_environment().get("GOARCH"), None);
        }
    }

    #[test]
    fn a_static_cgo_program_is_linked_by_the_c_linker() {
        let go = GoBuild {
            package: "./cmd/router".into(),
            dir: ".".into(),
            tags: vec!["netgo".into(), "osusergo".into()],
            ldflags: vec!["-X main.version={{ version }}".into(), "-s".into()],
            statically_linked: true,
            cgo: true,
        };
        let mut variables = Variables::default();
        variables.set("version", "1.0");
        let argv = go_build(&"router".parse().unwrap(), &go, &variables).unwrap();
        assert_eq!(
            argv.join("|"),
            "go|build|-trimpath|-buildvcs=false|-o|/out/router|-tags|netgo,osusergo|-ldflags|\
             -X main.version=1.0 -s -linkmode external -extldflags -static|./cmd/router"
        );
    }
}

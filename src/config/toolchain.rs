//! A toolchain's definition: packages of the builder, names of its tools, libraries.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{SourceArchive, Variables, map, yaml};
use crate::domain::{Arch, Error, GlibcVersion, Name, Result};

/// What builders are made of, from `toolchains/<name>.yaml`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Toolchain {
    /// Version of this format: 1.
    pub schema: u8,
    /// One line for people.
    pub summary: String,
    /// What everything stands on.
    pub base: Base,
    /// The C library's version, the floor of what is linked dynamically.
    pub glibc: GlibcVersion,
    /// Packages for all targets.
    pub packages: Vec<String>,
    /// Further layers that every target can share, by name; `go` is the one that Go programs get.
    #[serde(default, deserialize_with = "map::unique")]
    pub components: BTreeMap<Name, Component>,
    /// Packages of one target.
    pub targets: Targets,
    /// What runs programs of other architectures.
    pub emulator: Emulators,
    /// Architectures that it can build for.
    pub arches: Vec<Arch>,
    /// Environment variables that name tools, `CC` and so on; templates.
    #[serde(deserialize_with = "map::unique")]
    pub tools: BTreeMap<String, String>,
    /// Further environment variables; templates.
    #[serde(default, deserialize_with = "map::unique")]
    pub environment: BTreeMap<String, String>,
    /// Recipes that `xbuild toolchain` builds along.
    #[serde(default)]
    pub libraries: Vec<String>,
}

/// What a builder stands on.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Base {
    /// An image with the same content, for the rendered Dockerfile.
    pub image: String,
    /// How to make one from packages.
    pub bootstrap: Bootstrap,
}

/// A root file system from a distribution's packages.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bootstrap {
    /// The release; its updates and security updates come along.
    pub suite: String,
}

/// A layer that targets share: packages, or an upstream archive per host.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Component {
    /// Distribution packages.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<String>,
    /// An archive instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<Archive>,
    /// Folders to put in front of `PATH`.
    #[serde(default)]
    pub path: Vec<String>,
    /// What it brings that commands call; without a container, the machine has to have these itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub programs: Vec<String>,
}

/// An upstream release that is unpacked as it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Archive {
    /// Where it goes, inside; its own top folder is left out.
    pub into: String,
    /// The archive for each host architecture.
    #[serde(deserialize_with = "map::unique")]
    pub hosts: BTreeMap<Arch, SourceArchive>,
}

/// Packages by how a target relates to the host; templates.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Targets {
    /// Another architecture than the host's.
    pub cross: TargetPackages,
    /// The host's own.
    pub native: TargetPackages,
    /// Exceptions, which replace `cross`.
    #[serde(default, deserialize_with = "map::unique")]
    pub exceptions: BTreeMap<Arch, TargetPackages>,
}

/// One target's packages; templates.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetPackages {
    /// Their names.
    pub packages: Vec<String>,
}

/// QEMU's user mode emulators.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Emulators {
    /// Packages that bring them.
    pub packages: Vec<String>,
    /// Path of the emulator of one architecture, below the root; a template.
    pub program: String,
}

impl Toolchain {
    /// Parses a definition; `file` is named in errors.
    ///
    /// # Errors
    /// A usage error with file, line and column.
    pub fn parse(file: &str, text: &str) -> Result<Toolchain> {
        let toolchain: Toolchain = yaml::parse(file, text)?;
        let wrong = |message: String| Err(Error::usage(format!("{file}: {message}")));
        if toolchain.schema != 1 {
            return wrong(format!("schema {} is not known, only 1", toolchain.schema));
        }
        for (name, component) in &toolchain.components {
            if component.packages.is_empty() == component.archive.is_none() {
                return wrong(format!("component '{name}' has either packages or an archive"));
            }
            if let Some(archive) = &component.archive
                && (!archive.into.starts_with('/') || archive.into.contains(".."))
            {
                return wrong(format!("component '{name}': '{}' is not an absolute path", archive.into));
            }
        }
        for arch in Arch::ALL {
            toolchain.target_packages(arch, arch).map_err(|error| Error::usage(file).because(error))?;
        }
        Ok(toolchain)
    }

    /// Names of the packages that a target needs on a host.
    ///
    /// # Errors
    /// A usage error for a template that does not expand.
    pub fn target_packages(&self, host: Arch, target: Arch) -> Result<Vec<String>> {
        let packages = match self.targets.exceptions.get(&target) {
            _ if host == target => &self.targets.native,
            Some(exception) => exception,
            None => &self.targets.cross,
        };
        let variables = Variables::of_arch(target);
        packages.packages.iter().map(|name| variables.expand(name)).collect()
    }

    /// The tools and the further environment of a target.
    ///
    /// # Errors
    /// A usage error for a template that does not expand.
    pub fn target_environment(&self, target: Arch) -> Result<BTreeMap<String, String>> {
        let variables = Variables::of_arch(target);
        let both = self.tools.iter().chain(&self.environment);
        both.map(|(name, value)| Ok((name.clone(), variables.expand(value)?))).collect()
    }
}

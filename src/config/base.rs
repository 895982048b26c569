//! Images that others start from: what a name after FROM stands for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::choice::relative;
use super::{Variables, map, yaml};
use crate::domain::{Error, ImageReference, Result};

/// A base as typed: just one of `layout`, `image` and `bootstrap`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a map with `layout`, `image` or `bootstrap`")]
pub struct BaseFile {
    /// A folder of the project in the OCI image layout.
    pub layout: Option<String>,
    /// The name in that layout; when absent, the base's own, or the only one there is.
    pub name: Option<String>,
    /// A name at a registry, with a tag or a digest.
    pub image: Option<String>,
    /// A distribution's packages.
    pub bootstrap: Option<RootFilesystem>,
}

/// A root file system of packages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a map with `suite`, `packages` and the like")]
pub struct RootFilesystem {
    /// The release.
    pub suite: String,
    /// Whether its updates and security updates come along.
    #[serde(default = "yes")]
    pub updates: bool,
    /// Packages beside those of the variant.
    #[serde(default)]
    pub packages: Vec<String>,
    /// Which packages are there in any case.
    #[serde(default)]
    pub variant: Variant,
}

fn yes() -> bool {
    true
}

impl RootFilesystem {
    /// A release with its updates, and no packages beside those of the variant.
    pub fn of_suite(suite: String) -> RootFilesystem {
        RootFilesystem { suite, updates: true, packages: Vec::new(), variant: Variant::default() }
    }
}

/// Which packages a root file system has that asks for none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Variant {
    /// Those of the priority "required", and apt: what Debian's own images have.
    #[default]
    Minbase,
    /// The essential ones alone; there is no apt.
    Essential,
}

/// Where the image of a name comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BaseSource {
    /// A folder in the OCI image layout.
    Layout {
        /// The folder, absolute.
        folder: PathBuf,
        /// Its name there; without one, the base's own name, or what is there without a name.
        name: Option<String>,
    },
    /// A registry.
    Registry {
        /// Its name there, in full.
        image: String,
        /// Whether the registry is spoken to without TLS.
        insecure: bool,
    },
    /// A distribution's packages.
    Bootstrap(RootFilesystem),
}

/// What is to be known of a registry.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a map with `insecure`")]
pub struct RegistryFile {
    /// Whether it is spoken to without TLS; when absent, if it is on this machine.
    pub insecure: Option<bool>,
}

/// What a root file system has beside its packages, from `images/bases/<distribution>.yaml`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Distribution {
    /// Version of this format: 1.
    pub schema: u8,
    /// One line for people.
    pub summary: String,
    /// Files by absolute path; templates with `suite`, and `updates`, which is `yes` or `no`. One that starts with `#!` can be run.
    #[serde(deserialize_with = "map::unique")]
    pub files: BTreeMap<String, String>,
    /// Owners that the packages' own scripts give, as `user:group` by absolute path.
    #[serde(deserialize_with = "map::unique")]
    pub owners: BTreeMap<String, String>,
}

impl Distribution {
    /// Parses a definition; `file` is named in errors.
    ///
    /// # Errors
    /// A usage error with file, line and column.
    pub fn parse(file: &str, text: &str) -> Result<Distribution> {
        let distribution: Distribution = yaml::parse(file, text)?;
        if distribution.schema != 1 {
            return Err(Error::usage(format!("{file}: schema {} is not known, only 1", distribution.schema)));
        }
        let mut paths = distribution.files.keys().chain(distribution.owners.keys());
        match paths.find(|path| !path.starts_with('/') || path.split('/').any(|part| part == "..")) {
            Some(path) => Err(Error::usage(format!("{file}: '{path}' is not an absolute path"))),
            None => Ok(distribution),
        }
    }

    /// The files of a root file system.
    ///
    /// # Errors
    /// A usage error for a template that does not expand.
    pub fn files(&self, root: &RootFilesystem) -> Result<BTreeMap<String, String>> {
        let mut variables = Variables::default();
        variables.set("suite", &root.suite);
        variables.set("updates", if root.updates { "yes" } else { "no" });
        self.files.iter().map(|(path, text)| Ok((path.clone(), variables.expand(text)?))).collect()
    }
}

impl BaseFile {
    /// What was typed, with its paths below the project.
    ///
    /// # Errors
    /// A usage error where it says nothing, or more than one thing.
    pub(super) fn resolve(self, folder: &Path, registries: &Registries) -> Result<BaseSource> {
        let hint = "`layout: ./folder`, `image: registry.example/name:tag` or `bootstrap: { suite: trixie }`";
        let BaseFile { layout, name, image, bootstrap } = self;
        if name.is_some() && layout.is_none() {
            return Err(Error::usage("'name' goes with 'layout'"));
        }
        match (layout, image, bootstrap) {
            (Some(layout), None, None) => {
                relative(&layout)?;
                Ok(BaseSource::Layout { folder: folder.join(layout), name })
            }
            (None, Some(image), None) => registries.source(&image),
            (None, None, Some(root)) => Ok(BaseSource::Bootstrap(root)),
            (None, None, None) => Err(Error::usage("it does not say where it comes from").hint(hint)),
            _ => Err(Error::usage("it says more than one thing").hint(hint)),
        }
    }
}

/// Registries that a project has something to say of, by host and port.
#[derive(Debug, Clone, Default)]
pub(super) struct Registries(BTreeMap<String, RegistryFile>);

impl Registries {
    pub(super) fn new(typed: BTreeMap<String, RegistryFile>) -> Registries {
        Registries(typed)
    }

    /// The source of an image's name.
    ///
    /// # Errors
    /// A usage error for what is no such name.
    pub(super) fn source(&self, name: &str) -> Result<BaseSource> {
        let image: ImageReference = name.parse()?;
        let said = self.0.get(image.registry()).and_then(|registry| registry.insecure);
        let insecure = said.unwrap_or_else(|| image.is_on_this_machine());
        Ok(BaseSource::Registry { image: image.to_string(), insecure })
    }
}

//! A library's recipe: versions with their archives, build commands, what comes out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{SourceArchive, map, yaml};
use crate::domain::{Error, Name, Result};

/// How to cross-build one C library, from `toolchains/libs/<name>.yaml`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Version of this format: 1.
    pub schema: u8,
    /// One line for people.
    pub summary: String,
    /// The version that is meant when none is named.
    pub default: Name,
    /// Every version that can be asked for.
    #[serde(deserialize_with = "map::unique")]
    pub versions: BTreeMap<Name, SourceArchive>,
    /// Recipes of libraries that this one is built with.
    #[serde(default)]
    pub libs: Vec<String>,
    /// What the script calls beside the target's tools and what every machine has; without a container, the machine has to
    /// have these itself.
    #[serde(default)]
    pub programs: Vec<String>,
    /// A shell script, run in the unpacked archive; installs into `$DESTDIR$XBUILD_PREFIX`.
    pub build: String,
    /// Paths below the prefix that must be there afterwards.
    pub installs: Vec<String>,
}

impl Recipe {
    /// Parses a recipe; `file` is named in errors.
    ///
    /// # Errors
    /// A usage error with file, line and column.
    pub fn parse(file: &str, text: &str) -> Result<Recipe> {
        let recipe: Recipe = yaml::parse(file, text)?;
        if recipe.schema != 1 {
            return Err(Error::usage(format!("{file}: schema {} is not known, only 1", recipe.schema)));
        }
        recipe.version(None).map_err(|error| Error::usage(file).because(error))?;
        if let Some(path) = recipe.installs.iter().find(|path| path.starts_with('/') || path.contains("..")) {
            return Err(Error::usage(format!("{file}: '{path}' is not a path below the prefix")));
        }
        Ok(recipe)
    }

    /// A version's name and archive.
    ///
    /// # Errors
    /// A usage error that lists the versions there are.
    pub fn version(&self, wanted: Option<&str>) -> Result<(&Name, &SourceArchive)> {
        let wanted = wanted.unwrap_or(self.default.as_str());
        self.versions.get_key_value(wanted).ok_or_else(|| {
            let known: Vec<&str> = self.versions.keys().map(Name::as_str).collect();
            Error::usage(format!("there is no version {wanted}")).hint(format!("there are {}", known.join(", ")))
        })
    }
}

//! The toolchains and recipes there are: xbuild's own, and a project's, which come first.

use std::path::{Path, PathBuf};

use super::{Distribution, Recipe, Toolchain, yaml};
use crate::domain::{Error, Name, Result};

const TOOLCHAINS: [(&str, &str); 2] = [
    ("debian-bookworm", include_str!("../../toolchains/debian-bookworm.yaml")),
    ("debian-trixie", include_str!("../../toolchains/debian-trixie.yaml")),
];

const RECIPES: [(&str, &str); 2] = [
    ("libpcap", include_str!("../../toolchains/libs/libpcap.yaml")),
    ("libseccomp", include_str!("../../toolchains/libs/libseccomp.yaml")),
];

const DEBIAN: (&str, &str) = ("images/bases/debian.yaml", include_str!("../../images/bases/debian.yaml"));

/// Finds toolchains and recipes by name.
#[derive(Debug, Clone)]
pub struct Catalogue {
    folder: PathBuf,
}

impl Catalogue {
    /// The catalogue for a project, whose `toolchains/` folder may hold further ones.
    pub fn of_project(project: &Path) -> Catalogue {
        Catalogue { folder: project.join("toolchains") }
    }

    /// A toolchain.
    ///
    /// # Errors
    /// A usage error that lists what there is, or tells what is wrong with the definition.
    pub fn toolchain(&self, name: &Name) -> Result<Toolchain> {
        let (file, text) = self.text(&self.folder, &TOOLCHAINS, name.as_str(), "toolchain")?;
        Toolchain::parse(&file, &text)
    }

    /// A library's recipe.
    ///
    /// # Errors
    /// A usage error that lists what there is, or tells what is wrong with the recipe.
    pub fn recipe(&self, name: &Name) -> Result<Recipe> {
        let (file, text) = self.text(&self.folder.join("libs"), &RECIPES, name.as_str(), "library")?;
        Recipe::parse(&file, &text)
    }

    /// The text of a toolchain's definition, with its comments.
    ///
    /// # Errors
    /// A usage error that lists what there is.
    pub fn toolchain_text(&self, name: &Name) -> Result<String> {
        self.text(&self.folder, &TOOLCHAINS, name.as_str(), "toolchain").map(|(_, text)| text)
    }

    /// Names of all toolchains, sorted.
    pub fn toolchains(&self) -> Vec<Name> {
        names(&self.folder, &TOOLCHAINS)
    }

    /// Names of all recipes, sorted.
    pub fn recipes(&self) -> Vec<Name> {
        names(&self.folder.join("libs"), &RECIPES)
    }

    /// What a root file system of Debian's packages has beside these.
    ///
    /// # Errors
    /// A usage error that tells what is wrong with the definition.
    pub fn debian(&self) -> Result<Distribution> {
        let (file, text) = DEBIAN;
        Distribution::parse(file, text)
    }

    fn text(&self, folder: &Path, own: &[(&str, &str)], name: &str, what: &str) -> Result<(String, String)> {
        let path = folder.join(format!("{name}.yaml"));
        if path.exists() {
            return Ok((path.display().to_string(), yaml::read(&path)?));
        }
        match own.iter().find(|(known, _)| *known == name) {
            Some((_, text)) => Ok((format!("{name}.yaml (built in)"), (*text).to_owned())),
            None => {
                let known = names(folder, own);
                let known: Vec<&str> = known.iter().map(Name::as_str).collect();
                Err(Error::usage(format!("there is no {what} '{name}'"))
                    .hint(format!("there are {}", known.join(", "))))
            }
        }
    }
}

fn names(folder: &Path, own: &[(&str, &str)]) -> Vec<Name> {
    let mut names: Vec<Name> = own.iter().filter_map(|(name, _)| name.parse().ok()).collect();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let file = entry.file_name();
        let name = file.to_str().and_then(|file| file.strip_suffix(".yaml")).and_then(|name| name.parse().ok());
        names.extend(name);
    }
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RootFilesystem;

    #[test]
    fn every_file_of_the_toolchains_folder_is_in_the_catalogue_and_valid() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("toolchains");
        let own = Catalogue::of_project(Path::new("/nonexistent"));
        assert_eq!(own.toolchains(), names(&folder, &[]));
        assert_eq!(own.recipes(), names(&folder.join("libs"), &[]));
        for name in own.toolchains() {
            let toolchain = own.toolchain(&name).unwrap();
            for library in &toolchain.libraries {
                own.recipe(&library.parse().unwrap()).unwrap();
            }
            own.debian().unwrap().files(&RootFilesystem::of_suite(toolchain.base.bootstrap.suite)).unwrap();
        }
    }
}

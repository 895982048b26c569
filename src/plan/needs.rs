//! What a project's builders must hold.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::{LibraryChoice, Project};
use crate::domain::{Name, Result};

/// Components and libraries, each once, in the order of their names.
pub(super) struct Needs {
    pub(super) components: Vec<Name>,
    pub(super) libraries: Vec<LibraryChoice>,
}

impl Needs {
    /// Whatever one of the project's programs asks for; for a project without programs, Go and the toolchain's libraries.
    ///
    /// # Errors
    /// A usage error for a library that does not exist.
    pub(super) fn of(project: &Project) -> Result<Needs> {
        let mut components: BTreeSet<Name> = BTreeSet::new();
        let mut libraries: BTreeMap<String, LibraryChoice> = BTreeMap::new();
        for binary in project.binaries.values() {
            components.extend(binary.components.iter().cloned());
            for library in &binary.libraries {
                libraries.insert(format!("{}@{}", library.name, library.version), library.clone());
            }
        }
        if project.binaries.is_empty() {
            components.extend(project.toolchain.components.keys().filter(|name| name.as_str() == "go").cloned());
            for text in &project.toolchain.libraries {
                libraries.insert(text.clone(), project.library(text)?);
            }
        }
        Ok(Needs { components: components.into_iter().collect(), libraries: libraries.into_values().collect() })
    }
}

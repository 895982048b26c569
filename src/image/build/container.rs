//! What commands in a container of a finished image start with.

use std::path::PathBuf;

use super::folders::Folders;
use super::stage::FinishedStage;
use super::users;
use crate::domain::{Arch, Result};
use crate::image::Runtime;

/// A container of an image, but for the folder that takes what its commands change.
#[derive(Debug, Clone)]
pub struct Container {
    /// Whose programs it has.
    pub arch: Arch,
    /// The root's folders, lowest first.
    pub layers: Vec<PathBuf>,
    /// Absolute.
    pub cwd: String,
    /// User and group.
    pub owner: (u32, u32),
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// The user's home folder, for commands whose environment names none.
    pub home: String,
}

impl FinishedStage {
    /// What its image starts programs with.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// A container of its image, for its own user or for another; unpacks layers that are not unpacked yet.
    ///
    /// # Errors
    /// A user that the image does not know, a store that has lost a layer or cannot be written.
    pub fn container(&self, folders: &Folders<'_>, user: Option<&str>) -> Result<Container> {
        let view = self.stack.view(folders)?;
        let login = users::login(&view, user.unwrap_or(&self.runtime.user))?;
        Ok(Container {
            arch: self.arch,
            layers: self.stack.folders(folders)?,
            cwd: cwd(&self.runtime),
            owner: (login.owner.uid, login.owner.gid),
            groups: login.groups,
            home: login.home,
        })
    }
}

/// Where commands start.
pub(super) fn cwd(runtime: &Runtime) -> String {
    match runtime.working_dir.as_str() {
        "" => "/".to_owned(),
        path => path.to_owned(),
    }
}

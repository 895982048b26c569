//! The folders that a session has in place of a builder's.

use std::fs;
use std::path::{Path, PathBuf};

use super::places::Places;
use super::prefix::fill_prefix;
use super::target_tools::name_tools;
use crate::domain::{Digest, Error, Result, ResultExt};
use crate::engine::native::inside;
use crate::engine::session::{Left, OutputFolder, Session, Source};
use crate::engine::tree_changes::{Comparison, collect_changes};
use crate::engine::tree_copy::copy_tree;
use crate::engine::{Workshop, layer_path};
use crate::plan::{HostTools, OutputFile};
use crate::store::{Bucket, mark_used};

/// What a session's commands work in.
pub(super) struct Workplace {
    pub(super) places: Places,
    made: bool,
}

impl Workplace {
    /// Makes the folders, and copies into them what commands may change.
    pub(super) fn open(workshop: &Workshop, session: &Session<'_>, tools: &HostTools) -> Result<Workplace> {
        let scratch = session.scratch;
        let source = match session.source {
            Source::Folder(folder) => folder.to_owned(),
            Source::Tree { prepared, .. } => {
                let copy = scratch.folder("tree")?;
                let dist = workshop.project.join("dist");
                copy_tree(&workshop.project, &copy, &[&dist, workshop.store.root()])?;
                if let Some(key) = prepared {
                    copy_tree(&layer_path(&workshop.store, &key), &copy, &[])?;
                }
                copy
            }
        };
        let (output, made) = match session.output {
            OutputFolder::Empty(folder) => (folder.to_owned(), true),
            OutputFolder::Programs(folder) => {
                let copy = scratch.folder("programs")?;
                copy_tree(folder, &copy, &[])?;
                (copy, false)
            }
        };
        let cache = match session.cached {
            true => cache(workshop)?,
            false => scratch.folder("cache")?,
        };
        let places = Places {
            source,
            output,
            cache,
            prefix: scratch.folder("prefix")?,
            home: scratch.folder("home")?,
            temporary: scratch.folder("temporary")?,
            tools: scratch.folder("tools")?,
        };
        let told = |name: &str| session.commands.iter().find_map(|command| command.env.get(name)).map(String::as_str);
        if let Some(prefix) = told("XBUILD_PREFIX") {
            let layers: Vec<PathBuf> =
                session.root.layers().iter().map(|key| layer_path(&workshop.store, key)).collect();
            fill_prefix(&places.prefix, &layers, prefix)?;
        }
        if let Some(tools) = session.target.and_then(|target| tools.targets.get(&target)) {
            name_tools(tools, &places, told("XBUILD_PREFIX"))?;
        }
        Ok(Workplace { places, made })
    }

    /// Hands over what a session wants to have of its source.
    pub(super) fn close(&self, workshop: &Workshop, session: &Session<'_>) -> Result<()> {
        let Source::Tree { prepared: None, changes: Some(changes), .. } = session.source else { return Ok(()) };
        let dist = workshop.project.join("dist");
        let left_out = [dist.as_path(), workshop.store.root()];
        let how = Comparison { left_out: &left_out, git: false, exact_times: true };
        collect_changes(&workshop.project, &self.places.source, changes, &how)
    }
}

impl Left for Workplace {
    fn take(&self, output: &OutputFile) -> Result<PathBuf> {
        match &output.path {
            Some(path) => inside(&[&self.places.source], path),
            None if self.made => inside(&[&self.places.output], output.name.as_str()),
            None => Err(Error::bug("an output of commands that have no folder for it")),
        }
    }
}

/// The compilers' caches, which tell compilers apart themselves.
fn cache(workshop: &Workshop) -> Result<PathBuf> {
    let folder = workshop.store.place(Bucket::GoCache, &Digest::of("the machine's own compilers"));
    fs::create_dir_all(&folder).or_environment(|| format!("cannot make {}", folder.display()))?;
    mark_used(&folder);
    Ok(folder)
}

/// Makes the folder that a command wants to start in, as a sandbox does.
pub(super) fn make_folder_of(cwd: &Path) -> Result<()> {
    fs::create_dir_all(cwd).or_environment(|| format!("cannot make {}", cwd.display()))
}

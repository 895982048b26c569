//! What commands changed in the source folder of a container, as a layer of the store.

use std::path::Path;

use crate::docker::Container;
use crate::domain::{Error, Result, ResultExt};
use crate::engine::Workshop;
use crate::engine::tree_changes::{Comparison, collect_changes};
use crate::plan::SOURCE;
use crate::source::unpack;
use crate::store::{Scratch, remove_tree};

/// Puts everything that differs from the project's tree into a folder.
pub(super) async fn keep(container: &Container, workshop: &Workshop, folder: &Path, scratch: &Scratch) -> Result<()> {
    let archive = scratch.path().join("source.tar");
    let failed = || format!("cannot write {}", archive.display());
    let mut file = tokio::fs::File::create(&archive).await.or_environment(failed)?;
    container.get(SOURCE, &mut file).await?;
    tokio::io::AsyncWriteExt::flush(&mut file).await.or_environment(failed)?;
    // All of it is in one folder, the source folder itself; nothing of an archive gets out of where it is unpacked.
    let unpacked = scratch.folder("changed")?;
    if !unpack(&archive, &unpacked, "what the project's `prepare` left")? {
        return Err(Error::build(format!("the project's `prepare` put something else in the place of {SOURCE}")));
    }
    let tree = unpacked.join("tree");
    remove_tree(&tree.join("dist"))?;
    let dist = workshop.project.join("dist");
    // Archives have whole seconds.
    let how = Comparison { left_out: &[&dist], git: true, exact_times: false };
    collect_changes(&workshop.project, &tree, folder, &how)
}

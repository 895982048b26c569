//! What commands changed in the source folder of a container, as a layer of the store.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::sys::stat::{Mode, SFlag, makedev, mknod};

use crate::docker::Container;
use crate::domain::{Error, Result, ResultExt};
use crate::engine::Workshop;
use crate::plan::SOURCE;
use crate::store::Scratch;

/// Puts everything that differs from the project's tree into a folder, and a device without a number in the place of what
/// is gone, as overlay file systems do.
pub(super) async fn keep(container: &Container, workshop: &Workshop, folder: &Path, scratch: &Scratch) -> Result<()> {
    let archive = scratch.path().join("source.tar");
    let failed = || format!("cannot write {}", archive.display());
    let mut file = tokio::fs::File::create(&archive).await.or_environment(failed)?;
    container.get(SOURCE, &mut file).await?;
    tokio::io::AsyncWriteExt::flush(&mut file).await.or_environment(failed)?;
    let opened = File::open(&archive).or_environment(failed)?;
    let changed = difference(io::BufReader::new(opened), &workshop.project, folder);
    changed.or_environment(|| "cannot keep what the project's `prepare` changed".into())?;
    fs::remove_file(&archive).or_environment(failed)
}

fn difference(archive: impl Read, project: &Path, folder: &Path) -> io::Result<()> {
    let mut archive = tar::Archive::new(archive);
    archive.set_preserve_permissions(true);
    archive.set_preserve_mtime(true);
    archive.set_preserve_ownerships(false);
    let mut seen = BTreeSet::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        // Its first part is the source folder's own name.
        let path: PathBuf = entry.path()?.components().skip(1).collect();
        if path.as_os_str().is_empty() || path.starts_with("dist") {
            continue;
        }
        if path.components().any(|part| !matches!(part, std::path::Component::Normal(_))) {
            return Err(io::Error::other(Error::environment(format!("{} leaves the tree", path.display()))));
        }
        seen.insert(path.clone());
        if same(&mut entry, &project.join(&path))? {
            continue;
        }
        let target = folder.join(&path);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        match entry.header().entry_type() {
            // Folders are made with what is in them; what was looked at is not read again.
            tar::EntryType::Directory => fs::create_dir_all(&target)?,
            tar::EntryType::Symlink => {
                let link = entry.link_name()?.ok_or_else(|| io::Error::other("a link without a target"))?;
                std::os::unix::fs::symlink(link, &target)?;
            }
            tar::EntryType::Link => {
                let first = entry.link_name()?.ok_or_else(|| io::Error::other("a link without a target"))?;
                let first: PathBuf = first.components().skip(1).collect();
                let kept = folder.join(&first);
                let from = if kept.symlink_metadata().is_ok() { kept } else { project.join(&first) };
                fs::copy(from, &target)?;
            }
            tar::EntryType::Regular | tar::EntryType::GNUSparse => {
                let mut file = File::create(&target)?;
                io::copy(&mut entry, &mut file)?;
                let mode = std::os::unix::fs::PermissionsExt::from_mode(entry.header().mode()? & 0o7777);
                file.set_permissions(mode)?;
                let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(entry.header().mtime()?);
                file.set_modified(time)?;
            }
            _ => {}
        }
    }
    gone(project, Path::new(""), &seen, folder)
}

/// Whether an entry is what the project has at that place, by what `make` goes by: size, mode and time.
fn same(entry: &mut tar::Entry<'_, impl Read>, path: &Path) -> io::Result<bool> {
    let Ok(metadata) = fs::symlink_metadata(path) else { return Ok(false) };
    let header = entry.header();
    match header.entry_type() {
        tar::EntryType::Directory => Ok(metadata.is_dir()),
        tar::EntryType::Symlink => Ok(metadata.is_symlink()
            && entry.link_name()?.is_some_and(|link| fs::read_link(path).is_ok_and(|to| to == link))),
        tar::EntryType::Regular => Ok(metadata.is_file()
            && metadata.len() == entry.size()
            && metadata.mode() & 0o7777 == header.mode()? & 0o7777
            && u64::try_from(metadata.mtime()).unwrap_or_default() == header.mtime()?),
        _ => Ok(false),
    }
}

/// Writes down what the project has and the container has not.
fn gone(project: &Path, below: &Path, seen: &BTreeSet<PathBuf>, folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(project.join(below))? {
        let entry = entry?;
        let path = below.join(entry.file_name());
        if path == Path::new("dist") {
            continue;
        }
        let kind = entry.file_type()?;
        if !seen.contains(&path) && (kind.is_dir() || kind.is_file() || kind.is_symlink()) {
            let target = folder.join(&path);
            if let Some(parent) = target.parent() {
                fs::create_dir_all(parent)?;
            }
            mknod(&target, SFlag::S_IFCHR, Mode::empty(), makedev(0, 0))?;
        } else if kind.is_dir() {
            gone(project, &path, seen, folder)?;
        }
    }
    Ok(())
}

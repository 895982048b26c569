//! What a command has changed in its copy of a tree, as a layer.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use nix::sys::stat::{Mode, SFlag, mknod};

use super::copy::{copy_file, make_folder};
use crate::domain::{Result, ResultExt};

/// Puts what differs between a tree and its copy into a folder: files as they are in the copy, and a whiteout for what is
/// gone. Git's own notes do not count.
///
/// # Errors
/// An environment error when something cannot be read or written.
pub(super) fn collect_changes(tree: &Path, copy: &Path, changes: &Path, left_out: &[&Path]) -> Result<()> {
    for entry in entries(copy)? {
        if entry.file_name() == ".git" {
            continue;
        }
        let (now, before, kept) = (entry.path(), tree.join(entry.file_name()), changes.join(entry.file_name()));
        let metadata = fs::symlink_metadata(&now).or_environment(|| format!("cannot read {}", now.display()))?;
        // What was never copied was not there for the command.
        let before_metadata = before.symlink_metadata().ok().filter(|_| !left_out.contains(&before.as_path()));
        if metadata.is_dir() {
            make_folder(&kept, &metadata)?;
            match before_metadata.is_some_and(|before| before.is_dir()) {
                true => collect_changes(&before, &now, &kept, left_out)?,
                false => super::copy::copy_tree(&now, &kept, &[])?,
            }
            if before.is_dir() {
                // Fails where there is something in it.
                let _ = fs::remove_dir(&kept);
            }
        } else if !before_metadata.is_some_and(|metadata_before| same((&before, &metadata_before), (&now, &metadata))) {
            copy_file(&now, &kept, &metadata)?;
        }
    }
    for entry in entries(tree)? {
        let gone = copy.join(entry.file_name());
        if entry.file_name() == ".git" || left_out.contains(&entry.path().as_path()) || gone.symlink_metadata().is_ok()
        {
            continue;
        }
        let whiteout = changes.join(entry.file_name());
        mknod(&whiteout, SFlag::S_IFCHR, Mode::empty(), 0)
            .or_environment(|| format!("cannot note that {} was removed", gone.display()))?;
    }
    Ok(())
}

fn entries(folder: &Path) -> Result<Vec<fs::DirEntry>> {
    let failed = || format!("cannot list {}", folder.display());
    fs::read_dir(folder).or_environment(failed)?.map(|entry| entry.or_environment(failed)).collect()
}

/// Whether nothing was written: a copy has the time of what it was copied from.
fn same(before: (&Path, &fs::Metadata), now: (&Path, &fs::Metadata)) -> bool {
    if before.1.is_symlink() && now.1.is_symlink() {
        return matches!((fs::read_link(before.0), fs::read_link(now.0)), (Ok(before), Ok(now)) if before == now);
    }
    let facts = |metadata: &fs::Metadata| {
        (metadata.is_file(), metadata.len(), metadata.mtime(), metadata.mtime_nsec(), metadata.permissions().mode())
    };
    before.1.is_file() && facts(before.1) == facts(now.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::host::copy::copy_tree;

    #[test]
    fn changes_laid_over_the_tree_give_the_changed_tree() {
        let folder = tempfile::tempdir().unwrap();
        let make = |name: &str| {
            fs::create_dir(folder.path().join(name)).unwrap();
            folder.path().join(name)
        };
        let (tree, copy, changes, again) = (make("tree"), make("copy"), make("changes"), make("again"));
        for name in ["kept", "gone", "changed", "folder/kept", "folder/gone", "dist/old", ".git/index"] {
            let path = tree.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        }
        let dist = tree.join("dist");
        let left_out = [dist.as_path()];
        copy_tree(&tree, &copy, &left_out).unwrap();
        assert!(!copy.join("dist").exists());
        let before = fs::metadata(tree.join("kept")).unwrap().modified().unwrap();
        assert_eq!(fs::metadata(copy.join("kept")).unwrap().modified().unwrap(), before);
        fs::remove_file(copy.join("gone")).unwrap();
        fs::remove_file(copy.join("folder/gone")).unwrap();
        fs::write(copy.join("changed"), "otherwise").unwrap();
        fs::write(copy.join(".git/index"), "refreshed").unwrap();
        fs::create_dir_all(copy.join("new/below")).unwrap();
        fs::write(copy.join("new/below/file"), "new").unwrap();
        collect_changes(&tree, &copy, &changes, &left_out).unwrap();
        let mut names: Vec<_> = fs::read_dir(&changes).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["changed", "folder", "gone", "new"]);
        copy_tree(&tree, &again, &left_out).unwrap();
        copy_tree(&changes, &again, &[]).unwrap();
        assert!(!again.join("gone").exists() && !again.join("folder/gone").exists());
        assert_eq!(fs::read_to_string(again.join("changed")).unwrap(), "otherwise");
        assert_eq!(fs::read_to_string(again.join("new/below/file")).unwrap(), "new");
        assert_eq!(fs::read_to_string(again.join("folder/kept")).unwrap(), "folder/kept");
    }
}

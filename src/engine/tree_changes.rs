//! What a command has changed in its copy of a tree, as a layer.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use nix::sys::stat::{Mode, SFlag, mknod};

use super::tree_copy::{copy_file, copy_tree, make_folder};
use crate::domain::{Result, ResultExt};

/// How a tree is held against its copy.
pub(super) struct Comparison<'a> {
    /// Folders of the tree that were never copied: they were not there for the command.
    pub(super) left_out: &'a [&'a Path],
    /// Whether what git writes for itself counts.
    pub(super) git: bool,
    /// Whether the copy has times to the nanosecond, or only to the second.
    pub(super) exact_times: bool,
}

/// Puts what differs between a tree and its copy into a folder: files as they are in the copy, and a whiteout for what is
/// gone.
///
/// # Errors
/// An environment error when something cannot be read or written.
pub(super) fn collect_changes(tree: &Path, copy: &Path, changes: &Path, how: &Comparison<'_>) -> Result<()> {
    for entry in entries(copy)? {
        if how.ignores(&entry) {
            continue;
        }
        let (now, before, kept) = (entry.path(), tree.join(entry.file_name()), changes.join(entry.file_name()));
        let metadata = fs::symlink_metadata(&now).or_environment(|| format!("cannot read {}", now.display()))?;
        let before_metadata = before.symlink_metadata().ok().filter(|_| !how.left_out.contains(&before.as_path()));
        if metadata.is_dir() {
            make_folder(&kept, &metadata)?;
            match before_metadata.is_some_and(|before| before.is_dir()) {
                true => collect_changes(&before, &now, &kept, how)?,
                false => copy_tree(&now, &kept, &[])?,
            }
            if before.is_dir() {
                // Fails where there is something in it.
                let _ = fs::remove_dir(&kept);
            }
        } else if !before_metadata
            .is_some_and(|metadata_before| how.same((&before, &metadata_before), (&now, &metadata)))
        {
            copy_file(&now, &kept, &metadata)?;
        }
    }
    for entry in entries(tree)? {
        let gone = copy.join(entry.file_name());
        let left_out = how.left_out.contains(&entry.path().as_path());
        if how.ignores(&entry) || left_out || gone.symlink_metadata().is_ok() {
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

impl Comparison<'_> {
    fn ignores(&self, entry: &fs::DirEntry) -> bool {
        !self.git && entry.file_name() == ".git"
    }

    /// Whether nothing was written: a copy has the time of what it was copied from.
    fn same(&self, before: (&Path, &fs::Metadata), now: (&Path, &fs::Metadata)) -> bool {
        if before.1.is_symlink() && now.1.is_symlink() {
            return matches!((fs::read_link(before.0), fs::read_link(now.0)), (Ok(before), Ok(now)) if before == now);
        }
        let facts = |metadata: &fs::Metadata| {
            let time = (metadata.mtime(), if self.exact_times { metadata.mtime_nsec() } else { 0 });
            (metadata.is_file(), metadata.len(), time, metadata.permissions().mode())
        };
        before.1.is_file() && facts(before.1) == facts(now.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let how = Comparison { left_out: &left_out, git: false, exact_times: true };
        collect_changes(&tree, &copy, &changes, &how).unwrap();
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

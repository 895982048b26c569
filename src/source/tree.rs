//! The digest of a project's tree: paths, modes and contents of all files that git would not ignore.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Mutex;

use ignore::{WalkBuilder, WalkState};

use crate::domain::{Digest, Error, Result, ResultExt};
use crate::store::FileDigests;

/// What a tree came to.
#[derive(Debug, Clone, Copy)]
pub struct Tree {
    /// Of everything in it.
    pub digest: Digest,
    /// How many files it has.
    pub files: usize,
}

/// Hashes a tree. Follows git's rules for ignored files even where there is no repository; leaves out `.git` and the
/// project's own `dist` folder. Reads only files whose size, times or inode changed.
///
/// # Errors
/// An environment error when a file cannot be read.
pub fn hash_tree(folder: &Path, digests: &FileDigests) -> Result<Tree> {
    let dist = folder.join("dist");
    let skipped = dist.clone();
    let walk = WalkBuilder::new(folder)
        .hidden(false)
        .parents(true)
        .require_git(false)
        .git_global(false)
        .ignore(false)
        .threads(std::thread::available_parallelism().map_or(1, usize::from).min(8))
        .filter_entry(move |entry| entry.file_name() != ".git" && entry.path() != skipped)
        .build_parallel();
    let entries: Mutex<Vec<(Vec<u8>, String)>> = Mutex::default();
    let failure: Mutex<Option<Error>> = Mutex::default();
    walk.run(|| {
        Box::new(|entry| {
            let line = entry.or_environment(|| "cannot list the project".into()).and_then(|entry| {
                let path = entry.path();
                let metadata =
                    fs::symlink_metadata(path).or_environment(|| format!("cannot read {}", path.display()))?;
                let name = path.strip_prefix(folder).unwrap_or(path).as_os_str().as_bytes().to_vec();
                Ok(describe(path, &metadata, digests)?.map(|text| (name, text)))
            });
            match line {
                Ok(line) => lock(&entries).extend(line),
                Err(error) => {
                    lock(&failure).get_or_insert(error);
                    return WalkState::Quit;
                }
            }
            WalkState::Continue
        })
    });
    if let Some(error) = lock(&failure).take() {
        return Err(error);
    }
    let mut entries = std::mem::take(&mut *lock(&entries));
    entries.sort();
    let mut text = Vec::with_capacity(entries.len() * 128);
    for (name, line) in &entries {
        // A name may hold line breaks, but no zero byte.
        text.extend_from_slice(name);
        text.push(0);
        text.extend_from_slice(line.as_bytes());
        text.push(b'\n');
    }
    Ok(Tree { digest: Digest::of(&text), files: entries.len() })
}

/// What counts of a file: folders do not, as in git; of modes only whether it is a program.
fn describe(path: &Path, metadata: &fs::Metadata, digests: &FileDigests) -> Result<Option<String>> {
    let kind = metadata.file_type();
    if kind.is_dir() {
        return Ok(None);
    }
    if kind.is_symlink() {
        let target = fs::read_link(path).or_environment(|| format!("cannot read {}", path.display()))?;
        return Ok(Some(format!("link {}", Digest::of(target.as_os_str().as_bytes()))));
    }
    if !kind.is_file() {
        return Ok(None);
    }
    let mode = if metadata.permissions().mode() & 0o100 == 0 { "file" } else { "program" };
    Ok(Some(format!("{mode} {}", digests.digest(path, metadata)?)))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    #[test]
    fn what_git_ignores_does_not_count_and_all_else_does() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        let project = folder.path().join("project");
        fs::create_dir_all(project.join("dist")).unwrap();
        fs::create_dir_all(project.join("odd \n 'name")).unwrap();
        let hash = || {
            let digests = FileDigests::load(&store, &project);
            hash_tree(&project, &digests).unwrap().digest
        };
        fs::write(project.join(".gitignore"), "*.o\n").unwrap();
        fs::write(project.join("odd \n 'name/a.c"), "int a;").unwrap();
        let before = hash();
        fs::write(project.join("a.o"), "object").unwrap();
        fs::write(project.join("dist/a"), "output").unwrap();
        assert_eq!(hash(), before);
        fs::set_permissions(project.join("odd \n 'name/a.c"), fs::Permissions::from_mode(0o755)).unwrap();
        let program = hash();
        assert_ne!(program, before);
        fs::rename(project.join("odd \n 'name/a.c"), project.join("b.c")).unwrap();
        assert_ne!(hash(), program);
    }
}

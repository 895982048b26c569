//! The digest of a project's tree: paths, modes and contents of all files that git tracks or would not ignore.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use ignore::{WalkBuilder, WalkState};

use super::ProjectGit;
use crate::domain::{Digest, Error, Result, ResultExt};
use crate::store::FileDigests;

/// Where xbuild puts what it makes.
const DIST: &str = "dist";

/// What a tree came to.
#[derive(Debug, Clone, Copy)]
pub struct Tree {
    /// Of everything in it.
    pub digest: Digest,
    /// How many files it has.
    pub files: usize,
}

/// Hashes a project's tree: what git tracks, and what it would not ignore. Follows git's rules for ignored files even
/// where there is no repository; leaves out `.git` and the project's own `dist` folder. Reads only files whose size, times
/// or inode changed.
///
/// # Errors
/// An environment error when a file cannot be read.
pub fn hash_tree(git: &ProjectGit, digests: &FileDigests) -> Result<Tree> {
    let folder = git.folder();
    let listing = Listing { folder, digests };
    let rules = Rules::of(git);
    // git looks up what it tracks while the files are read.
    let (found, tracked) = std::thread::scope(|scope| {
        let tracked = scope.spawn(|| git.tracked());
        (listing.walk(&[folder.to_owned()], rules), tracked.join().unwrap_or_default())
    });
    let mut files = found?;
    files.sort();
    let known = |name: &Path| files.binary_search_by(|(known, _)| known[..].cmp(name.as_os_str().as_bytes())).is_ok();
    let tracked = tracked.iter().map(PathBuf::as_path);
    let hidden: Vec<&Path> = tracked.filter(|name| !name.starts_with(DIST) && !known(name)).collect();
    let submodules = listing.hidden_submodules(&files, &hidden);
    files.extend(listing.walk(&submodules, Rules::Repository)?);
    for name in hidden {
        files.extend(listing.tracked_file(name)?);
    }
    files.sort();
    files.dedup();
    let mut text = Vec::with_capacity(files.len() * 128);
    for (name, line) in &files {
        // A name may hold line breaks, but no zero byte.
        text.extend_from_slice(name);
        text.push(0);
        text.extend_from_slice(line.as_bytes());
        text.push(b'\n');
    }
    Ok(Tree { digest: Digest::of(&text), files: files.len() })
}

/// Whose rules for ignored files hold in a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rules {
    /// Those in the folder, which is no part of a repository.
    Folder,
    /// Those of the repository that begins there.
    Repository,
    /// Those of a repository that begins above, too.
    Above,
}

impl Rules {
    fn of(git: &ProjectGit) -> Rules {
        match git.root() {
            Some(root) if root == git.folder() => Rules::Repository,
            // A repository above that tracks nothing here is another one's, as of a home folder: it may ignore everything
            // that it does not know, and then no change would count.
            Some(_) if !git.tracked().is_empty() => Rules::Above,
            _ => Rules::Folder,
        }
    }
}

/// A name in the project, and what counts of the file.
type Line = (Vec<u8>, String);

struct Listing<'a> {
    folder: &'a Path,
    digests: &'a FileDigests,
}

impl Listing<'_> {
    /// The files in folders that the rules do not hide.
    fn walk(&self, folders: &[PathBuf], rules: Rules) -> Result<Vec<Line>> {
        let Some((first, others)) = folders.split_first() else { return Ok(Vec::new()) };
        let mut walk = WalkBuilder::new(first);
        others.iter().for_each(|folder| _ = walk.add(folder));
        let dist = self.folder.join(DIST);
        let walk = walk
            .hidden(false)
            .parents(rules == Rules::Above)
            // Rules end where a repository begins, which is looked for only then.
            .require_git(rules != Rules::Folder)
            .git_global(false)
            .ignore(false)
            .threads(std::thread::available_parallelism().map_or(1, usize::from).min(8))
            .filter_entry(move |entry| entry.file_name() != ".git" && entry.path() != dist)
            .build_parallel();
        let lines: Mutex<Vec<Line>> = Mutex::default();
        let failure: Mutex<Option<Error>> = Mutex::default();
        walk.run(|| {
            Box::new(|entry| {
                let line = entry.or_environment(|| "cannot list the project".into()).and_then(|entry| {
                    let path = entry.path();
                    let metadata =
                        fs::symlink_metadata(path).or_environment(|| format!("cannot read {}", path.display()))?;
                    self.line(path, &metadata)
                });
                match line {
                    Ok(line) => lock(&lines).extend(line),
                    Err(error) => {
                        lock(&failure).get_or_insert(error);
                        return WalkState::Quit;
                    }
                }
                WalkState::Continue
            })
        });
        match lock(&failure).take() {
            Some(error) => Err(error),
            None => Ok(std::mem::take(&mut *lock(&lines))),
        }
    }

    /// A file that git tracks, if it is there.
    fn tracked_file(&self, name: &Path) -> Result<Option<Line>> {
        let path = self.folder.join(name);
        match fs::symlink_metadata(&path) {
            Ok(metadata) => self.line(&path, &metadata),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(error).or_environment(|| format!("cannot read {}", path.display())),
        }
    }

    /// Submodules that have some of the files that were hidden, and none of those that were found: the rules that hide a
    /// submodule's folder are not its own, by which git looks at what is in it.
    fn hidden_submodules(&self, found: &[Line], hidden: &[&Path]) -> Vec<PathBuf> {
        let mut above = BTreeSet::new();
        for file in hidden {
            above.extend(file.ancestors().skip(1).take_while(|folder| !folder.as_os_str().is_empty()));
        }
        let is_hidden = |folder: &Path| {
            let start = [folder.as_os_str().as_bytes(), b"/"].concat();
            let place = found.partition_point(|(name, _)| *name < start);
            !found.get(place).is_some_and(|(name, _)| name.starts_with(&start))
        };
        let folders = above.into_iter().filter(|folder| is_hidden(folder)).map(|folder| self.folder.join(folder));
        folders.filter(|folder| folder.join(".git").exists()).collect()
    }

    fn line(&self, path: &Path, metadata: &fs::Metadata) -> Result<Option<Line>> {
        let name = path.strip_prefix(self.folder).unwrap_or(path).as_os_str().as_bytes().to_vec();
        Ok(describe(path, metadata, self.digests)?.map(|text| (name, text)))
    }
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
mod tests;

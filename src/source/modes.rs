//! The modes that files of a project count as having: those that git knows, where it knows the file.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::ProjectGit;

/// What git writes into a checkout depends on the mask of whoever checks out. What it remembers is whether a file is a
/// program, and that is what counts here.
pub struct Modes {
    git: ProjectGit,
    /// Files that git tracks and the folders above them, once somebody asks.
    tracked: OnceLock<BTreeSet<PathBuf>>,
}

impl Modes {
    /// Those of a project.
    pub fn new(git: ProjectGit) -> Modes {
        Modes { git, tracked: OnceLock::new() }
    }

    /// The mode that a file or folder with the mode `found` counts as having. Git is asked when there is a difference.
    pub fn of(&self, path: &Path, is_folder: bool, found: u32) -> u32 {
        let counted = if is_folder || found & 0o100 != 0 { 0o755 } else { 0o644 };
        if found == counted {
            return found;
        }
        let Ok(name) = path.strip_prefix(self.git.folder()) else { return found };
        let tracked = self.tracked.get_or_init(|| with_folders(self.git.tracked()));
        if tracked.contains(name) { counted } else { found }
    }
}

fn with_folders(files: &[PathBuf]) -> BTreeSet<PathBuf> {
    let mut all = BTreeSet::new();
    for file in files {
        // Those above a folder that is known are known.
        all.extend(
            file.ancestors().skip(1).take_while(|above| !all.contains(*above)).map(Path::to_owned).collect::<Vec<_>>(),
        );
        all.insert(file.clone());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::process::Command;

    #[test]
    fn a_tracked_file_is_a_program_or_is_not_and_others_are_what_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        let git = |arguments: &[&str]| {
            assert!(Command::new("git").arg("-C").arg(&folder).args(arguments).status().unwrap().success());
        };
        git(&["init", "-q"]);
        fs::create_dir_all(folder.join("a/b")).unwrap();
        fs::create_dir(folder.join("c")).unwrap();
        for name in ["a/b/tracked", "c/own"] {
            fs::write(folder.join(name), "x").unwrap();
        }
        git(&["add", "a"]);
        let modes = Modes::new(ProjectGit::new(&folder));
        for (name, is_folder, found, counted) in [
            ("a/b/tracked", false, 0o664, 0o644),
            ("a/b/tracked", false, 0o700, 0o755),
            ("a/b/tracked", false, 0o644, 0o644),
            ("a/b", true, 0o775, 0o755),
            ("a", true, 0o700, 0o755),
            ("", true, 0o700, 0o755),
            ("c/own", false, 0o600, 0o600),
            ("c", true, 0o700, 0o700),
        ] {
            assert_eq!(modes.of(&folder.join(name), is_folder, found), counted, "{name} {found:o}");
        }
        assert_eq!(modes.of(Path::new("/elsewhere"), false, 0o600), 0o600);
        let outside = tempfile::tempdir().unwrap();
        let modes = Modes::new(ProjectGit::new(outside.path()));
        assert_eq!(modes.of(&outside.path().join("x"), false, 0o600), 0o600);
    }
}

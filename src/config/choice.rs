//! What a description may choose: some of the architectures, paths below the project.

use std::path::{Component, Path, PathBuf};

use crate::domain::{Arch, Error, Result};

/// Those wanted, or all that are allowed, in the table's order; what is not allowed is an error.
pub(super) fn choose(wanted: &[Arch], allowed: &[Arch], owner: impl Fn() -> String) -> Result<Vec<Arch>> {
    if let Some(arch) = wanted.iter().find(|arch| !allowed.contains(arch)) {
        let names: Vec<&str> = allowed.iter().map(|arch| arch.name()).collect();
        return Err(Error::usage(format!("the {} has no architecture {arch}", owner()))
            .hint(format!("it has {}", names.join(", "))));
    }
    let chosen = |arch: &Arch| if wanted.is_empty() { allowed.contains(arch) } else { wanted.contains(arch) };
    Ok(Arch::ALL.into_iter().filter(chosen).collect())
}

/// A path that stays below the folder that it is joined to.
///
/// # Errors
/// A usage error for any other.
pub fn relative(text: &str) -> Result<()> {
    let legal = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    if !text.is_empty() && Path::new(text).components().all(legal) {
        Ok(())
    } else {
        Err(Error::usage(format!("'{text}' is not a path below the project")))
    }
}

/// A path relative to a folder of the project: it may go up from there, but not out of the project.
///
/// # Errors
/// A usage error for any other.
pub fn below(project: &Path, folder: &Path, text: &str) -> Result<PathBuf> {
    let mut path = folder.to_owned();
    let stays = !text.is_empty()
        && Path::new(text).components().all(|part| match part {
            Component::Normal(name) => {
                path.push(name);
                true
            }
            Component::CurDir => true,
            Component::ParentDir => path.pop() && path.starts_with(project),
            Component::RootDir | Component::Prefix(_) => false,
        });
    if stays { Ok(path) } else { Err(Error::usage(format!("'{text}' is not a path below the project"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_in_the_project() {
        let path = |folder: &str, text: &str| below(Path::new("/p"), Path::new(folder), text).ok();
        assert_eq!(path("/p", "./a/b"), Some("/p/a/b".into()));
        assert_eq!(path("/p/x/y", "../../a"), Some("/p/a".into()));
        assert_eq!(path("/p/x", ".."), Some("/p".into()));
        for (folder, text) in [("/p", ".."), ("/p", "../p/a"), ("/p/x", "../../p/x"), ("/p", "/p/a"), ("/p", "")] {
            assert_eq!(path(folder, text), None, "{folder} {text}");
        }
    }
}

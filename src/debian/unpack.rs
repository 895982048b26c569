//! Packages' files, put into a root that several threads fill at once.

#[cfg(test)]
mod tests;
mod writer;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use crate::domain::{Error, Result, ResultExt};

use super::deb::Deb;
use super::tree::{Metadata, Tree, folder_metadata, show};
use super::{Control, Package, database};

use writer::Writer;

/// What becomes of owners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// Those of the packages, by number; needs root, or an id map that has them.
    Apply,
    /// Everything belongs to whoever unpacks.
    Ignore,
}

/// How much a package may hold, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The data part, unpacked.
    pub unpacked: u64,
    /// The control part, unpacked; it is held in memory.
    pub control: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { unpacked: 16 << 30, control: 64 << 20 }
    }
}

/// A root in the making: one layer, on top of others or of none.
pub struct Unpacking {
    tree: Tree,
    below: Vec<PathBuf>,
    ownership: Ownership,
    limits: Limits,
}

/// A package whose files and control files are in place.
#[derive(Debug)]
pub struct Unpacked {
    /// Which.
    pub package: Package,
    pub(crate) control: Control,
    /// As dpkg lists them: `/.`, `/bin/sh`.
    pub(crate) paths: Vec<Vec<u8>>,
    folders: BTreeMap<Vec<OsString>, Metadata>,
    /// Of what does not belong to root.
    owners: BTreeMap<PathBuf, (u32, u32)>,
    newest: i64,
}

impl Unpacked {
    /// Who owns what of the package does not belong to root, by path in the root: whether or not the owner was applied.
    pub fn owners(&self) -> impl Iterator<Item = (PathBuf, (u32, u32))> {
        self.owners.iter().map(|(path, owner)| (path.clone(), *owner))
    }
}

/// The newest modification time in some packages, in seconds since 1970: the date of what they make together.
pub fn newest_mtime(unpacked: &[Unpacked]) -> i64 {
    unpacked.iter().map(|package| package.newest).max().unwrap_or_default()
}

impl Unpacking {
    /// Starts with an empty or missing directory. `below` are the lower layers, topmost first.
    ///
    /// # Errors
    /// An environment error where the directory cannot be made, or is not empty.
    pub fn new(root: &Path, below: Vec<PathBuf>, ownership: Ownership, limits: Limits) -> Result<Unpacking> {
        fs::create_dir_all(root).or_environment(|| format!("cannot make {}", root.display()))?;
        let mut entries = fs::read_dir(root).or_environment(|| format!("cannot read {}", root.display()))?;
        if entries.next().is_some() {
            return Err(Error::environment(format!("{} is not empty", root.display())));
        }
        let mut tree = Tree::open(root)?;
        if below.is_empty() {
            for name in ["bin", "sbin", "lib"] {
                tree.symlink(&[name.into()], OsStr::new(&format!("usr/{name}")))?;
            }
        }
        Ok(Unpacking { tree, below, ownership, limits })
    }

    /// A further handle on the root.
    pub(crate) fn tree(&self) -> Result<Tree> {
        self.tree.another()
    }

    /// Puts one package's files in place; may be called from several threads at once.
    ///
    /// # Errors
    /// An environment error that names the file and the entry where it is damaged or would leave the root.
    /// The root is then of no use.
    pub fn unpack(&self, package: &Package, deb: &Path) -> Result<Unpacked> {
        self.unpack_file(package, deb).context(|| format!("{}", deb.display()))
    }

    fn unpack_file(&self, package: &Package, path: &Path) -> Result<Unpacked> {
        let mut deb = Deb::open(path, package, &self.limits)?;
        let conffiles = database::conffiles(&deb.control)?;
        let mut writer = Writer {
            tree: self.tree()?,
            ownership: self.ownership,
            conffiles: conffiles.iter().map(|path| path.as_bytes().to_vec()).collect(),
            buffer: vec![0; 1 << 18],
            paths: Vec::new(),
            folders: BTreeMap::new(),
            owners: BTreeMap::new(),
            newest: 0,
        };
        deb.data(&self.limits, |entry| writer.entry(entry))?;
        let Writer { mut tree, paths, folders, owners, newest, .. } = writer;
        database::write_info(&mut tree, package, &deb.control, &paths)?;
        Ok(Unpacked { package: package.clone(), control: deb.control, paths, folders, owners, newest })
    }

    /// Finishes the layer: folders get owner, mode and time of the first package that has them (or of the lower layer),
    /// and dpkg's database says that the packages are unpacked, on top of those in `installed`.
    ///
    /// `unpacked` is in apt's order of installation; `installed` is the lower layer's status file, after configuration.
    ///
    /// # Errors
    /// An environment error where something cannot be written, or a folder is something else in a lower layer.
    pub fn complete(&self, unpacked: &[Unpacked], installed: &str) -> Result<()> {
        let mut tree = self.tree()?;
        for name in ["lib32", "lib64", "libx32"] {
            if self.below.is_empty() && tree.stat(&["usr".into(), name.into()])?.is_some() {
                tree.symlink(&[name.into()], OsStr::new(&format!("usr/{name}")))?;
            }
        }
        database::write(&mut tree, &self.below, unpacked, installed)?;
        let mut folders: BTreeMap<&[OsString], Metadata> = BTreeMap::new();
        for package in unpacked {
            for (path, metadata) in &package.folders {
                folders.entry(path).or_insert(*metadata);
            }
        }
        // Deepest first, because a folder's own mode may forbid to enter it.
        for (path, metadata) in folders.into_iter().rev() {
            let joined: PathBuf = path.iter().collect();
            let mut metadata = metadata;
            for layer in &self.below {
                match folder_metadata(layer, &joined) {
                    Ok(None) => continue,
                    Ok(Some(found)) => metadata = Metadata { owner: metadata.owner.and(found.owner), ..found },
                    Err(other) => {
                        let text =
                            format!("the folder '{}' is no folder in a lower layer: {}", show(path), other.display());
                        return Err(Error::environment(text));
                    }
                }
                break;
            }
            tree.set(path, &metadata)?;
        }
        Ok(())
    }
}

//! Packages' files, put into a root that several threads fill at once.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{Read, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use nix::sys::stat::futimens;
use nix::sys::time::TimeSpec;

use crate::domain::{Error, Result, ResultExt};

use super::deb::{Deb, Entry};
use super::exclude::is_excluded;
use super::tree::{Metadata, Tree, folder_metadata, show};
use super::{Control, Package, alias, database};

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
    newest: i64,
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
            newest: 0,
        };
        deb.data(&self.limits, |entry| writer.entry(entry))?;
        let Writer { mut tree, paths, folders, newest, .. } = writer;
        database::write_info(&mut tree, package, &deb.control, &paths)?;
        Ok(Unpacked { package: package.clone(), control: deb.control, paths, folders, newest })
    }

    /// Finishes the layer: folders get owner, mode and time of the first package that has them (or of the lower layer),
    /// and dpkg's database says that the packages are unpacked, on top of those in `installed`.
    ///
    /// `unpacked` is in apt's order of installation; `installed` is the lower layer's status file, after configuration.
    ///
    /// # Errors
    /// An environment error where something cannot be written, or a folder is something else in a lower layer.
    pub fn complete(self, unpacked: &[Unpacked], installed: &str) -> Result<()> {
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

/// Writes one package's entries.
struct Writer {
    tree: Tree,
    ownership: Ownership,
    conffiles: Vec<Vec<u8>>,
    buffer: Vec<u8>,
    paths: Vec<Vec<u8>>,
    folders: BTreeMap<Vec<OsString>, Metadata>,
    newest: i64,
}

impl Writer {
    fn entry(&mut self, entry: &mut Entry<'_, '_>) -> Result<()> {
        let parts = alias::components(&entry.path_bytes())?;
        let kind = entry.header().entry_type();
        let shown = show(&parts);
        let broken = || format!("has a broken entry '{shown}'");
        let listed =
            if parts.is_empty() { b"/.".to_vec() } else { [b"/", parts.join(OsStr::new("/")).as_bytes()].concat() };
        if listed.contains(&b'\n') {
            return Err(Error::environment(format!("has a line break in the name '{}'", shown.escape_debug())));
        }
        let is_conffile = self.conffiles.contains(&listed);
        self.paths.push(listed);
        let mut path = alias::resolve(parts);
        if is_excluded(&path, kind.is_dir()) {
            return Ok(());
        }
        let header = entry.header();
        let owner = (self.ownership == Ownership::Apply)
            .then(|| Ok::<_, std::io::Error>((header.uid()?, header.gid()?)))
            .transpose()
            .or_environment(broken)?;
        let owner = owner
            .map(|(uid, gid)| Ok::<_, std::num::TryFromIntError>((u32::try_from(uid)?, u32::try_from(gid)?)))
            .transpose()
            .or_environment(broken)?;
        let mode = header.mode().or_environment(broken)? & 0o7777;
        let mtime = header.mtime().ok().and_then(|time| i64::try_from(time).ok()).unwrap_or_default();
        self.newest = self.newest.max(mtime);
        let mut metadata = Metadata { owner, mode: Some(mode), mtime };
        if is_conffile && let Some(name) = path.last_mut() {
            // dpkg itself gives it its name when it configures the package.
            name.push(".dpkg-new");
        }
        let target = entry.link_name_bytes().map(|name| name.into_owned());
        let target = || target.filter(|t| !t.is_empty()).ok_or_else(|| Error::environment(broken()));
        match kind {
            tar::EntryType::Directory => {
                let path = alias::target(&path).unwrap_or(path);
                self.tree.enter(&path)?;
                self.folders.insert(path, metadata);
            }
            tar::EntryType::Symlink => {
                self.tree.symlink(&path, OsStr::from_bytes(&target()?))?;
                metadata.mode = None;
                self.tree.set(&path, &metadata)?;
            }
            tar::EntryType::Link => {
                let target = alias::resolve(alias::components(&target()?)?);
                self.tree.hard_link(&path, &target)?;
            }
            tar::EntryType::Regular | tar::EntryType::Continuous => self.file(entry, &path, &metadata, &shown)?,
            other => {
                return Err(Error::environment(format!("has '{shown}' of the kind {other:?}, which no builder needs")));
            }
        }
        Ok(())
    }

    fn file(&mut self, entry: &mut Entry<'_, '_>, path: &[OsString], metadata: &Metadata, shown: &str) -> Result<()> {
        let cannot = || format!("cannot write '{shown}'");
        let mut file = self.tree.create(path)?;
        let mut left = entry.size();
        while left > 0 {
            let count = entry.read(&mut self.buffer).or_environment(|| format!("has a broken entry '{shown}'"))?;
            if count == 0 {
                return Err(Error::environment(format!("ends {left} bytes before its entry '{shown}' does")));
            }
            file.write_all(&self.buffer[..count]).or_environment(cannot)?;
            left = left.saturating_sub(count as u64);
        }
        if let Some((uid, gid)) = metadata.owner {
            fchown(&file, Some(uid), Some(gid)).or_environment(cannot)?;
        }
        // After the owner, whose change takes setuid away.
        if let Some(mode) = metadata.mode {
            file.set_permissions(fs::Permissions::from_mode(mode)).or_environment(cannot)?;
        }
        let time = TimeSpec::new(metadata.mtime, 0);
        futimens(&file, &time, &time).or_environment(cannot)
    }
}

#[cfg(test)]
mod tests;

//! One package's entries, each checked and written.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, fchown};
use std::path::PathBuf;

use nix::sys::stat::futimens;
use nix::sys::time::TimeSpec;

use crate::debian::alias;
use crate::debian::deb::Entry;
use crate::debian::exclude::is_excluded;
use crate::debian::tree::{Metadata, Tree, show};
use crate::domain::{Error, Result, ResultExt};

use super::Ownership;

/// Writes one package's entries.
pub(super) struct Writer {
    pub(super) tree: Tree,
    pub(super) ownership: Ownership,
    pub(super) conffiles: Vec<Vec<u8>>,
    pub(super) buffer: Vec<u8>,
    pub(super) paths: Vec<Vec<u8>>,
    pub(super) folders: BTreeMap<Vec<OsString>, Metadata>,
    pub(super) owners: BTreeMap<PathBuf, (u32, u32)>,
    pub(super) newest: i64,
}

impl Writer {
    pub(super) fn entry(&mut self, entry: &mut Entry<'_, '_>) -> Result<()> {
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
        let ids = header.uid().and_then(|uid| Ok((uid, header.gid()?))).or_environment(broken)?;
        let owner = (u32::try_from(ids.0).or_environment(broken)?, u32::try_from(ids.1).or_environment(broken)?);
        if owner != (0, 0) {
            self.owners.insert(path.iter().collect(), owner);
        }
        let owner = (self.ownership == Ownership::Apply).then_some(owner);
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

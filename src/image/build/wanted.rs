//! What of a build context instructions take: all that another builder needs of it.

use std::path::{Component, Path, PathBuf};

use super::context::{Context, MAX_LINKS};
use super::copy::plain;
use super::files::{Files, Found, Kind, matches, walk};
use crate::domain::{Error, Result};
use crate::image::glob;
use crate::image::layer::Entries;

/// Files of a context under their own names, with the folders above them, and links with what they lead to.
pub(super) struct Wanted<'a> {
    context: &'a Context<'a>,
    entries: Entries,
}

impl<'a> Wanted<'a> {
    pub(super) fn new(context: &'a Context<'a>) -> Wanted<'a> {
        Wanted { context, entries: Entries::new() }
    }

    pub(super) fn finish(self) -> Entries {
        self.entries
    }

    /// Takes what a source of COPY, ADD or a mount stands for.
    ///
    /// # Errors
    /// What is not in the context, or leads out of it.
    pub(super) fn source(&mut self, source: &str) -> Result<()> {
        for name in matches(self.context, source)? {
            if self.context.resolve(&name)?.is_none() {
                return Err(self.context.missing(&name, source));
            }
            self.name(&name, 0)?;
        }
        Ok(())
    }

    /// Takes what a source of COPY `--parents` stands for: everything below what comes before its first pattern.
    ///
    /// # Errors
    /// As for [`Wanted::source`].
    pub(super) fn source_with_parents(&mut self, source: &str) -> Result<()> {
        let is_plain = |part: &Component<'_>| !glob::is_pattern(part.as_os_str().as_encoded_bytes());
        let head: PathBuf = plain(Path::new(source)).components().take_while(is_plain).collect();
        match head.to_str() {
            Some(head) => self.source(head),
            None => Ok(()),
        }
    }

    fn name(&mut self, name: &Path, links: usize) -> Result<()> {
        if links > MAX_LINKS {
            return Err(Error::usage(format!("'{}': too many symbolic links", name.display())));
        }
        let mut here = PathBuf::new();
        for part in name.components() {
            let above = here.clone();
            here.push(part);
            let Some(found) = self.context.look(&here)? else { return Ok(()) };
            self.put(&found)?;
            if let Kind::Symlink(target) = &found.kind {
                let rest = name.strip_prefix(&here).unwrap_or(Path::new(""));
                return self.name(&plain(&above.join(target).join(rest)), links + 1);
            }
        }
        match self.context.look(name)? {
            Some(folder) if folder.is_folder() => {
                walk(self.context, &folder)?.iter().try_for_each(|found| self.put(found))
            }
            _ => Ok(()),
        }
    }

    fn put(&mut self, found: &Found) -> Result<()> {
        if !self.entries.contains_key(&found.name) {
            self.entries.insert(found.name.clone(), self.context.entry(found)?);
        }
        Ok(())
    }
}

//! An image's layers as one tree, as a container sees it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use super::layer::{Content, Entries, Entry};
use super::unpack::{Limits, unpack};
use super::{Descriptor, ImageConfig, Layout, Manifest, compression};
use crate::domain::{Result, ResultExt};

/// Symbolic links followed on the way to one file, as the kernel allows.
const MAX_LINKS: usize = 40;

/// The root file system of an image, unpacked into a temporary folder that goes with it.
pub struct MergedImage {
    /// The configuration.
    pub config: ImageConfig,
    /// What is in the image: no deletions, no opaque folders.
    pub entries: Entries,
    /// The files of the layers.
    _unpacked: tempfile::TempDir,
}

impl MergedImage {
    /// Unpacks the layers of an image's manifest into a folder of its own inside `scratch`.
    ///
    /// # Errors
    /// A layer that is damaged, hostile, or in a format that is not supported; a folder that cannot be written.
    pub fn read(layout: &Layout, manifest: &Descriptor, scratch: &Path) -> Result<MergedImage> {
        let manifest: Manifest = layout.read_json(manifest)?;
        let config = layout.read_json(&manifest.config)?;
        let layers = manifest.layers.iter().map(|layer| {
            let reader = layout.open_blob(layer).and_then(|blob| compression::layer(blob, &layer.media_type));
            (format!("layer {}", layer.digest), reader)
        });
        MergedImage::merge(config, layers, scratch)
    }

    /// The same for layers that are archives, lowest first.
    ///
    /// # Errors
    /// As for [`MergedImage::read`].
    pub(super) fn of_archives(config: ImageConfig, layers: &[PathBuf], scratch: &Path) -> Result<MergedImage> {
        let layers = layers.iter().map(|layer| (format!("layer {}", layer.display()), compression::any(layer)));
        MergedImage::merge(config, layers, scratch)
    }

    fn merge(
        config: ImageConfig,
        layers: impl Iterator<Item = (String, Result<Box<dyn Read>>)>,
        scratch: &Path,
    ) -> Result<MergedImage> {
        let failed = || format!("cannot make a folder in {}", scratch.display());
        let unpacked = tempfile::Builder::new().prefix(".merged-").tempdir_in(scratch).or_environment(failed)?;
        let mut limits = Limits::default();
        let mut entries = Entries::new();
        for (number, (name, reader)) in layers.enumerate() {
            let into = unpacked.path().join(number.to_string());
            let upper = reader.and_then(|reader| unpack(reader, &into, &limits)).context(|| name)?;
            limits.entries = limits.entries.saturating_sub(upper.len() as u64);
            put_over(&mut entries, upper);
        }
        link(&mut entries);
        Ok(MergedImage { config, entries, _unpacked: unpacked })
    }

    /// What stands under a path, with every link on the way followed inside the image, also the last if `follow`;
    /// the path without links, and the entry. `None` where nothing is, or links go in a circle.
    pub fn find(&self, path: &Path, follow: bool) -> Option<(PathBuf, &Entry)> {
        let reversed =
            |path: &Path| path.components().rev().map(|part| part.as_os_str().to_owned()).collect::<Vec<OsString>>();
        let mut todo = reversed(path);
        let mut done = PathBuf::new();
        let mut links = 0;
        while let Some(part) = todo.pop() {
            match Path::new(&part).components().next() {
                Some(Component::RootDir) => done = PathBuf::new(),
                Some(Component::ParentDir) => _ = done.pop(),
                Some(Component::Normal(name)) => {
                    done.push(name);
                    match &self.entries.get(&done)?.content {
                        Content::Symlink(target) if follow || !todo.is_empty() => {
                            links += 1;
                            if links > MAX_LINKS {
                                return None;
                            }
                            done.pop();
                            todo.extend(reversed(target));
                        }
                        _ => {}
                    }
                }
                _ => {}
            }
        }
        self.entries.get(&done).map(|entry| (done, entry))
    }

    /// Where a file's bytes are; `None` if the path is no file.
    pub fn file(&self, path: &Path) -> Option<&Path> {
        let (_, mut entry) = self.find(path, true)?;
        if let Content::HardLink(target) = &entry.content {
            entry = self.entries.get(target)?;
        }
        match &entry.content {
            Content::File { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// Takes a name and, unless it is kept, all below it away.
fn hide(entries: &mut Entries, path: &Path, itself: bool) {
    let below = entries.range(path.to_owned()..).map(|(name, _)| name).take_while(|name| name.starts_with(path));
    let below: Vec<PathBuf> = below.filter(|name| itself || *name != path).cloned().collect();
    below.iter().for_each(|name| _ = entries.remove(name));
}

/// Puts a layer over those below it. Hard links become files of the same source: the layer above may rewrite one name
/// of a file, and the others stay what they were.
fn put_over(entries: &mut Entries, upper: Entries) {
    let sources: BTreeMap<PathBuf, Content> = upper
        .iter()
        .filter(|(_, entry)| matches!(entry.content, Content::File { .. }))
        .map(|(path, entry)| (path.clone(), entry.content.clone()))
        .collect();
    for (path, mut entry) in upper {
        match &entry.content {
            Content::Whiteout => {
                hide(entries, &path, true);
                continue;
            }
            Content::OpaqueDirectory => {
                hide(entries, &path, true);
                entry.content = Content::Directory;
            }
            Content::Directory => {
                if entries.get(&path).is_some_and(|below| below.content != Content::Directory) {
                    hide(entries, &path, true);
                }
            }
            Content::HardLink(target) => {
                hide(entries, &path, true);
                if let Some(content) = sources.get(target) {
                    entry.content = content.clone();
                }
            }
            _ => hide(entries, &path, true),
        }
        entries.insert(path, entry);
    }
}

/// Files of one source become links to the first of them.
fn link(entries: &mut Entries) {
    let mut first: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
    for (path, entry) in entries {
        let Content::File { source, .. } = &entry.content else { continue };
        match first.get(source) {
            Some(target) => entry.content = Content::HardLink(target.clone()),
            None => _ = first.insert(source.clone(), path.clone()),
        }
    }
}

//! Images that others start from, read from a layout.

use std::ffi::OsStr;
use std::io::{BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::tree::{ImageTree, Node};
use super::{Descriptor, ImageConfig, Index, Layout, Manifest, media_type};
use crate::domain::{Arch, Error, Result, ResultExt};

/// The most bytes that the layers of a base image may have unpacked, all together.
const MAX_UNPACKED: u64 = 64 << 30;

/// An image in a layout, to start another one from. Its layers are reused by digest.
#[derive(Debug, Clone)]
pub struct BaseImage {
    /// What names it.
    pub descriptor: Descriptor,
    /// Its manifest.
    pub manifest: Manifest,
    /// Its configuration.
    pub config: ImageConfig,
}

impl BaseImage {
    /// The image of a name for an architecture; `None` if the layout has no such name.
    ///
    /// # Errors
    /// A name without that architecture, or documents that are damaged or do not agree.
    pub fn find(layout: &Layout, name: &str, arch: Arch) -> Result<Option<BaseImage>> {
        let Some(mut descriptor) = layout.find(name)? else { return Ok(None) };
        if descriptor.is_index() {
            let index: Index = layout.read_json(&descriptor)?;
            let platforms = || index.manifests.iter().filter_map(|entry| entry.platform.as_ref());
            let fits = |entry: &&Descriptor| entry.platform.as_ref().is_some_and(|platform| platform.fits(arch));
            descriptor = index.manifests.iter().find(fits).cloned().ok_or_else(|| {
                let names: Vec<&str> = platforms().map(|platform| platform.architecture.as_str()).collect();
                Error::usage(format!("{name} is not there for {}", arch.platform()))
                    .hint(format!("it is there for {}", names.join(", ")))
            })?;
        }
        BaseImage::read(layout, descriptor, arch).map(Some).context(|| format!("base image {name}"))
    }

    /// The image of a manifest.
    ///
    /// # Errors
    /// Documents that are damaged or do not agree, another architecture, a missing layer.
    pub fn read(layout: &Layout, descriptor: Descriptor, arch: Arch) -> Result<BaseImage> {
        if !descriptor.is_manifest() {
            return Err(Error::usage(format!("{} is no image manifest", descriptor.media_type)));
        }
        let manifest: Manifest = layout.read_json(&descriptor)?;
        let config: ImageConfig = layout.read_json(&manifest.config)?;
        let (layers, diffs) = (manifest.layers.len(), config.rootfs.diff_ids.len());
        if layers != diffs {
            return Err(Error::environment(format!("{layers} layers, but {diffs} diff_ids in its configuration")));
        }
        if config.os != "linux" || config.architecture != arch.go() {
            let found = format!("{}/{}", config.os, config.architecture);
            return Err(Error::usage(format!("it is for {found}, not for {}", arch.platform())));
        }
        if config.config.on_build.as_ref().is_some_and(|triggers| !triggers.is_empty()) {
            return Err(Error::usage("it has ONBUILD triggers, which are not supported yet"));
        }
        for layer in &manifest.layers {
            if !layout.has_blob(&layer.digest, layer.size)? {
                return Err(Error::environment(format!("its layer {} is not in the layout", layer.digest)));
            }
        }
        Ok(BaseImage { descriptor, manifest, config })
    }

    /// What stands where in the image.
    pub(super) fn tree(&self, layout: &Layout) -> Result<ImageTree> {
        let mut tree = ImageTree::default();
        let mut left = MAX_UNPACKED;
        for layer in &self.manifest.layers {
            let file = BufReader::with_capacity(1 << 18, layout.open_blob(layer)?);
            let failed = || format!("layer {}", layer.digest);
            left = match layer.media_type.as_str() {
                media_type::LAYER => list(file, left, &mut tree),
                media_type::LAYER_GZIP | media_type::DOCKER_LAYER_GZIP => {
                    list(MultiGzDecoder::new(file), left, &mut tree)
                }
                other => Err(Error::usage(format!("the format {other} is not supported yet"))),
            }
            .context(failed)?;
        }
        Ok(tree)
    }
}

/// The path of an entry, relative to the root.
fn entry_path(bytes: &[u8]) -> Result<PathBuf> {
    let mut path = PathBuf::new();
    for component in Path::new(OsStr::from_bytes(bytes)).components() {
        match component {
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            _ => {
                let name = String::from_utf8_lossy(bytes);
                return Err(Error::environment(format!("the entry '{name}' leads out of the image")));
            }
        }
    }
    Ok(path)
}

/// Reads a layer's names into the tree; what is left of the limit.
fn list(reader: impl Read, limit: u64, tree: &mut ImageTree) -> Result<u64> {
    let failed = || "it is damaged".to_owned();
    let mut archive = tar::Archive::new(reader.take(limit));
    for entry in archive.entries().or_environment(failed)? {
        let entry = entry.or_environment(failed)?;
        let path = entry_path(&entry.path_bytes())?;
        let Some(name) = path.file_name() else { continue };
        let parent = path.parent().map(Path::to_owned).unwrap_or_default();
        // A layer's own links decide nothing about where its entries go: container engines refuse to go through them.
        if name == ".wh..wh..opq" {
            tree.remove_below(&parent);
        } else if let Some(hidden) = name.as_bytes().strip_prefix(b".wh.") {
            tree.remove(&parent.join(OsStr::from_bytes(hidden)));
        } else {
            for above in parent.ancestors().filter(|above| !above.as_os_str().is_empty()) {
                if tree.get(above).is_none() {
                    tree.insert(above.to_owned(), Node::Directory);
                }
            }
            let node = match entry.header().entry_type() {
                tar::EntryType::Directory => Node::Directory,
                tar::EntryType::Symlink => {
                    let target = entry.link_name_bytes().unwrap_or_default();
                    Node::Symlink(PathBuf::from(OsStr::from_bytes(&target)))
                }
                _ => Node::Other,
            };
            tree.insert(path, node);
        }
    }
    let mut rest = archive.into_inner();
    // To the end, so that a stream that was cut off is noticed.
    std::io::copy(&mut rest, &mut std::io::sink()).or_environment(failed)?;
    if rest.limit() == 0 {
        return Err(Error::environment(format!("the image has more than {} bytes unpacked", MAX_UNPACKED)));
    }
    Ok(rest.limit())
}

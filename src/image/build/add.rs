//! ADD of archives: unpacked with their own times, modes and owners.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::copy::{Copier, plain};
use super::files::{Files, Found, Kind};
use super::folders::Folders;
use super::stage::Digested;
use crate::domain::{ContentDigest, Digest, Error, Result, ResultExt};
use crate::image::compression;
use crate::image::layer::{Content, Entry, Stamp};

/// The file behind a name, if it is an archive.
pub(super) fn archive(files: &dyn Files, found: &Found) -> Result<Option<Digested>> {
    if found.kind != Kind::Other {
        return Ok(None);
    }
    match files.entry(found)?.content {
        Content::File { source, digest, .. } => Ok(is_archive(&source)?.then_some((source, digest))),
        _ => Ok(None),
    }
}

/// Whether a file is a tar archive, compressed or not.
pub(super) fn is_archive(path: &Path) -> Result<bool> {
    let mut header = Vec::new();
    // What does not decompress is no archive.
    if compression::any(path)?.take(512).read_to_end(&mut header).is_err() || header.len() < 512 {
        return Ok(false);
    }
    let sum: u64 =
        header.iter().enumerate().map(|(at, b)| if (148..156).contains(&at) { 32 } else { u64::from(*b) }).sum();
    let digits: String = header[148..156].iter().map(|b| *b as char).filter(|c| c.is_ascii_digit()).collect();
    Ok(u64::from_str_radix(&digits, 8).is_ok_and(|stated| stated == sum))
}

/// Unpacks an archive at the destination.
///
/// # Errors
/// An archive that is damaged, or that leads out of the destination.
pub(super) fn unpack(
    copier: &mut Copier<'_, '_>,
    folders: &Folders<'_>,
    path: &Path,
    digest: ContentDigest,
) -> Result<()> {
    let identity = Digest::of_json(&("archive", digest));
    let failed = || format!("cannot unpack {}", path.display());
    folders.of_archive(&identity, compression::any(path)?, None).context(failed)?;
    let entries = folders.listing(&identity)?;
    let owner = copier.request.owner.unwrap_or_default();
    let destination = copier.writer.follow(&plain(Path::new(&copier.request.destination)))?;
    copier.writer.folder(&destination, 0o755, owner)?;
    // By the archive's own names: where its folders are in the image, and its files.
    let mut places = BTreeMap::from([(PathBuf::new(), destination.clone())]);
    for (name, mut entry) in entries {
        if name.as_os_str().is_empty() {
            continue;
        }
        let parent = places.get(name.parent().unwrap_or(Path::new(""))).unwrap_or(&destination);
        let target = parent.join(name.file_name().unwrap_or_default());
        // Only folders that the archive does not list have no time: they may be links that are in the image already.
        if entry.mtime.is_none() && entry.content.is_directory() {
            let target = inside(copier, &destination, &target).context(failed)?;
            copier.writer.folder(&target, 0o755, owner)?;
            places.insert(name, target);
            continue;
        }
        if let Content::HardLink(first) = &entry.content {
            entry.content = Content::HardLink(places.get(first).cloned().unwrap_or_else(|| destination.join(first)));
        }
        places.insert(name, target.clone());
        if let Some(owner) = copier.request.owner {
            (entry.uid, entry.gid) = (owner.uid, owner.gid);
        }
        copier.writer.put(target, entry);
    }
    Ok(())
}

/// Where a folder leads, with the destination for the root of every link, as Docker has it.
fn inside(copier: &Copier<'_, '_>, destination: &Path, folder: &Path) -> Result<PathBuf> {
    let view = copier.writer.view();
    let below = folder.strip_prefix(destination).unwrap_or(folder);
    let followed = view.follow_below(destination, below);
    followed.ok_or_else(|| {
        Error::usage(format!("/{} is a symbolic link that leads out of /{}", folder.display(), destination.display()))
            .hint("list the folder in the archive, and it replaces the link")
    })
}

impl Copier<'_, '_> {
    /// Copies a file that is in no tree, under a name of its own.
    pub(super) fn file(&mut self, file: &Digested, name: &Path, mode: u32) -> Result<()> {
        let (source, digest) = file.clone();
        let failed = || format!("cannot read {}", source.display());
        let metadata = source.metadata().or_environment(failed)?;
        let stamp = Stamp::kept(metadata.len());
        let target = self.target(false, name)?;
        let entry = Entry::new(Content::File { source, digest, stamp }, mode, (0, 0));
        self.entry(target, entry, name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{self, Write};

    #[test]
    fn archives_are_known_by_what_is_in_them() {
        let folder = tempfile::tempdir().unwrap();
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_path("a").unwrap();
        header.set_size(0);
        header.set_cksum();
        tar.append(&header, io::empty()).unwrap();
        let tar = tar.into_inner().unwrap();
        let zstd = |bytes: &[u8]| ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest);
        let gzip = |bytes: &[u8]| {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gzip.write_all(bytes).unwrap();
            gzip.finish().unwrap()
        };
        for (bytes, expected) in [
            (tar.clone(), true),
            (gzip(&tar), true),
            (zstd(&tar), true),
            (zstd(b"no archive"), false),
            (gzip(b"no archive"), false),
            (b"\x1f\x8bdamaged".to_vec(), false),
            (vec![0; 1024], false),
            (b"x".repeat(600), false),
            (Vec::new(), false),
        ] {
            let path = folder.path().join("file");
            std::fs::write(&path, &bytes).unwrap();
            assert_eq!(is_archive(&path).unwrap(), expected, "{:?}", &bytes[..bytes.len().min(20)]);
        }
    }
}

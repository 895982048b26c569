//! Compares what builds have left in the store with what it says of itself.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use super::delivery::Delivered;
use super::folders::{LISTING, ROOT};
use super::listing;
use super::run::StepRecord;
use crate::domain::{Digest, Result, ResultExt};
use crate::image::layer::{Content, Entries};
use crate::store::{Bucket, Damage, Store, content_digest};

/// Reads all layers, step records, engines' images and caches of images, and lists what is not what it should be. What
/// commands keep in their caches is their own.
///
/// # Errors
/// An environment error when the store cannot be listed.
pub fn check_store(store: &Store) -> Result<Vec<Damage>> {
    let mut damages = Vec::new();
    for place in store.entries(Bucket::ImageLayers)? {
        let path = place.join(LISTING);
        let read = fs::read(&path).or_environment(|| "cannot read the listing".into());
        match read.and_then(|bytes| listing::read(&bytes, &place.join(ROOT))) {
            Ok(entries) => {
                let root = place.join(ROOT);
                check_layer(&root, &entries, &mut damages);
                damages.extend(strangers(&root, Path::new(""), &entries)?);
            }
            Err(error) => damages.push(Damage { path, problem: error.to_string() }),
        }
    }
    for path in store.entries(Bucket::ImageSteps)? {
        let record = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<StepRecord>(&bytes).ok());
        if record.zip(key(&path)).is_none_or(|(record, key)| !record.is_of(&key)) {
            damages.push(Damage { path, problem: "is not the record of a command".into() });
        }
    }
    for path in store.entries(Bucket::EngineImages)? {
        if fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<Delivered>(&bytes).ok()).is_none() {
            damages.push(Damage { path, problem: "does not say which image an engine has built".into() });
        }
    }
    for path in store.entries(Bucket::ImageCaches)? {
        if !path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
            damages.push(Damage { path, problem: "is no folder".into() });
        }
    }
    Ok(damages)
}

/// The key that a file is named by.
fn key(path: &Path) -> Option<Digest> {
    format!("sha256:{}", path.file_stem()?.to_str()?).parse().ok()
}

/// What is below a folder of a layer and not in its listing. Sockets and deletions of what was never there are left where
/// commands have left them, and so are folders that a command only looked into: nothing comes of them.
fn strangers(root: &Path, folder: &Path, entries: &Entries) -> Result<Vec<Damage>> {
    let mut found = Vec::new();
    let failed = || format!("cannot read {}", root.join(folder).display());
    for entry in fs::read_dir(root.join(folder)).or_environment(failed)? {
        let entry = entry.or_environment(failed)?;
        let (kind, inside) = (entry.file_type().or_environment(failed)?, folder.join(entry.file_name()));
        if kind.is_dir() {
            found.extend(strangers(root, &inside, entries)?);
        } else if !entries.contains_key(&inside) && !kind.is_socket() && !kind.is_char_device() {
            found.push(Damage { path: entry.path(), problem: "is not in the listing of its layer".into() });
        }
    }
    Ok(found)
}

/// What not every user can make, such as devices, stands in the listing alone.
fn check_layer(root: &Path, entries: &Entries, damages: &mut Vec<Damage>) {
    for (path, entry) in entries {
        let place = root.join(path);
        let problem = match (&entry.content, place.symlink_metadata()) {
            (Content::File { digest, .. }, Ok(metadata)) if metadata.is_file() => match content_digest(&place) {
                Ok(found) if found == *digest => None,
                Ok(found) => Some(format!("has digest {found}, its listing says {digest}")),
                Err(error) => Some(error.to_string()),
            },
            (Content::Directory | Content::OpaqueDirectory, Ok(metadata)) if metadata.is_dir() => None,
            (Content::Symlink(target), Ok(_)) if fs::read_link(&place).is_ok_and(|found| found == *target) => None,
            (Content::HardLink(_), Ok(_)) => None,
            (Content::File { .. } | Content::Directory | Content::OpaqueDirectory | Content::Symlink(_), Ok(_)) => {
                Some("is not what its listing says".to_owned())
            }
            (Content::CharDevice(_) | Content::BlockDevice(_) | Content::Fifo | Content::Whiteout, _) => None,
            (_, Err(error)) => Some(error.to_string()),
        };
        damages.extend(problem.map(|problem| Damage { path: place, problem }));
    }
}

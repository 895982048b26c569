//! What the store holds, and the removal of what is not needed.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::{Bucket, Record, Store};
use crate::domain::{Digest, Result};

/// Disk use of one bucket.
#[derive(Debug, Clone, Serialize)]
pub struct Usage {
    /// The bucket's folder.
    pub bucket: &'static str,
    /// Things in it.
    pub entries: u64,
    /// Bytes on disk; a file with several links counts once.
    pub bytes: u64,
}

/// What a clean-up removed.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Collected {
    /// Things removed.
    pub entries: u64,
    /// Bytes on disk that they held.
    pub bytes: u64,
}

/// Disk use of every bucket.
pub fn usage(store: &Store) -> Vec<Usage> {
    let mut seen = HashSet::new();
    Bucket::ALL
        .into_iter()
        .map(|bucket| {
            let entries = entries(&store.bucket(bucket));
            let bytes = entries.iter().map(|path| size(path, &mut seen)).sum();
            Usage { bucket: bucket.folder(), entries: entries.len() as u64, bytes }
        })
        .collect()
}

/// What goes by its own use: nothing else knows whether it is needed.
const AGING: [Bucket; 11] = [
    Bucket::Steps,
    Bucket::Resolutions,
    Bucket::Repositories,
    Bucket::GoCache,
    Bucket::Files,
    Bucket::Layers,
    Bucket::ImageLayers,
    Bucket::ImageSteps,
    Bucket::EngineImages,
    Bucket::ImageCaches,
    Bucket::Examinations,
];

/// Removes work left by killed processes, steps not used for `unused_for` and everything that only they needed.
/// The caller holds the exclusive lock. `remove` removes a tree.
///
/// # Errors
/// An environment error when something cannot be removed.
pub fn collect(store: &Store, unused_for: Duration, remove: &dyn Fn(&Path) -> Result<()>) -> Result<Collected> {
    let mut collected = Collected::default();
    let mut seen = HashSet::new();
    let mut discard = |path: &Path| -> Result<()> {
        collected.bytes += size(path, &mut seen);
        collected.entries += 1;
        remove(path)
    };
    for bucket in [Bucket::Temporary, Bucket::Locks, Bucket::Packages] {
        for path in entries(&store.bucket(bucket)) {
            discard(&path)?;
        }
    }
    let cutoff = SystemTime::now().checked_sub(unused_for);
    let old = |path: &Path| {
        let used = fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
        used.zip(cutoff).is_some_and(|(used, cutoff)| used <= cutoff)
    };
    let mut needed = BTreeSet::new();
    for path in entries(&store.bucket(Bucket::Records)) {
        match read_record(&path) {
            Some(record) if !old(&path) => {
                needed.insert(record.key.hex());
                needed.extend(record.source.map(|source| source.sha256.hex()));
            }
            _ => discard(&path)?,
        }
    }
    for bucket in [Bucket::RootFilesystems, Bucket::Outputs, Bucket::Sources] {
        for path in entries(&store.bucket(bucket)) {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if !needed.contains(&name) {
                discard(&path)?;
            }
        }
    }
    for bucket in AGING {
        for path in entries(&store.bucket(bucket)) {
            if old(&path) {
                discard(&path)?;
            }
        }
    }
    Ok(collected)
}

fn read_record(path: &Path) -> Option<Record> {
    let record: Record = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    (record.key == Digest::of_json(&record.inputs)).then_some(record)
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path()).collect();
    paths.sort();
    paths
}

fn size(path: &Path, seen: &mut HashSet<(u64, u64)>) -> u64 {
    let Ok(metadata) = fs::symlink_metadata(path) else { return 0 };
    let own = if metadata.nlink() == 1 || metadata.is_dir() || seen.insert((metadata.dev(), metadata.ino())) {
        metadata.blocks() * 512
    } else {
        0
    };
    let children = if metadata.is_dir() { entries(path) } else { Vec::new() };
    own + children.iter().map(|child| size(child, seen)).sum::<u64>()
}

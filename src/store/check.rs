//! Compares the store with its records.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::seal::is_intact;
use super::{Bucket, Record, Store, tree_digest};
use crate::domain::{Digest, DigestReader, Result, ResultExt};

/// One thing in the store that is not what it should be.
#[derive(Debug, Clone, Serialize)]
pub struct Damage {
    /// Where.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: String,
}

/// Reads everything that has a digest and lists what does not match.
///
/// # Errors
/// An environment error when the store cannot be read.
pub fn check(store: &Store) -> Result<Vec<Damage>> {
    let mut damages = Vec::new();
    let mut damaged = |path: PathBuf, problem: String| damages.push(Damage { path, problem });
    for path in store.entries(Bucket::Records)? {
        let text = fs::read(&path).ok().filter(|text| is_intact(text));
        let record = text.and_then(|text| serde_json::from_slice::<Record>(&text).ok());
        let Some(record) = record.filter(|record| record.key == Digest::of_json(&record.inputs)) else {
            damaged(path, "is not as it was written".into());
            continue;
        };
        let outputs = store.place(Bucket::Outputs, &record.key);
        for (name, output) in &record.outputs {
            let file = outputs.join(name);
            match file_digest(&file) {
                Ok(found) if found == output.digest => {}
                Ok(found) => damaged(file, format!("has digest {found}, its record says {}", output.digest)),
                Err(error) => damaged(file, error.to_string()),
            }
        }
        let layer = store.place(Bucket::RootFilesystems, &record.key);
        if let Some(expected) = record.tree {
            match tree_digest(&layer) {
                Ok(found) if found == expected => {}
                Ok(found) => damaged(layer, format!("has digest {found}, its record says {expected}")),
                Err(error) => damaged(layer, error.to_string()),
            }
        }
    }
    for path in store.entries(Bucket::Sources)? {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        match file_digest(&path) {
            Ok(found) if found.hex() == name => {}
            Ok(found) => damaged(path, format!("has digest {found}")),
            Err(error) => damaged(path, error.to_string()),
        }
    }
    for path in store.entries(Bucket::Examinations)? {
        if fs::read(&path).ok().and_then(|text| serde_json::from_slice(&text).ok()) != Some(true) {
            damaged(path, "does not say that an image has passed".into());
        }
    }
    Ok(damages)
}

fn file_digest(path: &Path) -> Result<Digest> {
    let failed = || format!("cannot read {}", path.display());
    let mut reader = DigestReader::new(File::open(path).or_environment(failed)?);
    io::copy(&mut reader, &mut io::sink()).or_environment(failed)?;
    Ok(reader.finish().0)
}

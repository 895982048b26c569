//! What a step did, as data: for the next run, for `dist/build.json`, for whoever wants to do it again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::Digest;

/// One finished step. Times are in seconds, dates in seconds since 1970.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// Hash of `inputs`.
    pub key: Digest,
    /// The step's identifier in the plan, as in `binary/router/s390x`.
    pub step: String,
    /// Everything that the result depends on, by name: digests, or short texts themselves.
    pub inputs: BTreeMap<String, String>,
    /// The command, where the step ran one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub argv: Vec<String>,
    /// The command's environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// What was mounted: inside, outside.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub mounts: BTreeMap<String, String>,
    /// Where a download came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// When it started.
    pub started: u64,
    /// How long it took.
    pub wall: f64,
    /// Processor time of its commands.
    pub cpu: f64,
    /// Stands for everything that the step made; steps that use it hash this.
    pub digest: Digest,
    /// Of the layer that it made: paths, types, modes, contents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<Digest>,
    /// The files that it made, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<String, Output>,
}

/// One file that a step made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Output {
    /// Of its bytes.
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
    /// What verification found in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<serde_json::Value>,
}

/// Which of several places a download came from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Source {
    /// The address.
    pub from: String,
    /// Of the archive.
    pub sha256: Digest,
}

impl Record {
    /// Why a step with these inputs cannot use this record: the inputs that differ.
    pub fn difference(&self, inputs: &BTreeMap<String, String>) -> String {
        let names: Vec<&str> = inputs
            .keys()
            .chain(self.inputs.keys().filter(|name| !inputs.contains_key(*name)))
            .filter(|name| self.inputs.get(*name) != inputs.get(*name))
            .map(String::as_str)
            .collect();
        if names.is_empty() { "its result is gone".into() } else { format!("{} changed", names.join(", ")) }
    }
}

//! The OCI image index: one image for several platforms, and the table of contents of a layout.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Descriptor, media_type};

/// An image index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// 2.
    pub schema_version: u32,
    /// Its own format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// What it lists.
    #[serde(default)]
    pub manifests: Vec<Descriptor>,
    /// Anything else.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Index {
    /// The index of some manifests.
    pub fn new(manifests: Vec<Descriptor>) -> Index {
        let media_type = Some(media_type::INDEX.to_owned());
        Index { schema_version: 2, media_type, manifests, annotations: BTreeMap::new() }
    }
}

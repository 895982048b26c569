//! The OCI image manifest, and the descriptors that point from one document to the next.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::{Arch, Digest};

/// Names of the formats of blobs.
pub mod media_type {
    /// An image manifest.
    pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    /// An image index.
    pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
    /// An image configuration.
    pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    /// A layer as it is.
    pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
    /// A layer in gzip.
    pub const LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
    /// A layer in Zstandard.
    pub const LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
    /// Docker's name of a manifest.
    pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    /// Docker's name of an index.
    pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// Docker's name of a layer in gzip.
    pub const DOCKER_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    /// Docker's name of a layer in Zstandard.
    pub const DOCKER_LAYER_ZSTD: &str = "application/vnd.docker.image.rootfs.diff.tar.zstd";
}

/// What a blob is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Its format.
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its bytes.
    pub size: u64,
    /// Whom a manifest is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Anything else.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Descriptor {
    /// A descriptor without platform and annotations.
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Descriptor {
        let media_type = media_type.to_owned();
        Descriptor { media_type, digest, size, platform: None, annotations: BTreeMap::new() }
    }

    /// Whether it points to an index.
    pub fn is_index(&self) -> bool {
        matches!(self.media_type.as_str(), media_type::INDEX | media_type::DOCKER_INDEX)
    }

    /// Whether it points to a manifest.
    pub fn is_manifest(&self) -> bool {
        matches!(self.media_type.as_str(), media_type::MANIFEST | media_type::DOCKER_MANIFEST)
    }
}

/// A platform of an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// Go's name.
    pub architecture: String,
    /// `linux`.
    pub os: String,
    /// As in `v7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl Platform {
    /// The platform of an architecture.
    pub fn of(arch: Arch) -> Platform {
        let variant = arch.variant().map(str::to_owned);
        Platform { architecture: arch.go().to_owned(), os: "linux".to_owned(), variant }
    }

    /// Whether programs of an architecture are for this platform; a variant that is not given is any.
    pub fn fits(&self, arch: Arch) -> bool {
        let variant = self.variant.as_deref();
        let any = variant.is_none() || variant == arch.variant() || (arch == Arch::Arm64 && variant == Some("v8"));
        self.os == "linux" && self.architecture == arch.go() && any
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(f, "/{variant}"))
    }
}

/// An image manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// 2.
    pub schema_version: u32,
    /// Its own format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The configuration.
    pub config: Descriptor,
    /// The layers, lowest first.
    pub layers: Vec<Descriptor>,
    /// Anything else.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Manifest {
    /// The manifest of a configuration and layers.
    pub fn new(config: Descriptor, layers: Vec<Descriptor>) -> Manifest {
        let media_type = Some(media_type::MANIFEST.to_owned());
        Manifest { schema_version: 2, media_type, config, layers, annotations: BTreeMap::new() }
    }
}

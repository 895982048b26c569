//! The OCI image configuration. Fields are written in the order they have here, maps sorted: one value, one digest.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::{Arch, Digest};

/// An image's configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// When it was made, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Go's name of the architecture.
    pub architecture: String,
    /// `linux`.
    pub os: String,
    /// As in `v7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// What a container of it starts with.
    #[serde(default)]
    pub config: Runtime,
    /// The layers, uncompressed.
    pub rootfs: RootFs,
    /// What made each layer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<History>,
}

/// What a container starts with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Runtime {
    /// User and group.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// As in `80/tcp`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exposed_ports: Option<BTreeMap<String, Empty>>,
    /// As in `A=b`, in the order in which they were first set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env: Option<Vec<String>>,
    /// The program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// Its arguments, or the program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    /// Docker's health check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Health>,
    /// Folders with data of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volumes: Option<BTreeMap<String, Empty>>,
    /// Where the program starts.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub working_dir: String,
    /// Triggers of Docker's for images based on this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_build: Option<Vec<String>>,
    /// Labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
    /// As in `SIGTERM`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// Docker's shell of the shell forms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shell: Option<Vec<String>>,
}

/// Docker's health check; durations in nanoseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Health {
    /// `["NONE"]`, or `CMD` or `CMD-SHELL` and the command.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub test: Vec<String>,
    /// Between two checks.
    #[serde(skip_serializing_if = "is_zero")]
    pub interval: u64,
    /// Of one check.
    #[serde(skip_serializing_if = "is_zero")]
    pub timeout: u64,
    /// While failures do not count.
    #[serde(skip_serializing_if = "is_zero")]
    pub start_period: u64,
    /// Between two checks of that time.
    #[serde(skip_serializing_if = "is_zero")]
    pub start_interval: u64,
    /// Failures that make a container unhealthy.
    #[serde(skip_serializing_if = "is_zero")]
    pub retries: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// `{}`: Go's way to write a set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Empty {}

/// The layers of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    /// `layers`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Digests of the uncompressed layers, lowest first.
    pub diff_ids: Vec<Digest>,
}

/// What made a layer, or changed the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// When, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The instruction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// Who.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// It made no layer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub empty_layer: bool,
}

impl ImageConfig {
    /// The configuration of an image without layers.
    pub fn scratch(arch: Arch) -> ImageConfig {
        ImageConfig {
            architecture: arch.go().to_owned(),
            os: "linux".to_owned(),
            variant: arch.variant().map(str::to_owned),
            rootfs: RootFs { kind: "layers".to_owned(), diff_ids: Vec::new() },
            ..ImageConfig::default()
        }
    }
}

impl Runtime {
    /// The environment as pairs.
    pub fn environment(&self) -> impl Iterator<Item = (&str, &str)> {
        self.env.iter().flatten().map(|pair| pair.split_once('=').unwrap_or((pair, "")))
    }

    /// Sets a variable in the place that it has, else behind the others.
    pub fn set_env(&mut self, name: &str, value: &str) {
        let env = self.env.get_or_insert_default();
        let pair = format!("{name}={value}");
        match env.iter_mut().find(|pair| pair.split('=').next() == Some(name)) {
            Some(place) => *place = pair,
            None => env.push(pair),
        }
    }
}

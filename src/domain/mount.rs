//! What a command sees beside its root file system.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// One mount below the root. Targets are made when they are absent.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mount {
    /// A file or folder of the machine's.
    Bind {
        /// Absolute, outside.
        source: PathBuf,
        /// Absolute, inside.
        target: PathBuf,
        /// Writes are refused.
        read_only: bool,
    },
    /// Memory.
    Memory {
        /// Absolute, inside.
        target: PathBuf,
        /// At most so many bytes.
        size: Option<u64>,
    },
    /// A file in memory: what is in it never reaches a disk.
    File {
        /// Absolute, inside.
        target: PathBuf,
        /// What is in it.
        bytes: Vec<u8>,
        /// Its permissions.
        mode: u32,
        /// Its user and group.
        owner: (u32, u32),
    },
    /// Folders of the machine's that look like one, and writable, while changes go elsewhere.
    Overlay {
        /// Absolute, outside, lowest first; never changed.
        lowers: Vec<PathBuf>,
        /// Takes the changes.
        upper: PathBuf,
        /// An empty folder on the file system of `upper`.
        work: PathBuf,
        /// Absolute, inside.
        target: PathBuf,
    },
}

impl Mount {
    /// Where it appears.
    pub fn target(&self) -> &Path {
        match self {
            Mount::Bind { target, .. }
            | Mount::Memory { target, .. }
            | Mount::File { target, .. }
            | Mount::Overlay { target, .. } => target,
        }
    }
}

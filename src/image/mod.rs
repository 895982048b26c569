//! OCI images, planned and assembled in process: a Dockerfile and a build context become layers, a configuration,
//! a manifest and an index in an OCI layout.
//!
//! ```text
//! Dockerfile + Context + Target -> assemble -> Layout
//! ```

mod assemble;
mod base;
mod blob;
mod cache;
mod config;
mod context;
mod copy;
mod dockerfile;
mod glob;
mod gzip;
mod ignore;
mod index;
mod layer;
mod layout;
mod manifest;
mod names;
mod prune;
mod settings;
mod time;
mod tree;

#[cfg(test)]
mod tests;

pub use assemble::{BuiltImage, Target, assemble, base_name, index};
pub use base::BaseImage;
pub use blob::BlobWriter;
pub use cache::{BuiltLayer, LayerCache, Origin};
pub use config::{Empty, Health, History, ImageConfig, RootFs, Runtime};
pub use context::Context;
pub use dockerfile::{
    Command, Copy, CopyKind, Dockerfile, From, Healthcheck, Instruction, Pair, ParseError, Scope, Span, Stage, Step,
    Word,
};
pub use ignore::Ignore;
pub use index::Index;
pub use layer::{Content, Entries, Entry, LayerKey, Stamp};
pub use layout::{Layout, REF_NAME};
pub use manifest::{Descriptor, Manifest, Platform, media_type};
pub use names::{ImageName, PlainName, SuffixStyle};
pub use prune::Pruned;
pub use time::rfc3339;

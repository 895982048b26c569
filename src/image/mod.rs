//! OCI images, planned and assembled in process: a Dockerfile and a build context become layers, a configuration,
//! a manifest and an index in an OCI layout.
//!
//! ```text
//! Dockerfile + Context + Target -> build -> Layout
//! ```

mod archive;
mod base;
mod blob;
mod build;
mod cache;
mod compression;
mod config;
mod deflate;
mod dockerfile;
pub mod export;
mod glob;
mod gzip;
mod ignore;
mod index;
mod layer;
mod layout;
mod manifest;
mod merged;
mod prune;
mod root_layer;
mod saved;
mod time;
pub mod unpack;
mod zstd;

#[cfg(test)]
mod tests;

pub use base::{BaseImage, choose};
pub use blob::BlobWriter;
pub use build::{
    Base, BuiltImage, Container, Context, Demand, Download, FinishedStage, Folders, ForeseenStage, ForeseenStep,
    Foresight, Note, Order, OrderedBase, Ownership, Part, Repository, RepositoryRequest, Request, RunRequest, Services,
    StepState, Steps, Target, Unknown, build, check_store, deliver, delivered, foresee, index, order, stage_arch,
    stages,
};
pub use cache::{BuiltLayer, LayerCache, Origin};
pub use config::{Empty, Health, History, ImageConfig, RootFs, Runtime};
pub use dockerfile::{
    Command, Copy, CopyKind, CopySource, Dockerfile, FileMode, From, Graph, Healthcheck, Heredoc, Instruction,
    MountFlag, OnBuild, Pair, ParseError, PlannedStage, Run, RunMount, Scope, Script, Sharing, Source, Span, Stage,
    Step, Triggers, Word,
};
pub use ignore::Ignore;
pub use index::Index;
pub use layer::{Content, Device, Entries, Entry, LayerKey, Stamp, Xattrs, is_whiteout};
pub use layout::{Layout, REF_NAME};
pub use manifest::{Descriptor, Manifest, Platform, media_type};
pub use merged::MergedImage;
pub use prune::Pruned;
pub use root_layer::RootLayer;
pub use saved::SavedImage;
pub use time::rfc3339;

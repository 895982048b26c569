//! The built-in engine: package layers, overlay root file systems, namespaces.

pub(super) mod configure;
mod layer;
pub(super) mod packages;
mod root;
mod run;
pub mod sandbox;

pub use layer::tree_digest;
pub use root::{Root, RootRequest, open_root, remove_as_root};
pub(super) use run::{Native, inside};

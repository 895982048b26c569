//! The built-in engine: package layers, overlay root file systems, namespaces.

pub(super) mod configure;
pub(super) mod packages;
mod root;
mod run;
pub mod sandbox;

pub(super) use packages::make_mount_points;
pub use root::{Root, RootRequest, open_root, remove_as_root};
pub(super) use run::{Native, inside};

//! The built-in engine: package layers, overlay root file systems, namespaces.

pub(super) mod build;
pub(super) mod configure;
pub(super) mod packages;
mod root;
pub mod sandbox;
mod try_out;

pub use root::{Root, RootRequest, open_root, remove_as_root};
pub use try_out::{Interactive, ProgramTest, run_interactive, run_test};

//! Real engines, each for one test: nothing of them is left behind, and nothing of the machine's own is touched.

mod base;
mod certificates;
mod context;
mod daemon;
mod docker;
mod files;
mod keeper;
mod machine;
mod packages;
mod podman;

pub(crate) use base::Imports;
pub(crate) use daemon::{Ids, Images, Network, Release};
pub(crate) use docker::Docker;
pub(crate) use files::Files;
pub(crate) use machine::{Machine, Reached};
pub(crate) use podman::Podman;

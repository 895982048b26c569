//! `--mount` of RUN: as written, and checked.

mod flag;
mod given;
mod run_mount;
mod size;

#[cfg(test)]
mod tests;

pub use flag::MountFlag;
pub use run_mount::{RunMount, Sharing};

//! Images that others start from: from a layout, a registry, or a distribution's packages, into the store's layout.

mod bootstrap;
mod choice;
mod make;

use std::path::PathBuf;

pub use choice::{BaseChoice, known_choice};

pub(super) use choice::choose;
pub(super) use make::make;

use crate::config::RootFilesystem;
use crate::domain::{Arch, Result};
use crate::image::Layout;
use crate::store::{Bucket, Store};

/// The layout in the store in which images have the keys of their steps as names.
///
/// # Errors
/// An environment error when the store cannot be written.
pub fn open_images(store: &Store) -> Result<Layout> {
    Layout::open(&store.bucket(Bucket::Images))
}

/// Where the package manager of a release and an architecture keeps what it knows.
fn packages_folder(store: &Store, root: &RootFilesystem, arch: Arch) -> PathBuf {
    let updates = if root.updates { "" } else { "-as-released" };
    store.bucket(Bucket::Packages).join(format!("{}-{}{updates}", root.suite, arch.debian()))
}

//! Images in the forms that other programs take.

mod docker;
mod filesystem;
mod oci;
mod plugin;

#[cfg(test)]
mod tests;

pub use docker::{NamedImage, PackedLayer, docker_archive, unpacked_archive};
pub use filesystem::{filesystem_folder, filesystem_tar};
pub use oci::oci_archive;
pub use plugin::plugin_folder;

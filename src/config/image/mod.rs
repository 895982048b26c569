//! Images: as typed in the project's file or in a folder of their own, then as resolved.

mod file;
mod linuxkit;
mod list;
mod naming;
mod per_arch;
mod resolve;

pub use naming::Naming;
pub use per_arch::PerArch;
pub use resolve::{Image, ImageSource, Template};

pub(in crate::config) use list::ImageList;
pub(in crate::config) use naming::NamingFile;
pub(in crate::config) use resolve::{Surroundings, resolve_all};

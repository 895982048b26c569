//! What users and toolchains say, first as typed, then as resolved.

mod catalogue;
mod map;
mod project;
mod project_file;
mod recipe;
mod source;
mod template;
mod toolchain;
mod yaml;

pub use catalogue::Catalogue;
pub use project::{Binary, GoBuild, Image, LibraryChoice, Origin, Project, ProjectOptions};
pub use project_file::ProjectFile;
pub use recipe::Recipe;
pub use source::{SourceArchive, SourceOrigin};
pub use template::Variables;
pub use toolchain::{Archive, Base, Bootstrap, Component, Emulators, TargetPackages, Targets, Toolchain};

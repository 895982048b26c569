//! What users and toolchains say, first as typed, then as resolved.

mod base;
mod catalogue;
mod choice;
mod expansion;
mod format_version;
mod given;
mod image;
mod map;
mod passing;
mod project;
mod project_file;
mod recipe;
mod source;
mod structure_spec;
mod template;
mod toolchain;
mod yaml;

pub use base::{BaseSource, Distribution, RootFilesystem, Variant};
pub use catalogue::Catalogue;
pub use choice::{below, relative};
pub use expansion::{CROSS_PREFIX, Expanded, Expansion, Origins, Substitution};
pub use image::{Image, ImageSource, Naming, PerArch, Template};
pub use passing::Passing;
pub use project::{Binary, GoBuild, LibraryChoice, Origin, Project, ProjectOptions};
pub use project_file::ProjectFile;
pub use recipe::Recipe;
pub use source::{SourceArchive, SourceOrigin};
pub use structure_spec::{
    CommandTest, ExecutableBy, FileContentTest, FileExistenceTest, MetadataTest, SpecVariable, StructureSpec,
};
pub use template::Variables;
pub use toolchain::{Archive, Base, Bootstrap, Component, Emulators, TargetPackages, Targets, Toolchain};
pub(crate) use yaml::nearest;

//! Debian packages: from "these names of that suite" to a directory with them unpacked and a dpkg database.
//!
//! ```text
//! mirror  ->  apt  ->  resolve  ->  download  ->  unpack  ->  database  ->  configure
//! ```
//! All but the last happens here, as any user, with the machine's own `apt-get` and a private state directory.
//! The last is a shell script that someone else runs inside a sandbox with the directory as its root.

mod alias;
mod apt;
mod apt_conf;
mod ar;
mod clean;
mod configure;
mod database;
mod deb;
mod download;
mod exclude;
mod files;
mod ids;
mod install;
mod mirror;
mod package;
mod print_uris;
mod stanza;
mod suite;
mod tree;
mod triggers;
mod unpack;

pub use apt::{Apt, Base};
pub use clean::clean;
pub use configure::configure_script;
pub use database::{installed_status, read_status};
pub use deb::Control;
pub use download::download;
pub use exclude::EXCLUDED;
pub use files::write_files;
pub use ids::Ids;
pub use install::{Layer, install};
pub use mirror::Mirrors;
pub use package::{Package, PackageName, ParsePackageNameError};
pub use suite::{ParseSuiteError, Suite};
pub use unpack::{Limits, Ownership, Unpacked, Unpacking, newest_mtime};

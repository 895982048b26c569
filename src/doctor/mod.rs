//! What this machine can do, found out by trying it, and what mends what it cannot.

mod apt;
mod compilers;
mod docker;
mod emulation;
mod examine;
mod finding;
mod git;
mod identity;
mod machine;
mod mount_table;
mod refusal;
mod render;
mod sandbox;
mod store;
mod trial;
mod user_namespaces;

pub use examine::{examine, native_works};
pub use finding::{Finding, State};
pub use render::render;

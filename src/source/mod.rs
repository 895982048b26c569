//! What goes in: the project's tree, facts from git, upstream archives, repositories.

mod archive;
mod fetch;
mod git;
mod modes;
mod patient;
mod project_git;
mod repository;
mod tree;

pub use archive::unpack;
pub use fetch::{Fetcher, fetch, fetch_url};
pub use git::GitFacts;
pub use modes::Modes;
pub use project_git::ProjectGit;
pub use repository::{CheckedOut, Checkout, check_repositories};
pub use tree::{Tree, hash_tree};

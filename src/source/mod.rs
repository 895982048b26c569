//! What goes in: the project's tree, facts from git, upstream archives.

mod archive;
mod fetch;
mod git;
mod tree;

pub use archive::unpack;
pub use fetch::{Fetcher, fetch, fetch_url};
pub use git::GitFacts;
pub use tree::{Tree, hash_tree};

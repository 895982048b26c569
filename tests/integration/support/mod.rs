//! What the tests are written with.

mod identity;
mod project;
mod run;
mod server;
mod stores;
mod tools;

pub(crate) use identity::Identity;
pub(crate) use project::Test;
pub(crate) use run::Run;
pub(crate) use server::{Answer, Server};
pub(crate) use stores::Store;
pub(crate) use tools::{elf_header, golden, host, processes_with, readelf, skip, tool, unique};

//! What the tests are written with.

mod agent;
mod archive;
mod engines;
mod git_server;
mod identity;
mod project;
mod registry;
mod run;
mod server;
mod stores;
mod tools;
mod web;

pub(crate) use agent::{Agent, KEY};
pub(crate) use archive::{archive, sha256};
pub(crate) use engines::{Docker, Files, Ids, Images, Imports, Machine, Network, Podman, Reached, Release};
pub(crate) use git_server::GitServer;
pub(crate) use identity::Identity;
pub(crate) use project::{DEBIAN, Test};
pub(crate) use registry::Registry;
pub(crate) use run::{Run, xbuild_as};
pub(crate) use server::{Answer, Server};
pub(crate) use stores::Store;
pub(crate) use tools::{elf_header, golden, host, processes_with, readelf, skip, tool, unique, wait_until};
pub(crate) use web::{Reply, Request, Web};

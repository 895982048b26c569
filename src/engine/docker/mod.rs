//! Docker's and Podman's engines: builders are images, sessions are containers.
//!
//! A container lives as long as the session: its commands are run in it one by one, and it ends with the connection that
//! holds it, so that nothing is left behind whatever ends xbuild.

mod access;
mod adopt;
mod agent;
mod archive;
mod builder;
mod builders;
mod changes;
mod emulation;
mod engine;
mod images;
mod left;
mod machines;
mod sources;

pub(super) use adopt::adopt;
pub(super) use builders::Builders;
pub(super) use engine::DockerEngine;
pub(super) use machines::Machines;

//! Docker and Podman, over Docker's API: where an engine listens, and what can be asked of it.
//!
//! ```text
//! Endpoint -> Client -> Container
//! ```
//! Whatever a file or an engine says is checked before it is used. An engine's types stay in this folder.

mod address;
mod build;
mod client;
mod connection;
mod container;
mod contexts;
mod endpoint;
mod error;
mod exec;
mod facts;
mod frames;
mod image;
mod owner;
mod pipe;
mod ssh;
mod sweep;
mod terminal;
mod tls;
mod trace;
mod transport;
mod volume;

pub use address::Address;
pub use build::{BuildRequest, Builder};
pub use client::Client;
pub use container::{Bind, ChangeKind, Container, ContainerRequest, FirstEnd, Network};
pub use endpoint::{Endpoint, Socket, sockets};
pub use exec::{ExecEnd, ExecRequest};
pub use facts::{EngineFacts, Greeting, Product};
pub use image::ImageFacts;
pub use owner::{temporary, temporary_image};
pub use pipe::Pipe;

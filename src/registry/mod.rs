//! Registries of images: what a name stands for there, and pulling it into a layout.
//!
//! ```text
//! Remote -> digest -> pull -> Layout
//! ```
//! Every byte is hashed while it comes in, and nothing is kept under a digest that it does not have.

mod blob;
mod challenge;
mod client;
mod credentials;
mod exchange;
mod helper;
mod remote;
mod retry;

pub use client::{Client, Options};
pub use remote::Remote;

//! Cross-builds programs and multi-architecture container images in toolchains made of distribution packages.
//!
//! ```text
//! config  ->  plan  ->  engine  ->  image
//! what the    what will   making it   what came
//! user wants  happen      happen      out
//! ```

mod cli;
pub mod config;
pub mod debian;
pub mod docker;
pub mod doctor;
pub mod domain;
pub mod engine;
pub mod fit;
pub mod image;
pub mod lint;
pub mod plan;
pub mod registry;
pub mod report;
pub mod source;
pub mod store;
pub mod structure;
pub mod verify;

use std::process::ExitCode;

/// Runs the program on the process's own arguments.
pub fn main() -> ExitCode {
    use engine::{host, native::sandbox};
    match std::env::args_os().nth(1) {
        Some(argument) if argument == sandbox::CHILD_ARGUMENT => sandbox::child_main(),
        Some(argument) if argument == sandbox::NAMESPACE_ARGUMENT => sandbox::namespace_main(),
        Some(argument) if argument == host::KEEPER_ARGUMENT => host::keeper_main(),
        _ => cli::main(),
    }
}

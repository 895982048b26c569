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
pub mod doctor;
pub mod domain;
pub mod engine;
pub mod image;
pub mod plan;
pub mod report;
pub mod source;
pub mod store;
pub mod verify;

use std::process::ExitCode;

/// Runs the program on the process's own arguments.
pub fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|argument| argument == engine::native::sandbox::CHILD_ARGUMENT) {
        return engine::native::sandbox::child_main();
    }
    cli::main()
}

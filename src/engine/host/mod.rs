//! The machine itself as an engine: its own compilers, no container and no sandbox.
//!
//! Commands run in a copy of the source, in an environment like a builder's whose paths lead to folders of the store. In front
//! of their `PATH` is a folder with the toolchain's names for the machine's tools; the compilers among these find the libraries
//! of the store, and call the folders by the names that they have in a builder.

mod compiler;
mod emulation;
mod keeper;
mod places;
mod prefix;
mod process;
mod run;
mod target_tools;
mod tools;
mod workplace;

pub use compiler::compiler;
pub use keeper::{ARGUMENT as KEEPER_ARGUMENT, main as keeper_main};
pub(super) use run::Host;
pub use tools::look;

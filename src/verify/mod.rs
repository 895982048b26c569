//! Facts of a built program, read from its ELF headers, against what was asked for.
//!
//! ```text
//! bytes  ->  Subject: Program(Facts) | Script  ->  check(Expectations)  ->  mismatches
//! ```
//! The bytes count as hostile: whatever they hold, reading ends in time linear in their number, with facts or an error.

mod describe;
mod dynamic;
mod elf_file;
mod expectations;
mod facts;
mod glibc_need;
mod mismatch;
mod notes;
mod read_error;
mod strings;
mod subject;

#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;

pub use describe::describe;
pub use expectations::{Expectations, check};
pub use facts::{Facts, Kind, Linkage};
pub use glibc_need::GlibcNeed;
pub use mismatch::Mismatch;
pub use read_error::ReadError;
pub use subject::Subject;

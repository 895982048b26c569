//! The small language inside words: `$variables` with quotes and escapes, as BuildKit has it.

mod expand;
mod pattern;
mod reader;
mod split;
mod substitution;

#[cfg(test)]
mod tests;

pub(super) use expand::{Syntax, expand, split};

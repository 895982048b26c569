//! Dockerfiles as data: every instruction with the place where it stands in the text.
//!
//! Parsing knows nothing of values: words keep their quotes and `$variables` until [`Scope`] expands them.
//! What cannot be executed yet is an error of the parser's, with its place and what to do instead.

mod ast;
mod error;
mod line;
mod parse;
mod scope;
mod variable;
mod words;

#[cfg(test)]
mod tests;

pub use ast::{Command, Copy, CopyKind, Dockerfile, From, Healthcheck, Instruction, Pair, Stage, Step, Word};
pub use error::{ParseError, Span};
pub use scope::Scope;

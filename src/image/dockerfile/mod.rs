//! Dockerfiles as data: every instruction with the place where it stands in the text.
//!
//! Parsing knows nothing of values: words keep their quotes and `$variables` until [`Scope`] expands them.
//! The language is Docker's, as BuildKit reads it; where the two differ, BuildKit is right.

mod ast;
mod duration;
mod error;
mod flags;
mod graph;
mod heredoc;
mod line;
mod mode;
mod mount;
mod parse;
mod scope;
mod variable;
mod words;

#[cfg(test)]
mod tests;

pub use ast::{
    Command, Copy, CopyKind, CopySource, Dockerfile, From, Healthcheck, Heredoc, Instruction, OnBuild, Pair, Run,
    Script, Stage, Step, Word,
};
pub use error::{ParseError, Span};
pub use graph::{Graph, PlannedStage, Source, Triggers};
pub use mode::FileMode;
pub use mount::{MountFlag, RunMount, Sharing};
pub use scope::Scope;

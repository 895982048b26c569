//! What is legal in a Dockerfile or a script, and still a mistake.
//!
//! ```text
//! text  ->  Dockerfile  ->  rules, shellcheck  ->  Findings  -  those that a comment allows
//! ```
//! Rules have the codes of hadolint where it has the same, so that its users' comments keep their meaning.

mod check;
mod finding;
mod permits;
mod rules;
mod shell;
mod shellcheck;

#[cfg(test)]
mod tests;

pub use check::{check_dockerfile, check_script};
pub use finding::{Finding, Level};
pub use shellcheck::Shellcheck;

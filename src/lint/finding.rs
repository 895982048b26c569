//! What is wrong at one place of a file.

use std::fmt;

use serde::Serialize;

use crate::image::Span;

/// How bad it is, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// It does not do what it seems to.
    Error,
    /// It will bite.
    Warning,
    /// It could be better.
    Info,
    /// It could be nicer.
    Style,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Info => "info",
            Level::Style => "style",
        })
    }
}

/// What a rule found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The rule, as in `DL3006` (hadolint's), `SC2086` (shellcheck's) or `XB1001` (xbuild's own).
    pub code: String,
    /// How bad it is.
    pub level: Level,
    /// What is wrong, and what mends it.
    pub message: String,
}

impl Finding {
    /// A finding of a rule at a place.
    pub(super) fn new(span: Span, level: Level, code: &str, message: impl Into<String>) -> Finding {
        Finding { line: span.line, column: span.column, code: code.to_owned(), level, message: message.into() }
    }
}

//! Where something stands in a Dockerfile, and what is wrong there.

use std::fmt;
use std::path::Path;

use crate::domain::Error;

/// A place in a Dockerfile; both numbers count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl Span {
    /// An error at this place.
    pub fn error(self, message: impl Into<String>) -> ParseError {
        ParseError { line: self.line, column: self.column, message: message.into(), hint: None }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// What is wrong at one place of a Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct ParseError {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl ParseError {
    /// The same error with what to do.
    pub fn hint(mut self, hint: impl Into<String>) -> ParseError {
        self.hint = Some(hint.into());
        self
    }

    /// The error as `FILE:LINE:COLUMN: message`.
    pub fn in_file(self, file: &Path) -> Error {
        let error = Error::usage(format!("{}:{}:{}: {}", file.display(), self.line, self.column, self.message));
        match self.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

impl std::convert::From<ParseError> for Error {
    fn from(error: ParseError) -> Error {
        let hint = error.hint.clone();
        let error = Error::usage(error.to_string());
        match hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

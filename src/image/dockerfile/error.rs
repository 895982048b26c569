//! Where something stands in a Dockerfile, and what is wrong there.

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

    /// An error from elsewhere, at this place unless it has one already.
    pub fn place(self, error: Error) -> Error {
        error.at(self.line, self.column)
    }
}

/// What is wrong at one place of a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {message}")]
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
        Error::from(self).in_file(file)
    }
}

/// The place stays; [`Error::in_file`] adds the file's name.
impl From<ParseError> for Error {
    fn from(error: ParseError) -> Error {
        let placed = Error::usage(error.message).at(error.line, error.column);
        match error.hint {
            Some(hint) => placed.hint(hint),
            None => placed,
        }
    }
}

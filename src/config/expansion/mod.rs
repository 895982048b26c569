//! From a template of a Dockerfile to the Dockerfile of one architecture.

mod language;
mod literal;
mod origins;

use serde::Serialize;

pub use literal::{CROSS_PREFIX, Substitution};
pub use origins::Origins;

pub(super) use literal::check_placeholder;

use super::Variables;
use crate::domain::Result;

/// How the text of a Dockerfile comes about.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(tag = "mode", rename_all = "kebab-case")]
pub enum Expansion {
    /// The file is a Dockerfile.
    #[default]
    None,
    /// The file has placeholders.
    Literal(Substitution),
    /// The file is a template of minijinja's, which is Jinja's language.
    Language {
        /// The names that it can use.
        variables: Variables,
    },
}

/// A Dockerfile, and where its characters come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expanded {
    /// The Dockerfile.
    pub text: String,
    /// From places in it to places in its template.
    pub origins: Origins,
}

impl Expansion {
    /// Expands the text of a file, which is named in errors.
    ///
    /// # Errors
    /// A usage error with file, line and column: a template that is wrong, a name without a value, a placeholder that
    /// occurs nowhere.
    pub fn expand(&self, file: &str, text: &str) -> Result<Expanded> {
        match self {
            Expansion::None => Ok(Expanded { text: text.to_owned(), origins: Origins::default() }),
            Expansion::Literal(substitution) => substitution.expand(file, text),
            Expansion::Language { variables } => language::expand(variables, file, text),
        }
    }
}

//! From a word as written to what it is worth.

use super::reader::Reader;
use super::split::Words;
use crate::image::dockerfile::{ParseError, Word};

/// What has a meaning in a text, and what stays in the result.
#[derive(Debug, Clone, Copy)]
pub(in crate::image::dockerfile) struct Syntax {
    /// The escape character.
    pub(in crate::image::dockerfile) escape: char,
    /// Quotes stay.
    pub(in crate::image::dockerfile) raw_quotes: bool,
    /// Escape characters stay.
    pub(in crate::image::dockerfile) raw_escapes: bool,
    /// Quotes have no meaning.
    pub(in crate::image::dockerfile) ignore_quotes: bool,
    /// A variable without a value stays as it is.
    pub(in crate::image::dockerfile) keep_unset: bool,
}

impl Syntax {
    /// Of an ordinary word.
    pub(in crate::image::dockerfile) const fn new(escape: char) -> Syntax {
        Syntax { escape, raw_quotes: false, raw_escapes: false, ignore_quotes: false, keep_unset: false }
    }
}

/// What a variable is worth.
pub(in crate::image::dockerfile) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Removes quotes and escapes of a word and puts in its variables.
pub(in crate::image::dockerfile) fn expand(
    word: &Word,
    syntax: Syntax,
    lookup: Lookup<'_>,
) -> Result<String, ParseError> {
    Reader::new(word, syntax, lookup).text(None, syntax.raw_escapes, &mut None)
}

/// The same, and parts the result at blanks that are not quoted; each word comes with the number of the character
/// that it begins at.
pub(in crate::image::dockerfile) fn split(
    word: &Word,
    syntax: Syntax,
    lookup: Lookup<'_>,
) -> Result<Vec<(usize, String)>, ParseError> {
    let mut words = Some(Words::default());
    Reader::new(word, syntax, lookup).text(None, syntax.raw_escapes, &mut words)?;
    Ok(words.map(Words::finish).unwrap_or_default())
}

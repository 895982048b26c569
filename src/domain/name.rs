//! Names that users give to projects, programs, images, libraries and toolchains.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::from_text;

/// A name that is safe as a file name, in an image reference and on a command line:
/// 1 to 64 of `a-z 0-9 . _ -`, upper case too, starting with a letter or a digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// A text that breaks the rule for names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a name: 1 to 64 letters, digits, '.', '_' or '-', starting with a letter or a digit")]
pub struct ParseNameError(String);

impl Name {
    /// The text of it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Name, ParseNameError> {
        let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        let starts = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
        if starts && text.len() <= 64 && text.bytes().all(legal) {
            Ok(Name(text.to_owned()))
        } else {
            Err(ParseNameError(text.to_owned()))
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Name, D::Error> {
        from_text(deserializer, "a name", |text| text.parse().map_err(|error: ParseNameError| error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_options_are_no_names() {
        for text in ["", ".", "..", "../x", "a/b", "-x", "a b", "x\n", "é", &"a".repeat(65)] {
            assert!(text.parse::<Name>().is_err(), "{text}");
        }
        for text in ["a", "weave-npc", "libpcap1.10", "X_1"] {
            assert!(text.parse::<Name>().is_ok(), "{text}");
        }
    }
}

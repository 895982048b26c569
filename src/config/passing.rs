//! Which variables of xbuild's own environment commands may see.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use crate::domain::{Error, from_text};

/// `NAME` passes a variable on with the value that it has, and not at all where it has none: what the builder says stays
/// then. `NAME=VALUE` sets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passing {
    name: String,
    value: Option<String>,
}

impl Passing {
    /// Name and value of what a command gets; `variable` knows xbuild's own environment.
    pub fn resolve(&self, variable: &dyn Fn(&str) -> Option<String>) -> Option<(String, String)> {
        let value = self.value.clone().or_else(|| variable(&self.name))?;
        Some((self.name.clone(), value))
    }
}

impl FromStr for Passing {
    type Err = Error;

    fn from_str(text: &str) -> Result<Passing, Error> {
        let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
        let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        if name.is_empty() || !name.bytes().all(legal) || name.as_bytes()[0].is_ascii_digit() {
            return Err(Error::usage(format!("'{name}' is not the name of an environment variable"))
                .hint("write NAME to pass a variable on, or NAME=VALUE to set it"));
        }
        if value.is_some_and(|value| value.contains('\0')) {
            return Err(Error::usage(format!("the value of {name} holds a zero byte")));
        }
        Ok(Passing { name: name.to_owned(), value: value.map(str::to_owned) })
    }
}

impl<'de> Deserialize<'de> for Passing {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Passing, D::Error> {
        from_text(deserializer, "NAME or NAME=VALUE", |text| text.parse().map_err(|error: Error| error.with_hints()))
    }
}

impl fmt::Display for Passing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{}={value}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_set_is_not_passed_on() {
        let outer = |name: &str| (name == "SET").then(|| "outer".to_owned());
        let resolved = |text: &str| text.parse::<Passing>().unwrap().resolve(&outer);
        let pair = |name: &str, value: &str| Some((name.to_owned(), value.to_owned()));
        assert_eq!(resolved("SET"), pair("SET", "outer"));
        assert_eq!(resolved("UNSET"), None);
        assert_eq!(resolved("UNSET="), pair("UNSET", ""));
        assert_eq!(resolved("SET=a=b"), pair("SET", "a=b"));
        for text in ["", "=x", "1A", "A B", "A-B=c"] {
            assert!(text.parse::<Passing>().is_err(), "{text}");
        }
    }
}

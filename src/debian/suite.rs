//! Suites: one release of Debian, as apt's sources name it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

/// A release by its code name or alias, as in `trixie` or `stable`: 1 to 32 of `a-z 0-9 -`, starting with a letter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Suite(String);

/// A text that breaks the rule for suites.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a Debian suite: a name as in 'trixie', without '-updates' or '-security'")]
pub struct ParseSuiteError(String);

/// Suites that move all the time, and so have no updates or security suites beside them.
const ROLLING: [&str; 3] = ["sid", "unstable", "experimental"];

impl Suite {
    /// The text of it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The suites of the main archive that make up the release.
    pub(crate) fn main(&self) -> Vec<String> {
        match ROLLING.contains(&self.as_str()) {
            true => vec![self.0.clone()],
            false => vec![self.0.clone(), format!("{}-updates", self.0)],
        }
    }

    /// The suite of the security archive, if there is one.
    pub(crate) fn security(&self) -> Option<String> {
        (!ROLLING.contains(&self.as_str())).then(|| format!("{}-security", self.0))
    }
}

impl FromStr for Suite {
    type Err = ParseSuiteError;

    fn from_str(text: &str) -> Result<Suite, ParseSuiteError> {
        let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let starts = text.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
        let pocket = text.ends_with("-updates") || text.ends_with("-security");
        if starts && !pocket && text.len() <= 32 && text.bytes().all(legal) {
            Ok(Suite(text.to_owned()))
        } else {
            Err(ParseSuiteError(text.to_owned()))
        }
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl<'de> Deserialize<'de> for Suite {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Suite, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_knows_its_companions() {
        let trixie: Suite = "trixie".parse().unwrap();
        assert_eq!(trixie.main(), ["trixie", "trixie-updates"]);
        assert_eq!(trixie.security().as_deref(), Some("trixie-security"));
        let sid: Suite = "sid".parse().unwrap();
        assert_eq!((sid.main(), sid.security()), (vec!["sid".to_owned()], None));
    }

    #[test]
    fn lines_and_paths_are_no_suites() {
        for text in ["", "trixie main\ndeb x", "../x", "Trixie", "trixie/", "trixie-security", "-x"] {
            assert!(text.parse::<Suite>().is_err(), "{text}");
        }
    }
}

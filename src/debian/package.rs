//! Packages: what apt chose, and the names by which people ask for them.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

use crate::domain::Digest;

/// The name of a binary package: at least two of `a-z 0-9 + - .`, starting with a letter or a digit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct PackageName(String);

/// A text that breaks the rule for package names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a Debian package name: lower-case letters, digits, '+', '-' and '.', at least two")]
pub struct ParsePackageNameError(String);

impl PackageName {
    /// The text of it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PackageName {
    type Err = ParsePackageNameError;

    fn from_str(text: &str) -> Result<PackageName, ParsePackageNameError> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let legal = |b: u8| plain(b) || matches!(b, b'+' | b'-' | b'.');
        // apt reads a trailing '-' as "remove" and a trailing '+' as "install", unless a package has that very name.
        let starts = text.bytes().next().is_some_and(plain) && !text.ends_with('-');
        if starts && (2..=128).contains(&text.len()) && text.bytes().all(legal) {
            Ok(PackageName(text.to_owned()))
        } else {
            Err(ParsePackageNameError(text.to_owned()))
        }
    }
}

impl fmt::Display for PackageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Borrow<str> for PackageName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for PackageName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<PackageName, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// One package file that apt chose, with the digest that its signed index gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// As in `libc6`.
    pub name: PackageName,
    /// As in `2.41-12` or `1:1.3`.
    pub version: String,
    /// Debian's name of the architecture, or `all`.
    pub architecture: String,
    /// Of the whole `.deb`.
    pub digest: Digest,
    /// Of the whole `.deb`, in bytes.
    pub size: u64,
    /// Where it is.
    pub url: String,
    /// apt's name for the file, as in `g++_4%3a14.2.0-1_amd64.deb`: no slash in it.
    pub file_name: String,
}

impl fmt::Display for Package {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_and_patterns_are_no_package_names() {
        for text in ["", "a", "-y", "?essential", "~i", "make-", "a/b", "a=1", "a:arm64", "Make", "a b", "../x", "é2"]
        {
            assert!(text.parse::<PackageName>().is_err(), "{text}");
        }
        for text in ["make", "g++", "libstdc++6", "golang-1.24-go", "7zip"] {
            assert!(text.parse::<PackageName>().is_ok(), "{text}");
        }
    }
}

//! Versions of the GNU C library.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A version of the GNU C library: two or three numbers with dots between, `2.36` or `2.2.5`; 2.4 is before 2.34.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GlibcVersion {
    major: u16,
    minor: u16,
    patch: u16,
}

/// A text that is not a version of the GNU C library.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a glibc version: two or three numbers with dots between, as in 2.36")]
pub struct ParseGlibcVersionError(String);

impl GlibcVersion {
    /// A version of two numbers.
    pub const fn new(major: u16, minor: u16) -> GlibcVersion {
        GlibcVersion { major, minor, patch: 0 }
    }
}

impl FromStr for GlibcVersion {
    type Err = ParseGlibcVersionError;

    fn from_str(text: &str) -> Result<GlibcVersion, ParseGlibcVersionError> {
        // `u16::from_str` alone would take a plus sign.
        let number = |part: &str| part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok()).flatten();
        let numbers: Option<Vec<u16>> = text.splitn(4, '.').map(number).collect();
        match numbers.as_deref() {
            Some(&[major, minor]) => Ok(GlibcVersion { major, minor, patch: 0 }),
            Some(&[major, minor, patch]) => Ok(GlibcVersion { major, minor, patch }),
            _ => Err(ParseGlibcVersionError(text.to_owned())),
        }
    }
}

impl fmt::Display for GlibcVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)?;
        if self.patch != 0 {
            write!(f, ".{}", self.patch)?;
        }
        Ok(())
    }
}

impl Serialize for GlibcVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for GlibcVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<GlibcVersion, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = GlibcVersion;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                // As a number, 2.40 would be 2.4.
                f.write_str("a glibc version in quotes, as in \"2.36\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<GlibcVersion, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_numeric() {
        let versions = ["2.2.5", "2.4", "2.34", "2.34.1", "2.100", "3.0"].map(|text| text.parse().unwrap());
        assert!(versions.is_sorted());
        assert_eq!(versions.map(|v: GlibcVersion| v.to_string())[0], "2.2.5");
        assert_eq!("2.34.0".parse(), Ok(GlibcVersion::new(2, 34)));
    }

    #[test]
    fn other_texts_are_no_versions() {
        for text in ["", "2", "2.", ".2", "2.+3", "2.3.4.5", "PRIVATE", "2.x", "GLIBC_2.3", "2.99999", " 2.3", "2.3\n"]
        {
            assert!(text.parse::<GlibcVersion>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_number_is_no_version() {
        let error = serde_json::from_str::<GlibcVersion>("2.40").unwrap_err();
        assert!(error.to_string().contains("in quotes"), "{error}");
        assert_eq!(serde_json::to_string(&GlibcVersion::new(2, 40)).unwrap(), "\"2.40\"");
    }
}

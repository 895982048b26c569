//! The version of the format of project files.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// The only one that there is: 1.
#[derive(Debug, Clone, Copy)]
pub struct FormatVersion;

impl<'de> Deserialize<'de> for FormatVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<FormatVersion, D::Error> {
        struct One;

        impl Visitor<'_> for One {
            type Value = FormatVersion;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the number 1")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<FormatVersion, E> {
                match number {
                    1 => Ok(FormatVersion),
                    other => Err(E::custom(format!("version {other} is not known, only 1"))),
                }
            }
        }

        deserializer.deserialize_u64(One)
    }
}

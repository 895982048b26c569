//! BLAKE3 digests of what files hold.

use std::fmt;
use std::io::{self, Read, Write};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::digest::{hex, parse_hex};

/// A digest of a file's bytes that only xbuild reads, written `blake3:<64 lower-case hexadecimal digits>`. What others
/// read has a [`Digest`](super::Digest); where the processor has no instructions for SHA-256, this one takes a tenth of
/// the time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentDigest([u8; 32]);

/// Before the digits of a digest.
const PREFIX: &str = "blake3:";

impl ContentDigest {
    /// The digest of some bytes.
    pub fn of(bytes: impl AsRef<[u8]>) -> ContentDigest {
        ContentDigest(blake3::hash(bytes.as_ref()).into())
    }

    /// The digest of everything that a reader gives.
    ///
    /// # Errors
    /// Those of the reader.
    pub fn of_reader(reader: impl Read) -> io::Result<ContentDigest> {
        let mut writer = ContentWriter::default();
        writer.0.update_reader(reader)?;
        Ok(writer.finish())
    }
}

impl fmt::Display for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", hex(&self.0))
    }
}

impl fmt::Debug for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not the digest of a content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a blake3 digest: 'blake3:' and 64 hexadecimal digits")]
pub struct ParseContentDigestError(String);

impl FromStr for ContentDigest {
    type Err = ParseContentDigestError;

    fn from_str(text: &str) -> Result<ContentDigest, ParseContentDigestError> {
        let bytes = text.strip_prefix(PREFIX).and_then(parse_hex);
        bytes.map(ContentDigest).ok_or_else(|| ParseContentDigestError(text.to_owned()))
    }
}

impl Serialize for ContentDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ContentDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ContentDigest, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Takes bytes, and knows the digest of all that it took.
#[derive(Default)]
pub struct ContentWriter(blake3::Hasher);

impl ContentWriter {
    /// The digest of the bytes written.
    pub fn finish(self) -> ContentDigest {
        ContentDigest(self.0.finalize().into())
    }
}

impl Write for ContentWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_ways_lead_to_the_known_digest() {
        let text = "blake3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
        assert_eq!(ContentDigest::of("").to_string(), text);
        assert_eq!(text.parse(), Ok(ContentDigest::of("")));
        for length in [0, 1, 63, 64, 65, 100_000] {
            let bytes = vec![b'x'; length];
            let mut writer = ContentWriter::default();
            writer.write_all(&bytes).unwrap();
            assert_eq!(writer.finish(), ContentDigest::of(&bytes));
            assert_eq!(ContentDigest::of_reader(&bytes[..]).unwrap(), ContentDigest::of(&bytes));
        }
    }

    #[test]
    fn other_texts_are_no_digests() {
        let digits = "0".repeat(64);
        for text in ["", "blake3:", &digits, &format!("sha256:{digits}"), &format!("blake3:{}", "A".repeat(64))] {
            assert!(text.parse::<ContentDigest>().is_err(), "{text}");
        }
    }
}

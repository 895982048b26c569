//! SHA-256 digests, and readers and writers that compute one on the way.

use std::fmt;
use std::io::{self, Read, Write};
use std::str::FromStr;

use ring::digest::{self, Context, SHA256};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Digest as _;

/// A SHA-256 digest, written `sha256:<64 lower-case hexadecimal digits>`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// A text that is not a SHA-256 digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a sha256 digest: 64 hexadecimal digits, with or without 'sha256:' before them")]
pub struct ParseDigestError(String);

impl Digest {
    /// The digest of some bytes.
    pub fn of(bytes: impl AsRef<[u8]>) -> Digest {
        Digest(sha2::Sha256::digest(bytes.as_ref()).into())
    }

    /// The digest of a value's JSON. Object keys are in field order or sorted, so equal values have equal digests.
    pub fn of_json<T: Serialize>(value: &T) -> Digest {
        let mut writer = DigestWriter::new(io::sink());
        serde_json::to_writer(&mut writer, value).expect("plain data always serialises");
        writer.finish().0
    }

    /// The 64 digits alone.
    pub fn hex(&self) -> String {
        hex(&self.0)
    }

    /// The first 12 digits, for people.
    pub fn short(&self) -> String {
        self.hex()[..12].to_owned()
    }
}

/// Bytes as lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8; 32]) -> String {
    let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Bytes from exactly 64 such digits.
pub(super) fn parse_hex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

fn finished(digest: &digest::Digest) -> Digest {
    Digest(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"))
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Digest, ParseDigestError> {
        let bytes = parse_hex(text.strip_prefix("sha256:").unwrap_or(text));
        bytes.map(Digest).ok_or_else(|| ParseDigestError(text.to_owned()))
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Passes bytes on to a writer, and knows the digest and the number of all that went through.
pub struct DigestWriter<W> {
    inner: W,
    hasher: Context,
    written: u64,
}

impl<W: Write> DigestWriter<W> {
    /// Starts before the first byte.
    pub fn new(inner: W) -> Self {
        DigestWriter { inner, hasher: Context::new(&SHA256), written: 0 }
    }

    /// The digest of the bytes written so far.
    pub fn digest(&self) -> Digest {
        finished(&self.hasher.clone().finish())
    }

    /// The number of the bytes written so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// The digest and number of the bytes written, and the writer behind.
    pub fn finish(self) -> (Digest, u64, W) {
        (finished(&self.hasher.finish()), self.written, self.inner)
    }
}

impl<W: Write> Write for DigestWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        self.written += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Passes bytes on from a reader, and knows the digest and the number of all that went through.
pub struct DigestReader<R> {
    inner: R,
    hasher: Context,
    read: u64,
}

impl<R: Read> DigestReader<R> {
    /// Starts before the first byte.
    pub fn new(inner: R) -> Self {
        DigestReader { inner, hasher: Context::new(&SHA256), read: 0 }
    }

    /// The digest and number of the bytes read so far; read to the end first.
    pub fn finish(self) -> (Digest, u64) {
        (finished(&self.hasher.finish()), self.read)
    }
}

impl<R: Read> Read for DigestReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        self.read += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_digest_is_the_known_one() {
        let text = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of("").to_string(), text);
        assert_eq!(text.parse(), Ok(Digest::of("")));
        assert_eq!(text["sha256:".len()..].parse(), Ok(Digest::of("")));
    }

    #[test]
    fn streams_have_the_digest_of_their_bytes() {
        for length in [0, 1, 63, 64, 65, 100_000] {
            let bytes = vec![b'x'; length];
            let mut writer = DigestWriter::new(io::sink());
            writer.write_all(&bytes).unwrap();
            let mut reader = DigestReader::new(&bytes[..]);
            io::copy(&mut reader, &mut io::sink()).unwrap();
            assert_eq!(writer.digest(), Digest::of(&bytes));
            assert_eq!(reader.finish(), (Digest::of(&bytes), length as u64));
        }
    }

    #[test]
    fn other_texts_are_no_digests() {
        for text in ["", "sha256:", "sha512:00", &"g".repeat(64), &"A".repeat(64), &"é".repeat(32)] {
            assert!(text.parse::<Digest>().is_err(), "{text}");
        }
    }
}

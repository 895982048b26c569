//! The `ar` container of a `.deb`: a magic line, then members behind 60-byte headers.

use std::io::{self, Read, Take};

use crate::domain::{Error, Result, ResultExt};

const MAGIC: &[u8; 8] = b"!<arch>\n";

/// Reads members one after the other.
pub(crate) struct Ar<R> {
    inner: R,
    odd: bool,
}

/// A member's header.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Member {
    /// Without padding and without the slash that some writers put at its end.
    pub(crate) name: String,
    /// In bytes.
    pub(crate) size: u64,
}

impl<R: Read> Ar<R> {
    pub(crate) fn new(mut inner: R) -> Result<Ar<R>> {
        let mut magic = [0; MAGIC.len()];
        inner.read_exact(&mut magic).or_environment(|| "ends before it begins".into())?;
        match &magic == MAGIC {
            true => Ok(Ar { inner, odd: false }),
            false => Err(Error::environment("is not a Debian package")),
        }
    }

    /// The next member, all of whose bytes must be read before the one after it; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<(Member, Take<&mut R>)>> {
        let broken = || "has a broken member header".to_owned();
        if self.odd {
            self.inner.read_exact(&mut [0]).or_environment(|| "ends within its padding".into())?;
        }
        let mut header = [0; 60];
        let mut filled = 0;
        while filled < header.len() {
            match self.inner.read(&mut header[filled..]) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(Error::environment("ends within a member header")),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::environment("cannot be read").because(error)),
            }
        }
        if &header[58..] != b"`\n" {
            return Err(Error::environment(broken()));
        }
        let text = std::str::from_utf8(&header).or_environment(broken)?;
        if !text.is_ascii() {
            return Err(Error::environment(broken()));
        }
        let digits = text[48..58].trim_end();
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Error::environment(broken()));
        }
        let size = digits.parse().or_environment(broken)?;
        self.odd = size % 2 == 1;
        let name = text[..16].trim_end().trim_end_matches('/').to_owned();
        Ok(Some((Member { name, size }, (&mut self.inner).take(size))))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An archive of members, with true sizes.
    pub(crate) fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for (name, content) in members {
            bytes.extend(format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 100644, content.len()).bytes());
            bytes.extend(*content);
            bytes.extend(&b"\n"[..content.len() % 2]);
        }
        bytes
    }

    #[test]
    fn members_come_in_order() {
        let bytes = archive(&[("debian-binary", b"2.0\n"), ("odd/", b"abc"), ("last", b"")]);
        let mut ar = Ar::new(&bytes[..]).unwrap();
        let mut seen = Vec::new();
        while let Some((member, mut data)) = ar.next().unwrap() {
            let mut text = String::new();
            data.read_to_string(&mut text).unwrap();
            seen.push((member.name, text));
        }
        let expected = [("debian-binary", "2.0\n"), ("odd", "abc"), ("last", "")];
        assert_eq!(seen, expected.map(|(name, text)| (name.to_owned(), text.to_owned())));
    }

    #[test]
    fn broken_headers_are_refused() {
        let good = archive(&[("debian-binary", b"2.0\n")]);
        for (at, byte) in [(0, b'?'), (8 + 58, b'x'), (8 + 48, b'-'), (8 + 48, b' '), (8 + 48, b'x'), (8, 0xff)] {
            let mut bytes = good.clone();
            bytes[at] = byte;
            let result = Ar::new(&bytes[..]).and_then(|mut ar| ar.next().map(|_| ()));
            assert!(result.is_err(), "{at} {byte}");
        }
        for length in [0, 5, 30, 67] {
            let result = Ar::new(&good[..length]).and_then(|mut ar| ar.next().map(|_| ()));
            assert!(result.is_err(), "{length}");
        }
    }
}

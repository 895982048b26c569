//! Output of a command without a terminal, as an engine sends it: pieces of both streams, each with a head of eight bytes.

use crate::domain::Stream;

/// Takes apart what comes, in whatever pieces.
#[derive(Debug, Default)]
pub(super) struct Frames {
    head: [u8; 8],
    /// So many bytes of the head are there.
    filled: usize,
    /// So many bytes of the piece are to come.
    left: usize,
}

/// What comes is not of the format.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Garbled;

impl Frames {
    /// Takes in bytes, and tells what was printed.
    pub(super) fn feed(&mut self, mut bytes: &[u8], told: &mut dyn FnMut(Stream, &[u8])) -> Result<(), Garbled> {
        while !bytes.is_empty() {
            if self.left == 0 {
                let count = bytes.len().min(self.head.len() - self.filled);
                let (head, rest) = bytes.split_at(count);
                self.head[self.filled..][..count].copy_from_slice(head);
                self.filled += count;
                bytes = rest;
                if self.filled < self.head.len() {
                    break;
                }
                let [kind, 0, 0, 0, length @ ..] = self.head else { return Err(Garbled) };
                if kind > 3 {
                    return Err(Garbled);
                }
                self.left = u32::from_be_bytes(length) as usize;
                self.filled = 0;
                if self.left > 0 {
                    continue;
                }
            } else {
                let (piece, rest) = bytes.split_at(bytes.len().min(self.left));
                // 3 is what the engine itself has to say.
                told(if self.head[0] >= 2 { Stream::Stderr } else { Stream::Stdout }, piece);
                self.left -= piece.len();
                bytes = rest;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, text: &str) -> Vec<u8> {
        let length = u32::try_from(text.len()).unwrap().to_be_bytes();
        [&[kind, 0, 0, 0], &length[..], text.as_bytes()].concat()
    }

    fn heard(bytes: &[u8], size: usize) -> Result<(String, String), Garbled> {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut frames = Frames::default();
        for piece in bytes.chunks(size) {
            frames.feed(piece, &mut |stream, text| match stream {
                Stream::Stdout => out.extend_from_slice(text),
                Stream::Stderr => err.extend_from_slice(text),
            })?;
        }
        Ok((String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap()))
    }

    #[test]
    fn pieces_of_any_size_are_put_together() {
        let bytes = [frame(1, "one "), frame(2, "oops"), frame(1, ""), frame(1, "two"), frame(3, "!")].concat();
        for size in 1..bytes.len() {
            assert_eq!(heard(&bytes, size), Ok(("one two".into(), "oops!".into())), "{size}");
        }
    }

    #[test]
    fn other_bytes_are_refused() {
        for text in ["plain text of a terminal", "\u{4}\0\0\0\0\0\0\u{1}x", "\u{1}\0\u{1}\0\0\0\0\u{1}x"] {
            assert_eq!(heard(text.as_bytes(), 3), Err(Garbled), "{text:?}");
        }
    }
}

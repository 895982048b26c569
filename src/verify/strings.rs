//! Texts inside an ELF file, with limits on what a hostile one makes us read and keep.

use std::cell::Cell;

use super::read_error::ReadError;

/// The longest text; as long as a path may be.
const LONGEST: usize = 4096;
/// How much text one file may refer to in all. Entries may share texts, so the file's size is no limit.
const MOST: usize = 1 << 20;

/// A table of texts that end with NUL.
pub(super) struct Strings<'data> {
    table: &'data [u8],
    left: Cell<usize>,
}

impl<'data> Strings<'data> {
    /// The texts of a table.
    pub(super) fn new(table: &'data [u8]) -> Strings<'data> {
        Strings { table, left: Cell::new(MOST) }
    }

    /// The text at an offset.
    pub(super) fn get(&self, offset: u64) -> Result<&'data [u8], ReadError> {
        let text = usize::try_from(offset)
            .ok()
            .and_then(|offset| self.table.get(offset..))
            .and_then(until_nul)
            .ok_or(ReadError::malformed("a name lies outside the string table, or has more than 4096 bytes"))?;
        let left = self.left.get().checked_sub(text.len() + 1);
        self.left.set(left.ok_or(ReadError::malformed("the dynamic section refers to more than 1 MiB of names"))?);
        Ok(text)
    }

    /// The text at an offset, fit for a terminal.
    pub(super) fn printable(&self, offset: u64) -> Result<String, ReadError> {
        self.get(offset).map(printable)
    }
}

/// The text before the first NUL; `None` when there is none in reach.
pub(super) fn until_nul(bytes: &[u8]) -> Option<&[u8]> {
    let reach = &bytes[..bytes.len().min(LONGEST + 1)];
    reach.iter().position(|byte| *byte == 0).map(|end| &reach[..end])
}

/// A text with all that is not UTF-8, or would steer a terminal, replaced.
pub(super) fn printable(bytes: &[u8]) -> String {
    // U+202A.. and U+2066.. turn the direction of what follows on a terminal.
    let unfit = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    String::from_utf8_lossy(bytes).replace(unfit, "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_ends_within_the_table_and_within_reach() {
        let strings = Strings::new(b"\0libc.so.6\0cut");
        assert_eq!(strings.get(1).unwrap(), b"libc.so.6");
        assert_eq!(strings.get(0).unwrap(), b"");
        for offset in [11, 14, 15, u64::MAX] {
            assert!(strings.get(offset).is_err(), "{offset}");
        }
        let long = [vec![b'a'; LONGEST + 1], vec![0]].concat();
        assert!(Strings::new(&long).get(0).is_err());
        assert!(Strings::new(&long).get(1).is_ok());
    }

    #[test]
    fn one_text_cannot_be_asked_for_without_end() {
        let long = [vec![b'a'; LONGEST], vec![0]].concat();
        let strings = Strings::new(&long);
        let granted = (0..1_000_000).take_while(|_| strings.get(0).is_ok()).count();
        assert_eq!(granted, MOST / (LONGEST + 1));
    }

    #[test]
    fn nothing_steers_the_terminal() {
        assert_eq!(printable(b"a\x1b[2Jb\xff\n\xe2\x80\xaec"), "a\u{fffd}[2Jb\u{fffd}\u{fffd}\u{fffd}c");
    }
}

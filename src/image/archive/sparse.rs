//! Files with holes, in each of the ways that GNU tar has written them.

use std::io::Read;
use std::str;

use crate::domain::{Error, Result, ResultExt};

/// A piece of a file that has data; between them are zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

/// Pieces that one file may have: a few million would be memory for nothing.
const MAX_PIECES: usize = 1 << 18;

/// What the records of an extended header say of a file's holes.
#[derive(Debug, Default)]
pub(crate) struct PaxSparse {
    pub(crate) name: Option<Vec<u8>>,
    size: Option<u64>,
    major: u64,
    minor: u64,
    /// Offsets and lengths in turn.
    numbers: Vec<u64>,
}

fn broken() -> Error {
    Error::environment("its list of holes is broken")
}

fn number(text: &[u8]) -> Result<u64> {
    let text = str::from_utf8(text).ok().filter(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()));
    text.and_then(|text| text.parse().ok()).ok_or_else(broken)
}

impl PaxSparse {
    /// Takes a record in; `key` comes after `GNU.sparse.`.
    pub(super) fn take(&mut self, key: &str, value: &[u8]) -> Result<()> {
        match key {
            "major" => self.major = number(value)?,
            "minor" => self.minor = number(value)?,
            "name" => self.name = Some(value.to_vec()),
            "size" | "realsize" => self.size = Some(number(value)?),
            // Format 0.0 repeats these two; 0.1 has one list.
            "offset" | "numbytes" => {
                if self.numbers.len().is_multiple_of(2) != (key == "offset") {
                    return Err(broken());
                }
                self.numbers.push(number(value)?);
            }
            "map" => self.numbers = value.split(|byte| *byte == b',').map(number).collect::<Result<_>>()?,
            "numblocks" => _ = number(value)?,
            _ => return Err(broken()),
        }
        if self.numbers.len() > 2 * MAX_PIECES {
            return Err(broken());
        }
        Ok(())
    }

    /// The size of the file, and its pieces; format 1.0 has them before the data. Also what of the data they took.
    pub(super) fn pieces(self, stored: u64, reader: &mut impl Read) -> Result<(u64, Vec<Piece>, u64)> {
        let size = self.size.ok_or_else(broken)?;
        let (numbers, taken) = match (self.major, self.minor) {
            (0, 0 | 1) => (self.numbers, 0),
            (1, 0) if self.numbers.is_empty() => read_map(stored, reader)?,
            _ => return Err(broken()),
        };
        if numbers.len() % 2 != 0 {
            return Err(broken());
        }
        let pieces = numbers.chunks(2).map(|pair| Piece { offset: pair[0], length: pair[1] }).collect();
        let pieces = check(pieces, size, stored - taken)?;
        Ok((size, pieces, taken))
    }
}

/// Decimal numbers on lines of their own, the first of which says how many pairs follow; padded to whole blocks.
fn read_map(stored: u64, reader: &mut impl Read) -> Result<(Vec<u64>, u64)> {
    let (mut block, mut place, mut taken) = ([0; 512], 512, 0);
    let mut next = || -> Result<u64> {
        let mut digits = Vec::new();
        loop {
            if place == block.len() {
                if taken + 512 > stored {
                    return Err(broken());
                }
                reader.read_exact(&mut block).or_environment(|| "its list of holes cannot be read".into())?;
                (place, taken) = (0, taken + 512);
            }
            let byte = block[place];
            place += 1;
            match byte {
                b'\n' => return number(&digits),
                _ if digits.len() > 20 => return Err(broken()),
                _ => digits.push(byte),
            }
        }
    };
    let count = usize::try_from(next()?).ok().filter(|count| *count <= MAX_PIECES).ok_or_else(broken)?;
    let numbers = (0..count * 2).map(|_| next()).collect::<Result<_>>()?;
    Ok((numbers, taken))
}

/// Pieces in order, inside the file, and exactly as long as what is stored.
fn check(pieces: Vec<Piece>, size: u64, stored: u64) -> Result<Vec<Piece>> {
    let (mut end, mut total) = (0, 0u64);
    for piece in &pieces {
        if piece.offset < end {
            return Err(broken());
        }
        end = piece.offset.checked_add(piece.length).filter(|end| *end <= size).ok_or_else(broken)?;
        total += piece.length;
    }
    if total == stored { Ok(pieces) } else { Err(broken()) }
}

/// The size of the file of an old GNU header, and its pieces; further lists are in blocks that follow it.
pub(super) fn gnu_pieces(header: &tar::Header, stored: u64, reader: &mut impl Read) -> Result<(u64, Vec<Piece>)> {
    let gnu = header.as_gnu().ok_or_else(broken)?;
    let size = gnu.real_size().map_err(|error| broken().because(error))?;
    let mut pieces = Vec::new();
    let mut add = |blocks: &[tar::GnuSparseHeader]| -> Result<()> {
        for block in blocks.iter().filter(|block| !block.is_empty()) {
            let offset = block.offset().map_err(|error| broken().because(error))?;
            let length = block.length().map_err(|error| broken().because(error))?;
            pieces.push(Piece { offset, length });
        }
        if pieces.len() > MAX_PIECES { Err(broken()) } else { Ok(()) }
    };
    add(&gnu.sparse)?;
    let mut more = gnu.is_extended();
    while more {
        let mut block = tar::GnuExtSparseHeader::new();
        reader.read_exact(block.as_mut_bytes()).or_environment(|| "its list of holes cannot be read".into())?;
        add(block.sparse())?;
        more = block.is_extended();
    }
    Ok((size, check(pieces, size, stored)?))
}

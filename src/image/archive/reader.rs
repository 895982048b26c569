//! One entry after the other.

use std::io::{self, Read};

use super::header::{self, Kind, Member, Names, entry_path};
use super::pax::Pax;
use super::sparse::{PaxSparse, Piece, gnu_pieces};
use crate::domain::{Error, Result, ResultExt};

/// Bytes of a header that describes the next: Go's reader has the same limit.
const MAX_EXTENSION: u64 = 1 << 20;

const BLOCK: u64 = 512;

/// Passes bytes on, up to a number of them; the one after it is an error.
struct Limited<R> {
    inner: R,
    limit: u64,
    left: u64,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| {
            io::Error::other(format!("it has more than {} bytes unpacked, which is the limit", self.limit))
        })?;
        Ok(count)
    }
}

/// An archive that is read from the front to the end.
pub(crate) struct Archive<R> {
    inner: Limited<R>,
    /// Of the current entry, and of the padding after it.
    data: u64,
    padding: u64,
}

fn damaged() -> String {
    "it is damaged".into()
}

impl<R: Read> Archive<R> {
    /// An archive that may have so many bytes.
    pub(crate) fn new(inner: R, limit: u64) -> Archive<R> {
        Archive { inner: Limited { inner, limit, left: limit }, data: 0, padding: 0 }
    }

    /// The data of the current entry, without its holes.
    pub(crate) fn data(&mut self) -> impl Read + '_ {
        Data { archive: self }
    }

    fn skip(&mut self, count: u64) -> Result<()> {
        let skipped = io::copy(&mut self.inner.by_ref().take(count), &mut io::sink()).or_environment(damaged)?;
        if skipped == count { Ok(()) } else { Err(Error::environment("it ends in the middle of an entry")) }
    }

    /// A header's block; `None` at the end.
    fn block(&mut self) -> Result<Option<tar::Header>> {
        let mut header = tar::Header::new_old();
        let block = header.as_mut_bytes();
        let mut filled = 0;
        while filled < block.len() {
            match self.inner.read(&mut block[filled..]) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(Error::environment("it ends in the middle of a header")),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error).or_environment(damaged),
            }
        }
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let sum: u32 = block[..148].iter().chain(&block[156..]).map(|byte| u32::from(*byte)).sum::<u32>() + 8 * 32;
        if header.cksum().or_environment(damaged)? != sum {
            return Err(Error::environment("the checksum of a header is wrong"));
        }
        Ok(Some(header))
    }

    fn begin(&mut self, size: u64) {
        (self.data, self.padding) = (size, size.wrapping_neg() % BLOCK);
    }

    fn extension(&mut self, size: u64) -> Result<Vec<u8>> {
        if size > MAX_EXTENSION {
            return Err(Error::environment(format!("an extended header has {size} bytes")));
        }
        self.begin(size);
        let mut text = Vec::new();
        self.data().read_to_end(&mut text).or_environment(damaged)?;
        let padding = std::mem::take(&mut self.padding);
        self.skip(padding)?;
        Ok(text)
    }

    /// The next entry, or `None` behind the last; what of the data of the one before was not read is skipped.
    ///
    /// # Errors
    /// An archive that is damaged, ends early, or that other programs could understand differently.
    pub(crate) fn next(&mut self) -> Result<Option<Member>> {
        self.skip(self.data)?;
        self.skip(self.padding)?;
        self.begin(0);
        let (mut long_path, mut long_link, mut pax) = (None, None, None);
        let twice = || Error::environment("two extended headers of one kind stand before one entry");
        loop {
            let Some(header) = self.block()? else {
                if long_path.is_some() || long_link.is_some() || pax.is_some() {
                    return Err(Error::environment("it ends after an extended header"));
                }
                return self.end().map(|()| None);
            };
            let size = header.entry_size().or_environment(damaged)?;
            // An extended header's size is its own: only the entry after all of them is described by them.
            let text = |text: Vec<u8>| text.strip_suffix(b"\0").map_or(text.clone(), <[u8]>::to_vec);
            match header.entry_type().as_byte() {
                b'L' if long_path.is_some() => return Err(twice()),
                b'K' if long_link.is_some() => return Err(twice()),
                b'x' if pax.is_some() => return Err(twice()),
                b'L' => long_path = Some(text(self.extension(size)?)),
                b'K' => long_link = Some(text(self.extension(size)?)),
                b'x' => pax = Some(Pax::parse(&self.extension(size)?)?),
                b'g' => Pax::check_global(&self.extension(size)?)?,
                _ => return self.member(&header, long_path, long_link, pax.unwrap_or_default()).map(Some),
            }
        }
    }

    fn member(
        &mut self,
        header: &tar::Header,
        long_path: Option<Vec<u8>>,
        long_link: Option<Vec<u8>>,
        mut pax: Pax,
    ) -> Result<Member> {
        let sparse = pax.sparse.take();
        let real = sparse.as_ref().and_then(|sparse| sparse.name.clone());
        let path = real.or(pax.path.take()).or(long_path).unwrap_or_else(|| header.path_bytes().into_owned());
        let link = pax.link.take().or(long_link);
        let link = link.unwrap_or_else(|| header.link_name_bytes().unwrap_or_default().into_owned());
        let shown = String::from_utf8_lossy(&path).escape_debug().to_string();
        self.described(header, &Names { path, link }, sparse, pax).context(|| format!("the entry '{shown}'"))
    }

    fn described(
        &mut self,
        header: &tar::Header,
        names: &Names,
        sparse: Option<PaxSparse>,
        pax: Pax,
    ) -> Result<Member> {
        let path = entry_path(&names.path)?;
        let stored = pax.size.map_or_else(|| header.entry_size(), Ok).or_environment(damaged)?;
        let kind = match header::without_data(header, names, stored)? {
            Some(kind) if sparse.is_none() => kind,
            Some(_) => return Err(Error::environment("it is no file, but has holes")),
            None => self.file(header, sparse, stored)?,
        };
        header::member(header, path, kind, pax)
    }

    fn file(&mut self, header: &tar::Header, sparse: Option<PaxSparse>, stored: u64) -> Result<Kind> {
        let limit = self.inner.limit;
        let too_large = |size| Error::environment(format!("it has {size} bytes, and the limit is {limit}"));
        if stored > self.inner.left {
            return Err(too_large(stored));
        }
        let (size, pieces, taken) = match (sparse, header.entry_type().as_byte()) {
            (Some(sparse), _) => sparse.pieces(stored, &mut self.inner)?,
            (None, b'S') => {
                let (size, pieces) = gnu_pieces(header, stored, &mut self.inner)?;
                (size, pieces, 0)
            }
            (None, _) => (stored, vec![Piece { offset: 0, length: stored }], 0),
        };
        // Holes cost time too, when they are read.
        let holes = size - (stored - taken);
        self.inner.left = self.inner.left.checked_sub(holes).ok_or_else(|| too_large(size))?;
        self.begin(stored);
        self.data -= taken;
        Ok(Kind::File { size, pieces })
    }

    /// Reads on to the end, so that a stream that was cut off is noticed.
    fn end(&mut self) -> Result<()> {
        io::copy(&mut self.inner, &mut io::sink()).or_environment(damaged)?;
        Ok(())
    }
}

/// The data of an entry, which must be there to the last byte.
struct Data<'a, R> {
    archive: &'a mut Archive<R>,
}

impl<R: Read> Read for Data<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(self.archive.data).unwrap_or(usize::MAX));
        let count = self.archive.inner.read(&mut buffer[..wanted])?;
        if count == 0 && wanted > 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the archive ends in the middle of an entry"));
        }
        self.archive.data -= count as u64;
        Ok(count)
    }
}

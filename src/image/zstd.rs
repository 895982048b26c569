//! Zstandard, as many frames as there are.

use std::io::{self, BufRead, Read};

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// The bytes of a file's frames one after the other; those that are to be skipped are skipped.
pub(super) struct ZstdReader<R> {
    inner: R,
    decoder: FrameDecoder,
    in_frame: bool,
}

fn damaged(error: FrameDecoderError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

impl<R: BufRead> ZstdReader<R> {
    pub(super) fn new(inner: R) -> ZstdReader<R> {
        // The decoder refuses windows of more than 128 MiB, so that a few bytes cannot ask for more memory.
        ZstdReader { inner, decoder: FrameDecoder::new(), in_frame: false }
    }

    /// Begins the next frame; false at the end of the file.
    fn begin(&mut self) -> io::Result<bool> {
        while !self.inner.fill_buf()?.is_empty() {
            match self.decoder.reset(&mut self.inner) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    let length = u64::from(length);
                    if io::copy(&mut self.inner.by_ref().take(length), &mut io::sink())? < length {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(error) => return Err(damaged(error)),
            }
        }
        Ok(false)
    }

    /// Ends a frame, whose checksum must be the one that it states.
    fn end(&mut self) -> io::Result<()> {
        self.in_frame = false;
        match (self.decoder.get_checksum_from_data(), self.decoder.get_calculated_checksum()) {
            (Some(stated), Some(found)) if stated != found => {
                Err(io::Error::new(io::ErrorKind::InvalidData, "the checksum of a frame is wrong"))
            }
            _ => Ok(()),
        }
    }
}

impl<R: BufRead> Read for ZstdReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !buffer.is_empty() {
            if !self.in_frame {
                if !self.begin()? {
                    return Ok(0);
                }
                self.in_frame = true;
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                let blocks = BlockDecodingStrategy::UptoBlocks(1);
                self.decoder.decode_blocks(&mut self.inner, blocks).map_err(damaged)?;
            }
            match self.decoder.read(buffer)? {
                0 => self.end()?,
                count => return Ok(count),
            }
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    fn decompressed(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        ZstdReader::new(bytes).read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn frames_follow_each_other() {
        let frame = |bytes: &[u8]| compress_to_vec(bytes, CompressionLevel::Fastest);
        let long: Vec<u8> = (0..1_000_000u32).flat_map(u32::to_le_bytes).collect();
        let skipped = [&[0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"xyz"].concat();
        let whole = [frame(b"a"), skipped.clone(), frame(b""), frame(&long), skipped].concat();
        assert!(decompressed(&whole).unwrap() == [b"a", long.as_slice()].concat());
        assert_eq!(decompressed(b"").unwrap(), b"");
    }

    #[test]
    fn damage_is_an_error() {
        // "hello\n" with a checksum, by the reference program.
        let hello = b"\x28\xb5\x2f\xfd\x04\x58\x31\x00\x00hello\n\x53\x88\xbd\x91";
        let whole = hello.to_vec();
        for (what, bytes) in [
            ("ends early", whole[..whole.len() - 6].to_vec()),
            ("a byte flipped", whole.iter().enumerate().map(|(at, b)| if at == 10 { b ^ 1 } else { *b }).collect()),
            ("no frame after it", [&whole[..], b"garbage!"].concat()),
            ("skips more than there is", vec![0x50, 0x2a, 0x4d, 0x18, 9, 0, 0, 0, 1]),
        ] {
            assert!(decompressed(&bytes).is_err(), "{what}");
        }
    }
}

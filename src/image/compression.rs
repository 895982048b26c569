//! How archives and layers are compressed, and how they are read.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use super::media_type;
use super::zstd::ZstdReader;
use crate::domain::{Error, Result, ResultExt};

/// Bytes that are read at once.
const BUFFER: usize = 1 << 18;

/// Bytes that tell every format: xz has the longest magic number.
const MAGIC: usize = 6;

/// The bytes of a file, decompressed if it begins as a compressed file does.
///
/// # Errors
/// A file that cannot be opened, or whose first bytes cannot be read.
pub(super) fn any(path: &Path) -> Result<Box<dyn Read>> {
    let failed = || format!("cannot read {}", path.display());
    let mut file = BufReader::with_capacity(BUFFER, File::open(path).or_environment(failed)?);
    let magic = file.fill_buf().or_environment(failed)?;
    Ok(match &magic[..magic.len().min(MAGIC)] {
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => Box::new(xz2::bufread::XzDecoder::new_multi_decoder(file)),
        [b'B', b'Z', b'h', ..] => Box::new(bzip2::bufread::MultiBzDecoder::new(file)),
        // A frame, or one that holds nothing but is to be skipped.
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Box::new(ZstdReader::new(file)),
        _ => Box::new(file),
    })
}

/// The archive of a layer, decompressed as its media type says.
///
/// # Errors
/// A media type that is no layer's.
pub(super) fn layer(blob: File, media_type: &str) -> Result<Box<dyn Read>> {
    let blob = BufReader::with_capacity(BUFFER, blob);
    Ok(match media_type {
        media_type::LAYER => Box::new(blob),
        media_type::LAYER_GZIP | media_type::DOCKER_LAYER_GZIP => {
            let reader = flate2::bufread::MultiGzDecoder::new(blob);
            Box::new(BufReader::with_capacity(BUFFER, reader))
        }
        media_type::LAYER_ZSTD | media_type::DOCKER_LAYER_ZSTD => {
            Box::new(BufReader::with_capacity(BUFFER, ZstdReader::new(blob)))
        }
        other => return Err(Error::usage(format!("the format {other} is not supported"))),
    })
}

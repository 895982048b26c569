//! An image's root file system, its layers put together.

use std::io::{self, BufReader, BufWriter, Write};
use std::path::Path;
use std::thread;

use crate::domain::{Error, Result, ResultExt};
use crate::image::MergedImage;
use crate::image::layer::write_tar;
use crate::image::unpack::{Limits, unpack};

/// The time of entries that have none of their own.
const FILE_TIME: u64 = 0;

/// Writes the root file system as an archive whose bytes depend on the image alone.
///
/// # Errors
/// An archive that cannot be written.
pub fn filesystem_tar(image: &MergedImage, mut writer: impl Write) -> Result<()> {
    write_tar(&image.entries, FILE_TIME, &mut writer)?;
    writer.flush().or_environment(|| "cannot write the archive".into())
}

/// Writes the root file system into a folder that is empty, or is made. Owners and devices are there as far as this
/// process may make them.
///
/// # Errors
/// A folder that is not empty, or cannot be written.
pub fn filesystem_folder(image: &MergedImage, into: &Path) -> Result<()> {
    let (reader, writer) = io::pipe().or_environment(|| "cannot make a pipe".into())?;
    thread::scope(|scope| {
        let packing = scope.spawn(move || filesystem_tar(image, BufWriter::with_capacity(1 << 18, writer)));
        // The reader goes first when it fails, or the writer would wait for it forever.
        let unpacked = unpack(BufReader::with_capacity(1 << 18, reader), into, &Limits::default()).map(drop);
        let packed = packing.join().unwrap_or_else(|_| Err(Error::bug("a thread that packs files died")));
        unpacked.and(packed)
    })
}

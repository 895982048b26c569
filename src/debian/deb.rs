//! One `.deb` file: its digest, then its control part, then its data part.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek as _, Take};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::domain::{Error, Result, ResultExt};

use super::ar::{Ar, Member};
use super::download::digest_of;
use super::stanza::Stanza;
use super::{Limits, Package};

/// Large, because each fill is a system call.
const BUFFER: usize = 1 << 18;

/// More than any honest dictionary needs (`xz -9` has 64 MiB).
const XZ_MEMORY: u64 = 1 << 28;

/// A package's control part.
#[derive(Debug)]
pub struct Control {
    pub(crate) stanza: Stanza,
    pub(crate) files: BTreeMap<String, Vec<u8>>,
}

/// One entry of a part.
pub(crate) type Entry<'a, 'b> = tar::Entry<'a, Box<dyn Read + 'b>>;

/// An open package whose control part has been read.
pub(crate) struct Deb {
    ar: Ar<BufReader<File>>,
    pub(crate) control: Control,
}

impl Deb {
    /// Opens a file, and reads nothing of it before all of it has the digest that the index gives.
    pub(crate) fn open(path: &Path, package: &Package, limits: &Limits) -> Result<Deb> {
        let mut file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW)
            .open(path)
            .or_environment(|| "cannot be opened".into())?;
        let found = digest_of(&mut file).or_environment(|| "cannot be read".into())?;
        if found != package.digest {
            return Err(Error::environment(format!("has the digest {found}, and not {}", package.digest))
                .hint("the download is damaged, or the mirror serves something else: try again"));
        }
        file.rewind().or_environment(|| "cannot be read again".into())?;
        let mut ar = Ar::new(BufReader::with_capacity(BUFFER, file))?;
        read_version(&mut ar)?;
        let files = read_control(&mut ar, limits)?;
        let text = files.get("control").ok_or_else(|| Error::environment("has no control file"))?;
        let text = std::str::from_utf8(text).or_environment(|| "has a control file that is not UTF-8".into())?;
        let stanza = match &mut Stanza::parse_all(text).context(|| "has a broken control file".into())?[..] {
            [stanza] => std::mem::take(stanza),
            _ => return Err(Error::environment("has a control file of other than one paragraph")),
        };
        for (field, expected) in
            [("Package", package.name.as_str()), ("Version", &package.version), ("Architecture", &package.architecture)]
        {
            let found = stanza.get(field).unwrap_or_default();
            if found != expected {
                return Err(Error::environment(format!("says {field}: '{found}', and not '{expected}'")));
            }
        }
        Ok(Deb { ar, control: Control { stanza, files } })
    }

    /// Hands each entry of the data part to a function.
    pub(crate) fn data(
        &mut self,
        limits: &Limits,
        mut on_entry: impl FnMut(&mut Entry<'_, '_>) -> Result<()>,
    ) -> Result<()> {
        let mut found = false;
        while let Some((member, mut reader)) = self.ar.next()? {
            if member.name.starts_with("data.tar") && !std::mem::replace(&mut found, true) {
                entries(&member, &mut reader, limits.unpacked, &mut on_entry)?;
            } else if member.name.starts_with('_') {
                io::copy(&mut reader, &mut io::sink()).or_environment(|| "cannot be read".into())?;
            } else {
                return Err(Error::environment(format!("has the member '{}' where data.tar should be", member.name)));
            }
            whole(&member, &reader)?;
        }
        match found {
            true => Ok(()),
            false => Err(Error::environment("has no data.tar")),
        }
    }
}

fn read_version(ar: &mut Ar<BufReader<File>>) -> Result<()> {
    let Some((member, mut reader)) = ar.next()? else { return Err(Error::environment("is an empty archive")) };
    let mut version = String::new();
    if member.name == "debian-binary" && member.size < 64 {
        reader.read_to_string(&mut version).or_environment(|| "has a broken version".into())?;
        whole(&member, &reader)?;
    }
    match version.starts_with("2.") {
        true => Ok(()),
        false => Err(Error::environment("is not a Debian package of version 2")),
    }
}

fn read_control(ar: &mut Ar<BufReader<File>>, limits: &Limits) -> Result<BTreeMap<String, Vec<u8>>> {
    let Some((member, mut reader)) = ar.next()?.filter(|(member, _)| member.name.starts_with("control.tar")) else {
        return Err(Error::environment("has no control.tar after its version"));
    };
    let mut files = BTreeMap::new();
    entries(&member, &mut reader, limits.control, &mut |entry| {
        if entry.header().entry_type().is_dir() {
            return Ok(());
        }
        let path = entry.path_bytes().into_owned();
        let name = String::from_utf8_lossy(path.strip_prefix(b"./").unwrap_or(&path)).into_owned();
        let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'+');
        let plain = name.bytes().all(legal) && name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic());
        // `list` is dpkg's own, made from the data part.
        if !plain || name == "list" || !entry.header().entry_type().is_file() {
            return Err(Error::environment(format!("has '{}' in control.tar", name.escape_debug())));
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).or_environment(|| format!("has a broken '{name}' in control.tar"))?;
        files.insert(name, bytes);
        Ok(())
    })?;
    whole(&member, &reader)?;
    Ok(files)
}

/// Whether all of a member was there.
fn whole<R>(member: &Member, reader: &Take<R>) -> Result<()> {
    match reader.limit() {
        0 => Ok(()),
        missing => Err(Error::environment(format!("ends {missing} bytes before its '{}' does", member.name))),
    }
}

/// Hands each entry of a compressed archive to a function, then reads on to the end, so that damage there is seen.
fn entries<'a>(
    member: &Member,
    reader: &'a mut dyn Read,
    limit: u64,
    on_entry: &mut dyn FnMut(&mut Entry<'_, 'a>) -> Result<()>,
) -> Result<()> {
    let broken = || format!("has a broken {}", member.name);
    let reader = BufReader::with_capacity(BUFFER, reader);
    let decoder: Box<dyn Read> = match member.name.split_once(".tar").map(|(_, ending)| ending) {
        Some("") => Box::new(reader),
        Some(".gz") => Box::new(flate2::bufread::MultiGzDecoder::new(reader)),
        Some(".xz") => {
            // The whole file's digest is checked; the stream's own would be read for nothing.
            let flags = xz2::stream::CONCATENATED | xz2::stream::IGNORE_CHECK;
            let stream = xz2::stream::Stream::new_stream_decoder(XZ_MEMORY, flags);
            Box::new(xz2::bufread::XzDecoder::new_stream(reader, stream.or_environment(broken)?))
        }
        _ => {
            return Err(Error::environment(format!("has a {}, which xbuild cannot read", member.name))
                .hint("Debian's packages are compressed with xz or gzip; Ubuntu's zstd is not supported"));
        }
    };
    let decoder: Box<dyn Read + 'a> =
        Box::new(BufReader::with_capacity(BUFFER, Limited { inner: decoder, left: limit }));
    let mut archive = tar::Archive::new(decoder);
    for entry in archive.entries().or_environment(broken)? {
        on_entry(&mut entry.or_environment(broken)?)?;
    }
    let mut rest = archive.into_inner();
    io::copy(&mut rest, &mut io::sink()).or_environment(broken)?;
    Ok(())
}

/// Fails when more comes out than may.
struct Limited<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left = self
            .left
            .checked_sub(count as u64)
            .ok_or_else(|| io::Error::other("it expands to more than the limit for one package"))?;
        Ok(count)
    }
}

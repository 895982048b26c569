//! Unpacks an upstream archive.

use std::fs::{self, File};
use std::io::{BufReader, Read, Seek};
use std::path::Path;

use crate::domain::{Error, Result, ResultExt};

/// Unpacks a tar archive, plain or compressed by gzip, xz or bzip2, into `tree` of an empty folder. When everything in it is
/// in one top folder, that folder is left out; whether it was is the result.
///
/// # Errors
/// A build error that names the archive and the entry, when it is damaged or has an entry that would leave the folder.
pub fn unpack(archive: &Path, folder: &Path, name: &str) -> Result<bool> {
    let failed = || format!("cannot unpack {name}");
    let mut file = File::open(archive).or_environment(failed)?;
    let mut magic = [0; 6];
    let length = file.read(&mut magic).or_environment(failed)?;
    file.rewind().or_environment(failed)?;
    let file = BufReader::with_capacity(1 << 16, file);
    let reader: Box<dyn Read> = match &magic[..length] {
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => Box::new(xz2::bufread::XzDecoder::new_multi_decoder(file)),
        [b'B', b'Z', b'h', ..] => Box::new(bzip2::bufread::MultiBzDecoder::new(file)),
        _ => Box::new(file),
    };
    let inside = folder.join("unpacked");
    fs::create_dir(&inside).or_environment(failed)?;
    let mut tar = tar::Archive::new(reader);
    // Build systems compare times, and run scripts.
    tar.set_preserve_permissions(true);
    tar.set_preserve_mtime(true);
    tar.set_preserve_ownerships(false);
    for entry in tar.entries().or_build(failed)? {
        let mut entry = entry.or_build(failed)?;
        let path = entry.path().or_build(failed)?.into_owned();
        let failed = || format!("cannot unpack {} of {name}", path.display());
        if !entry.unpack_in(&inside).or_build(failed)? {
            return Err(Error::build(failed()).because("the name leaves the folder"));
        }
    }
    let mut entries = fs::read_dir(&inside).or_environment(failed)?;
    let top = match (entries.next(), entries.next()) {
        // A link to a folder is none: it may lead anywhere.
        (Some(Ok(only)), None) if only.file_type().is_ok_and(|kind| kind.is_dir()) => only.path(),
        _ => inside.clone(),
    };
    fs::rename(&top, folder.join("tree")).or_environment(failed)?;
    let left_out = top != inside;
    if left_out {
        fs::remove_dir(&inside).or_environment(failed)?;
    }
    Ok(left_out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn try_archive(names: &[(&str, tar::EntryType, &str)]) -> (tempfile::TempDir, Result<bool>) {
        let folder = tempfile::tempdir().unwrap();
        let mut builder = tar::Builder::new(Vec::new());
        for (name, kind, link) in names {
            let mut header = tar::Header::new_gnu();
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            header.set_size(0);
            header.set_mode(0o755);
            if !link.is_empty() {
                header.set_link_name(link).unwrap();
            }
            header.set_cksum();
            builder.append(&header, &[][..]).unwrap();
        }
        let archive = folder.path().join("a.tar");
        fs::write(&archive, builder.into_inner().unwrap()).unwrap();
        let place = folder.path().join("place");
        fs::create_dir(&place).unwrap();
        let result = unpack(&archive, &place, "a.tar");
        (folder, result)
    }

    #[test]
    fn a_single_top_folder_is_left_out() {
        use tar::EntryType::{Directory, Regular};
        let (folder, result) = try_archive(&[("x-1/", Directory, ""), ("x-1/configure", Regular, "")]);
        result.unwrap();
        assert!(folder.path().join("place/tree/configure").is_file());
        let (folder, result) = try_archive(&[("a", Regular, ""), ("b", Regular, "")]);
        result.unwrap();
        assert!(folder.path().join("place/tree/a").exists());
    }

    #[test]
    fn a_link_is_no_top_folder() {
        let (folder, result) = try_archive(&[("top", tar::EntryType::Symlink, "../..")]);
        assert!(!result.unwrap());
        let tree = folder.path().join("place/tree");
        assert!(!tree.is_symlink() && tree.join("top").is_symlink());
    }

    #[test]
    fn nothing_is_written_outside() {
        use tar::EntryType::{Regular, Symlink};
        for names in [
            &[("../escaped", Regular, "")][..],
            &[("out", Symlink, "/"), ("out/tmp/xbuild-escaped", Regular, "")],
            &[("out", Symlink, "../.."), ("out/escaped", Regular, "")],
        ] {
            let (folder, result) = try_archive(names);
            assert!(result.is_err(), "{names:?}");
            assert!(!folder.path().join("escaped").exists());
            assert!(!Path::new("/tmp/xbuild-escaped").exists());
        }
    }
}

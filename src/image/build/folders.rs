//! Layers as folders in the store: what RUN stands on, and where the contents of layers come from.
//!
//! ```text
//! <key>/root           the files, in the convention of overlay file systems
//! <key>/listing        the layer's entries, owners and modes as they should be
//! ```

use std::fs;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use super::foresight::Unknown;
use super::listing;
use crate::domain::{Digest, DigestReader, Error, Result, ResultExt};
use crate::image::layer::{Entries, write_tar};
use crate::image::unpack::{Limits, unpack};
use crate::store::{Bucket, Scratch, Store, mark_used, write_atomically};

/// The files of a layer, in its folder.
pub(super) const ROOT: &str = "root";

/// The listing of a layer, in its folder.
pub(super) const LISTING: &str = "listing";

/// Whose files are in the folders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// Everybody's: the process may give files to any user of an image.
    Real,
    /// The user's alone; listings say whose they should be.
    Listed,
}

/// The layers of the store.
pub struct Folders<'a> {
    store: &'a Store,
    ownership: Ownership,
    makes: bool,
}

impl<'a> Folders<'a> {
    /// The layers of a store, for a process that may give files to others or not.
    pub fn new(store: &'a Store, ownership: Ownership) -> Folders<'a> {
        Folders { store, ownership, makes: true }
    }

    /// The same without making what is not there: asked for that, they answer with an [`Unknown`].
    pub fn looking(self) -> Folders<'a> {
        Folders { makes: false, ..self }
    }

    pub(super) fn ownership(&self) -> Ownership {
        self.ownership
    }

    pub(super) fn store(&self) -> &Store {
        self.store
    }

    fn place(&self, identity: &Digest) -> PathBuf {
        // Made by somebody who could not give files away, a folder is not fit for somebody who can.
        let key = match self.ownership {
            Ownership::Real => *identity,
            Ownership::Listed => Digest::of_json(&("listed owners", identity)),
        };
        self.store.place(Bucket::ImageLayers, &key)
    }

    /// The files of a layer, if they are there.
    pub(super) fn find(&self, identity: &Digest) -> Option<PathBuf> {
        let place = self.place(identity);
        let root = place.join(ROOT);
        root.is_dir().then(|| {
            mark_used(&place);
            root
        })
    }

    /// The entries of a layer whose files are there.
    pub(super) fn listing(&self, identity: &Digest) -> Result<Entries> {
        let place = self.place(identity);
        let path = place.join(LISTING);
        let failed = || format!("cannot read {}", path.display());
        let bytes = fs::read(&path).or_environment(failed)?;
        listing::read(&bytes, &place.join(ROOT)).context(failed)
    }

    /// Moves files into the store; they are in [`ROOT`] of the scratch folder.
    pub(super) fn keep(&self, identity: &Digest, scratch: &Scratch, entries: &Entries) -> Result<PathBuf> {
        // Somebody else may have made it from another instruction meanwhile; what is there and not whole goes.
        if let Some(root) = self.find(identity) {
            return Ok(root);
        }
        let place = self.place(identity);
        let whole = scratch.folder("layer")?;
        let from = scratch.path().join(ROOT);
        fs::rename(&from, whole.join(ROOT)).or_environment(|| format!("cannot move {}", from.display()))?;
        write_atomically(&whole.join(LISTING), &listing::write(entries)?)?;
        self.store.replace(&whole, &place)?;
        Ok(place.join(ROOT))
    }

    /// The files of a layer that is known by its entries.
    pub(super) fn of_entries(&self, identity: &Digest, entries: &Entries) -> Result<PathBuf> {
        self.make(identity, |into| {
            let (reader, writer) = io::pipe().or_environment(|| "cannot make a pipe".into())?;
            std::thread::scope(|scope| {
                let packing = scope.spawn(move || {
                    let mut writer = io::BufWriter::with_capacity(1 << 18, writer);
                    write_tar(entries, 0, &mut writer)?;
                    writer.flush().or_environment(|| "cannot pass a layer on".into())
                });
                let unpacked = unpack(BufReader::with_capacity(1 << 18, reader), into, &Limits::default());
                let packed = packing.join().unwrap_or_else(|_| Err(Error::bug("packing a layer panicked")));
                // A reader that failed breaks the pipe: its error is the one that says why.
                match (unpacked, packed) {
                    (Ok(_), packed) => packed.map(|()| entries.clone()),
                    (Err(error), Ok(())) => Err(error),
                    (Err(unpacking), Err(packing)) if packing.to_string().contains("Broken pipe") => Err(unpacking),
                    (Err(_), Err(packing)) => Err(packing),
                }
            })
        })
    }

    /// The files of a layer that comes from an archive; `digest` is the one that the archive must have.
    pub(super) fn of_archive(&self, identity: &Digest, archive: impl Read, digest: Option<&Digest>) -> Result<PathBuf> {
        self.make(identity, |into| {
            let mut reader = DigestReader::new(archive);
            let entries = unpack(&mut reader, into, &Limits::default())?;
            // To the end, so that the digest is of everything.
            io::copy(&mut reader, &mut io::sink()).or_environment(|| "the archive is damaged".into())?;
            let (found, _) = reader.finish();
            match digest.filter(|digest| **digest != found) {
                Some(digest) => Err(Error::environment(format!("its bytes have the digest {found}, not {digest}"))),
                None => Ok(entries),
            }
        })
    }

    fn make(&self, identity: &Digest, unpack: impl FnOnce(&Path) -> Result<Entries>) -> Result<PathBuf> {
        if let Some(root) = self.find(identity) {
            return Ok(root);
        }
        if !self.makes {
            return Err(Unknown("its layers are unpacked".into()).into());
        }
        let _lock = self.store.lock(identity)?;
        if let Some(root) = self.find(identity) {
            return Ok(root);
        }
        let scratch = self.store.scratch()?;
        let entries = unpack(&scratch.folder(ROOT)?)?;
        self.keep(identity, &scratch, &entries)
    }
}

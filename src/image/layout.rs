//! A folder in the OCI image layout.
//!
//! ```text
//! oci-layout  index.json      the format's mark; which names there are
//! blobs/sha256/<digest>       manifests, configurations, layers
//! .in-use  .index             locks: shared by everybody at work; while index.json changes
//! .tmp-*                      what a killed process left; prune takes it away
//! ```

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::blob::{self, Present};
use super::{BlobWriter, Descriptor, Index};
use crate::domain::{Digest, Error, Result, ResultExt};

/// The annotation that names an entry of `index.json`.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// The most bytes that a manifest, index or configuration may have.
const MAX_DOCUMENT: u64 = 16 << 20;

const MARK: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// An OCI layout in use by this process.
pub struct Layout {
    dir: PathBuf,
    blobs: PathBuf,
    in_use: File,
}

fn real_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).or_environment(|| format!("cannot create {}", path.display()))?;
    let metadata = fs::symlink_metadata(path).or_environment(|| format!("cannot read {}", path.display()))?;
    if metadata.is_dir() { Ok(()) } else { Err(Error::environment(format!("{} is no folder", path.display()))) }
}

impl Layout {
    /// Opens a layout, which is created if it is not there.
    ///
    /// # Errors
    /// A folder that cannot be written, or that is something else.
    pub fn open(dir: &Path) -> Result<Layout> {
        fs::create_dir_all(dir).or_environment(|| format!("cannot create {}", dir.display()))?;
        let blobs = dir.join("blobs/sha256");
        real_folder(&dir.join("blobs"))?;
        real_folder(&blobs)?;
        let in_use = blob::lock_file(&dir.join(".in-use"))?;
        in_use.lock_shared().or_environment(|| format!("cannot lock {}", dir.display()))?;
        let layout = Layout { dir: dir.to_owned(), blobs, in_use };
        let mark = dir.join("oci-layout");
        if !mark.exists() {
            blob::replace(&mark, MARK)?;
        }
        if !dir.join("index.json").exists() {
            layout.update(|_| {})?;
        }
        Ok(layout)
    }

    /// Opens a layout for reading that somebody else has made; nothing is written to it.
    ///
    /// # Errors
    /// A folder that is no layout.
    pub fn read(dir: &Path) -> Result<Layout> {
        let mark = dir.join("oci-layout");
        let failed = || format!("{} is no folder in the OCI image layout", dir.display());
        let in_use = File::open(&mark).or_usage(failed)?;
        let mut text = String::new();
        (&in_use).take(MAX_DOCUMENT).read_to_string(&mut text).or_usage(failed)?;
        let version = serde_json::from_str::<serde_json::Value>(&text).or_usage(failed)?["imageLayoutVersion"].clone();
        if version != "1.0.0" {
            return Err(Error::usage(failed()).because(format!("its version is {version}, and only 1.0.0 is known")));
        }
        Ok(Layout { dir: dir.to_owned(), blobs: dir.join("blobs/sha256"), in_use })
    }

    /// The names that it gives.
    pub fn names(&self) -> Result<Vec<String>> {
        let entries = self.index()?.manifests;
        Ok(entries.into_iter().filter_map(|entry| entry.annotations.get(REF_NAME).cloned()).collect())
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where a blob of a layout stands, by the layout's folder.
    pub fn blob_in(dir: &Path, digest: &Digest) -> PathBuf {
        dir.join("blobs/sha256").join(digest.hex())
    }

    /// Where a blob stands.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.blobs.join(digest.hex())
    }

    /// Whether a blob is there with its size.
    ///
    /// # Errors
    /// Something under its name that is no plain file, such as a symbolic link.
    pub fn has_blob(&self, digest: &Digest, size: u64) -> Result<bool> {
        Ok(blob::look(&self.blob_path(digest), size)? == Present::Whole)
    }

    /// Starts a blob.
    pub fn blob_writer(&self) -> Result<BlobWriter> {
        BlobWriter::new(&self.dir, &self.blobs)
    }

    /// Writes a document in canonical JSON.
    pub fn write_json<T: Serialize>(&self, media_type: &str, value: &T) -> Result<Descriptor> {
        let mut writer = self.blob_writer()?;
        let bytes = serde_json::to_vec(value).or_bug(|| "cannot write JSON".into())?;
        writer.write_all(&bytes).or_environment(|| format!("cannot write to {}", self.dir.display()))?;
        let (digest, size) = writer.complete()?;
        Ok(Descriptor::new(media_type, digest, size))
    }

    /// Takes a blob from another folder of blobs: by hard link where that works, else as a copy that is checked.
    ///
    /// # Errors
    /// A file that is not the blob, as far as was looked: a link's bytes are not read.
    pub fn take_blob(&self, from: &Path, digest: &Digest, size: u64) -> Result<()> {
        let path = self.blob_path(digest);
        if blob::look(&path, size)? == Present::Whole {
            return Ok(());
        }
        if blob::look(from, size)? == Present::Missing {
            return Err(Error::environment(format!("{} is not there with {size} bytes", from.display())));
        }
        // A damaged blob under the name is in the way of a link.
        if path.exists() {
            fs::remove_file(&path).or_environment(|| format!("cannot remove {}", path.display()))?;
        }
        if fs::hard_link(from, &path).is_ok() {
            return Ok(());
        }
        let mut source = File::open(from).or_environment(|| format!("cannot read {}", from.display()))?;
        let mut writer = self.blob_writer()?;
        io::copy(&mut source, &mut writer).or_environment(|| format!("cannot copy {}", from.display()))?;
        match writer.complete()? {
            (found, _) if found == *digest => Ok(()),
            (found, _) => Err(Error::environment(format!("{}: expected {digest}, found {found}", from.display()))),
        }
    }

    /// Opens a blob for reading; a reader must check the digest itself.
    pub fn open_blob(&self, descriptor: &Descriptor) -> Result<File> {
        let path = self.blob_path(&descriptor.digest);
        if !self.has_blob(&descriptor.digest, descriptor.size)? {
            return Err(Error::environment(format!("{} is not there with {} bytes", path.display(), descriptor.size))
                .hint(format!("the layout {} is damaged: build its images again", self.dir.display())));
        }
        File::open(&path).or_environment(|| format!("cannot read {}", path.display()))
    }

    /// Reads a document and checks its digest.
    pub fn read_json<T: DeserializeOwned>(&self, descriptor: &Descriptor) -> Result<T> {
        let path = self.blob_path(&descriptor.digest);
        if descriptor.size > MAX_DOCUMENT {
            return Err(Error::environment(format!("{} has {} bytes, no document", path.display(), descriptor.size)));
        }
        let mut bytes = Vec::new();
        let file = self.open_blob(descriptor)?;
        file.take(MAX_DOCUMENT).read_to_end(&mut bytes).or_environment(|| format!("cannot read {}", path.display()))?;
        let found = Digest::of(&bytes);
        if found != descriptor.digest {
            return Err(Error::environment(format!("{}: its bytes have the digest {found}", path.display())));
        }
        serde_json::from_slice(&bytes).or_environment(|| format!("{}", path.display()))
    }

    /// What `index.json` says.
    pub fn index(&self) -> Result<Index> {
        let path = self.dir.join("index.json");
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).or_environment(|| format!("{}", path.display())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Index::new(Vec::new())),
            Err(error) => Err(error).or_environment(|| format!("cannot read {}", path.display())),
        }
    }

    /// Changes `index.json` while nobody else does.
    /// Whether the change made a difference.
    fn update(&self, change: impl FnOnce(&mut Index)) -> Result<bool> {
        let lock = blob::lock_file(&self.dir.join(".index"))?;
        lock.lock().or_environment(|| format!("cannot lock {}", self.dir.display()))?;
        let mut index = self.index()?;
        let before = serde_json::to_vec(&index).or_bug(|| "cannot write JSON".into())?;
        change(&mut index);
        let bytes = serde_json::to_vec(&index).or_bug(|| "cannot write JSON".into())?;
        let path = self.dir.join("index.json");
        if bytes == before && path.exists() {
            return Ok(false);
        }
        blob::replace(&path, &bytes).map(|()| true)
    }

    /// Gives a name to a manifest or an index; what had the name before loses it.
    pub fn set_name(&self, name: &str, descriptor: Descriptor) -> Result<()> {
        self.set_names([(name.to_owned(), descriptor)]).map(drop)
    }

    /// Gives names to manifests and indexes, all at once; whether any of them meant something else before.
    pub fn set_names(&self, names: impl IntoIterator<Item = (String, Descriptor)>) -> Result<bool> {
        self.update(|index| {
            for (name, mut descriptor) in names {
                index.manifests.retain(|entry| entry.annotations.get(REF_NAME) != Some(&name));
                descriptor.annotations.insert(REF_NAME.to_owned(), name);
                index.manifests.push(descriptor);
            }
            // The order in which builds end must not show.
            index.manifests.sort_by(|a, b| a.annotations.get(REF_NAME).cmp(&b.annotations.get(REF_NAME)));
        })
    }

    /// Takes a name away; the blobs stay until [`Layout::prune`].
    pub fn remove_name(&self, name: &str) -> Result<()> {
        self.update(|index| {
            index.manifests.retain(|entry| entry.annotations.get(REF_NAME).is_none_or(|old| old != name))
        })
        .map(drop)
    }

    /// The entry of a name.
    pub fn find(&self, name: &str) -> Result<Option<Descriptor>> {
        let named = |entry: &Descriptor| entry.annotations.get(REF_NAME).is_some_and(|found| found == name);
        Ok(self.index()?.manifests.into_iter().find(named))
    }

    /// The lock that everybody at work shares.
    pub(super) fn in_use(&self) -> &File {
        &self.in_use
    }

    pub(super) fn blobs(&self) -> &Path {
        &self.blobs
    }
}

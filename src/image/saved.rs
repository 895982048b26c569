//! An image as `docker save` writes it, taken apart again.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use super::export::filesystem_folder;
use super::unpack::{Limits, unpack};
use super::{ImageConfig, MergedImage, compression};
use crate::domain::{Digest, Error, Result, ResultExt};

/// Bytes of a document of the archive's.
const MAX_DOCUMENT: u64 = 16 << 20;

/// An image's configuration, and its layers as archives, lowest first.
pub struct SavedImage {
    /// The configuration.
    pub config: ImageConfig,
    layers: Vec<PathBuf>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    config: PathBuf,
    layers: Vec<PathBuf>,
}

impl SavedImage {
    /// Unpacks an archive with one image into an empty folder.
    ///
    /// # Errors
    /// An archive that is damaged or holds anything else.
    pub fn open(archive: &Path, folder: &Path) -> Result<SavedImage> {
        let failed = || "cannot read an engine's archive of an image".to_owned();
        let file = BufReader::with_capacity(1 << 18, File::open(archive).or_environment(failed)?);
        unpack(file, folder, &Limits::default()).context(failed)?;
        let listed: Vec<Listed> = document(folder, Path::new("manifest.json"))?;
        let [Listed { config, layers }] = &listed[..] else {
            return Err(Error::environment(failed()).because(format!("it has {} images", listed.len())));
        };
        let config: ImageConfig = document(folder, config)?;
        if config.rootfs.diff_ids.len() != layers.len() {
            return Err(Error::environment(failed()).because("its configuration is of other layers"));
        }
        let layers = layers.iter().map(|layer| inside(folder, layer)).collect::<Result<_>>()?;
        Ok(SavedImage { config, layers })
    }

    /// How many layers it has.
    pub fn layers(&self) -> usize {
        self.layers.len()
    }

    /// Its layers, lowest first: the digest that each has uncompressed, and its archive, which may be compressed.
    pub(super) fn archives(&self) -> impl Iterator<Item = (Digest, &Path)> {
        self.config.rootfs.diff_ids.iter().copied().zip(self.layers.iter().map(PathBuf::as_path))
    }

    /// Unpacks its lowest layers as one, into a folder that is made.
    ///
    /// # Errors
    /// A layer that is damaged or hostile; a folder that cannot be written.
    pub fn unpack_lowest(&self, count: usize, into: &Path, scratch: &Path) -> Result<()> {
        let layers = self.layers.get(..count).ok_or_else(|| Error::bug("more layers than there are"))?;
        filesystem_folder(&MergedImage::of_archives(self.config.clone(), layers, scratch)?, into)
    }

    /// Unpacks one layer, into a folder that is made. What it takes away of those below becomes a device without a
    /// number, as an overlay file system has it.
    ///
    /// # Errors
    /// As for [`SavedImage::unpack_lowest`].
    pub fn unpack_one(&self, number: usize, into: &Path) -> Result<()> {
        let layer = self.layers.get(number).ok_or_else(|| Error::bug("a layer that is not there"))?;
        unpack(compression::any(layer)?, into, &Limits::default()).map(drop)
    }
}

/// A file of the archive's, by the name that a document gives.
fn inside(folder: &Path, name: &Path) -> Result<PathBuf> {
    let place = folder.join(name);
    let plain = name.components().all(|part| matches!(part, Component::Normal(_)));
    match plain
        && place.canonicalize().is_ok_and(|real| folder.canonicalize().is_ok_and(|folder| real.starts_with(folder)))
    {
        true => Ok(place),
        false => Err(Error::environment(format!("an engine's archive has no {}", name.display()))),
    }
}

fn document<T: serde::de::DeserializeOwned>(folder: &Path, name: &Path) -> Result<T> {
    let place = inside(folder, name)?;
    let failed = || format!("cannot read {} of an engine's archive", name.display());
    if fs::metadata(&place).or_environment(failed)?.len() > MAX_DOCUMENT {
        return Err(Error::environment(failed()).because("it is too large"));
    }
    serde_json::from_slice(&fs::read(&place).or_environment(failed)?).or_environment(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(manifest: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("saved.tar");
        let mut builder = tar::Builder::new(File::create(&path).unwrap());
        let mut add = |name: &str, bytes: &[u8]| {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, bytes).unwrap();
        };
        let layer = |names: &[&str]| {
            let mut builder = tar::Builder::new(Vec::new());
            for name in names {
                let mut header = tar::Header::new_gnu();
                header.set_size(1);
                header.set_mode(0o644);
                builder.append_data(&mut header, name, b"x".as_slice()).unwrap();
            }
            builder.into_inner().unwrap()
        };
        let id = format!("sha256:{}", "0".repeat(64));
        let config = format!(
            r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":["{id}","{id}","{id}"]}}}}"#
        );
        add("c.json", config.as_bytes());
        add("1/layer.tar", &layer(&["a", "b"]));
        add("2/layer.tar", &layer(&[".wh.a", "c"]));
        add("3/layer.tar", &layer(&[".wh.b", "d"]));
        add("manifest.json", manifest.as_bytes());
        builder.into_inner().unwrap();
        (folder, path)
    }

    #[test]
    fn layers_are_had_together_and_one_by_one() {
        let layers = r#"["1/layer.tar","2/layer.tar","3/layer.tar"]"#;
        let (folder, path) = archive(&format!(r#"[{{"Config":"c.json","RepoTags":["x:y"],"Layers":{layers}}}]"#));
        let saved = SavedImage::open(&path, &folder.path().join("unpacked")).unwrap();
        saved.unpack_lowest(2, &folder.path().join("low"), folder.path()).unwrap();
        let has = |name: &str| folder.path().join(name).symlink_metadata().is_ok();
        assert!(!has("low/a") && has("low/b") && has("low/c"));
        saved.unpack_one(2, &folder.path().join("one")).unwrap();
        let gone = folder.path().join("one/b").symlink_metadata().unwrap();
        assert!(std::os::unix::fs::FileTypeExt::is_char_device(&gone.file_type()));
        assert!(has("one/d"));
    }

    #[test]
    fn documents_name_files_of_the_archive_alone() {
        for manifest in [
            r#"[{"Config":"../c.json","Layers":[]}]"#,
            r#"[{"Config":"/etc/passwd","Layers":[]}]"#,
            r#"[{"Config":"c.json","Layers":["1/layer.tar"]}]"#,
            r#"[{"Config":"c.json","Layers":["1/layer.tar","../x","3/layer.tar"]}]"#,
            "[]",
            "{",
        ] {
            let (folder, path) = archive(manifest);
            assert!(SavedImage::open(&path, &folder.path().join("unpacked")).is_err(), "{manifest}");
        }
    }
}

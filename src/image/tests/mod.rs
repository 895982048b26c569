//! Whole images, made in temporary folders.

mod assembly;
mod base;
mod sources;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::*;
use crate::domain::{Arch, Digest, Result};

/// A context and a layout.
struct Case {
    dir: tempfile::TempDir,
    files: BTreeMap<PathBuf, PathBuf>,
    ignore: Ignore,
    threads: usize,
}

impl Case {
    fn new() -> Case {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("context")).unwrap();
        Case { dir, files: BTreeMap::new(), ignore: Ignore::default(), threads: 2 }
    }

    fn context(&self) -> PathBuf {
        self.dir.path().join("context")
    }

    fn file(self, name: &str, text: &str, mode: u32) -> Case {
        let path = self.context().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        self
    }

    fn link(self, name: &str, target: &str) -> Case {
        symlink(target, self.context().join(name)).unwrap();
        self
    }

    fn layout(&self) -> Layout {
        Layout::open(&self.dir.path().join("layout")).unwrap()
    }

    fn build_on(&self, text: &str, base: Option<&BaseImage>) -> Result<BuiltImage> {
        let cache = LayerCache::open(&self.dir.path().join("cache")).unwrap().with_threads(self.threads);
        let dir = self.context();
        let digest = |path: &Path| Ok(Digest::of(fs::read(path).unwrap()));
        let context = Context { dir: &dir, files: &self.files, ignore: &self.ignore, digest: &digest };
        assemble(&Dockerfile::parse(text)?, &context, &target(), base, &self.layout(), &cache)
    }

    fn build(&self, text: &str) -> Result<BuiltImage> {
        self.build_on(text, None)
    }

    fn config(&self, image: &BuiltImage) -> ImageConfig {
        let manifest: Manifest = self.layout().read_json(&image.manifest).unwrap();
        self.layout().read_json(&manifest.config).unwrap()
    }

    /// Entries of all layers as `path mode uid:gid [-> link]`.
    fn listing(&self, image: &BuiltImage) -> Vec<String> {
        let mut out = Vec::new();
        for layer in &image.layers {
            let file = self.layout().open_blob(&layer.descriptor).unwrap();
            let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(file));
            for entry in archive.entries().unwrap() {
                let entry = entry.unwrap();
                let header = entry.header();
                let link = entry.link_name_bytes().map(|link| format!(" -> {}", String::from_utf8_lossy(&link)));
                let (mode, uid, gid) = (header.mode().unwrap(), header.uid().unwrap(), header.gid().unwrap());
                let path = entry.path_bytes();
                let path = String::from_utf8_lossy(&path);
                assert_eq!(header.mtime().unwrap(), 1_000_000_000);
                out.push(format!("{path} {mode:o} {uid}:{gid}{}", link.unwrap_or_default()));
            }
        }
        out
    }
}

fn target() -> Target {
    Target {
        arch: Arch::Arm,
        build_arch: Arch::Amd64,
        args: BTreeMap::new(),
        labels: BTreeMap::from([("org.opencontainers.image.title".into(), "t".into()), ("own".into(), "no".into())]),
        created: 1_700_000_000,
        mtime: 1_000_000_000,
    }
}

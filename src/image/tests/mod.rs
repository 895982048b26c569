//! Whole images, made in temporary folders.

mod assembly;
mod base;
mod order;
mod sources;
mod stages;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use super::*;
use crate::domain::{Arch, ContentDigest, Digest, Error, Result};
use crate::store::Store;

/// A context and a layout.
struct Case {
    dir: tempfile::TempDir,
    files: BTreeMap<PathBuf, PathBuf>,
    ignore: Ignore,
    threads: usize,
    notes: Mutex<Vec<Note>>,
}

impl Case {
    fn new() -> Case {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("context")).unwrap();
        Case { dir, files: BTreeMap::new(), ignore: Ignore::default(), threads: 2, notes: Mutex::default() }
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

    fn store(&self) -> Store {
        Store::open(&self.dir.path().join("store")).unwrap()
    }

    /// Builds with one base image for all names; nothing can be run.
    fn build_on(&self, text: &str, base: Option<&BaseImage>) -> Result<BuiltImage> {
        let run = |request: &RunRequest| Err(Error::build(format!("nobody runs {}", request.text)));
        self.build_with(text, base, &run)
    }

    /// The same, where `run` stands for the sandbox.
    fn build_with(
        &self,
        text: &str,
        base: Option<&BaseImage>,
        run: &(dyn Fn(&RunRequest) -> Result<()> + Sync),
    ) -> Result<BuiltImage> {
        self.with(text, base, run, build)
    }

    /// Does something with what a build is asked for.
    fn with<T>(
        &self,
        text: &str,
        base: Option<&BaseImage>,
        run: &(dyn Fn(&RunRequest) -> Result<()> + Sync),
        work: impl FnOnce(&Request<'_>, &Services<'_>) -> Result<T>,
    ) -> Result<T> {
        let cache = LayerCache::open(&self.dir.path().join("cache")).unwrap().with_threads(self.threads);
        let (dir, store, layout, target) = (self.context(), self.store(), self.layout(), target());
        let digest = |path: &Path| Ok(ContentDigest::of(fs::read(path).unwrap()));
        let context =
            Context { dir: &dir, files: &self.files, ignore: &self.ignore, digest: &digest, mode: &|_, _, mode| mode };
        let request = Request {
            file: &Dockerfile::parse(text)?,
            context: &context,
            target: &target,
            steps: Steps::Remembered,
            layout: &layout,
            cache: &cache,
            folders: &Folders::new(&store, Ownership::Listed),
            name: "image/test/arm",
        };
        let services = Services {
            base: &|name, _| match base {
                Some(base) => Ok(Base::Image(Box::new(base.clone()), layout.dir().to_owned())),
                None => Err(Error::usage(format!("there is no image '{name}'"))),
            },
            run,
            fetch: &|url, _| Err(Error::environment(format!("nobody fetches {url}"))),
            repository: &|request| Err(Error::environment(format!("nobody fetches {}", request.reference))),
            secret: &|id| Ok((id == "known").then(|| b"hush".to_vec())),
            agent: &|_| Ok(None),
            tell: &|note| self.notes.lock().unwrap().push(note),
        };
        work(&request, &services)
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
        stage: None,
        args: BTreeMap::new(),
        labels: BTreeMap::from([("org.opencontainers.image.title".into(), "t".into()), ("own".into(), "no".into())]),
        created: 1_700_000_000,
        mtime: 1_000_000_000,
    }
}

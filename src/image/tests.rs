//! Whole images, made in temporary folders.

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

#[test]
fn an_image_has_what_the_dockerfile_says() {
    let case = Case::new().file("bin/router", "program", 0o700).file("etc/a", "a", 0o600).link("etc/b", "../a");
    let image = case
        .build(
            "FROM scratch\nARG TARGETARCH\nENV A=1 ARCH=$TARGETARCH\nLABEL own=yes\nWORKDIR /data/x\nCOPY bin/router /usr/bin/\n\
             COPY --chown=7 etc ./etc\nCOPY --chmod=640 etc/a z\nUSER 1000\nEXPOSE 80 53/udp\nVOLUME /v\nCMD [\"x\"]\nENTRYPOINT [\"/usr/bin/router\"]\n",
        )
        .unwrap();
    assert_eq!(
        case.listing(&image),
        [
            "data/ 755 0:0",
            "data/x/ 755 0:0",
            "usr/ 755 0:0",
            "usr/bin/ 755 0:0",
            "usr/bin/router 755 0:0",
            "data/x/etc/ 755 7:7",
            "data/x/etc/a 644 7:7",
            "data/x/etc/b 777 7:7 -> ../a",
            "data/x/z 640 0:0",
        ]
    );
    let config = case.config(&image);
    assert_eq!((config.architecture.as_str(), config.variant.as_deref()), ("arm", Some("v7")));
    let runtime = config.config;
    assert_eq!(runtime.env.unwrap()[1..], ["A=1", "ARCH=arm"]);
    assert_eq!((runtime.user.as_str(), runtime.working_dir.as_str()), ("1000", "/data/x"));
    assert_eq!(runtime.cmd.unwrap(), ["x"]);
    assert_eq!(runtime.labels.unwrap()["own"], "yes");
    assert_eq!(runtime.exposed_ports.unwrap().into_keys().collect::<Vec<_>>(), ["53/udp", "80/tcp"]);
    assert_eq!(config.history.iter().filter(|step| !step.empty_layer).count(), config.rootfs.diff_ids.len());
    assert_eq!(config.created.as_deref(), Some("2023-11-14T22:13:20Z"));
}

#[test]
fn bytes_depend_on_content_alone() {
    let long = "d/".to_owned() + &"n".repeat(200);
    let text = "FROM scratch\nCOPY . /\n";
    let mut digests = Vec::new();
    for (mode, time, threads) in [(0o644, 1, 1), (0o600, 999, 2), (0o664, 5, 5)] {
        let mut case = Case::new().file(&long, "x", mode).file("big", &"0123456789".repeat(200_000), mode);
        case.threads = threads;
        let file = fs::File::options().write(true).open(case.context().join("big")).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(time)).unwrap();
        digests.push(case.build(text).unwrap().manifest.digest);
    }
    assert!(digests.iter().all(|digest| *digest == digests[0]));
}

#[test]
fn the_digests_are_the_known_ones() {
    let case = Case::new().file("a", "alpha", 0o755).file(&"l".repeat(150), "long", 0o644).link("b", &"t/".repeat(80));
    let image = case.build("FROM scratch\nCOPY . /opt\nENTRYPOINT [\"/opt/a\"]\n").unwrap();
    let layer = &image.layers[0];
    let digests =
        [layer.diff_id, layer.descriptor.digest, image.config, image.manifest.digest].map(|digest| digest.short());
    assert_eq!(digests, ["2fc6a9430404", "37d9185316d9", "a87a072b3c50", "24fbf0aad361"]);
}

#[test]
fn names_need_not_be_utf8_nor_short() {
    use std::os::unix::ffi::OsStrExt;
    let case = Case::new();
    let mut name = vec![0xff; 120];
    name.extend(b"x");
    fs::write(case.context().join(std::ffi::OsStr::from_bytes(&name)), "x").unwrap();
    let image = case.build("FROM scratch\nCOPY . /\n").unwrap();
    let file = case.layout().open_blob(&image.layers[0].descriptor).unwrap();
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(file));
    assert_eq!(&*archive.entries().unwrap().next().unwrap().unwrap().path_bytes(), &name[..]);
}

#[test]
fn sources_stay_inside_the_context() {
    let case = Case::new()
        .file("a", "a", 0o644)
        .file("sub/a", "a", 0o644)
        .link("out", "/etc")
        .link("up", "../..")
        .link("sub/in", "../a")
        .link("loop", "loop");
    fs::write(case.dir.path().join("secret"), "secret").unwrap();
    for (source, message) in [
        ("../secret", "line 2, column 1: COPY: '../secret' leads out of the build context"),
        ("sub/../../secret", "leads out of the build context"),
        ("/etc/passwd", "'etc/passwd' is not in the build context"),
        ("out/passwd", "'out' is a symbolic link to '/etc', which is outside the build context"),
        ("up/secret", "'up' is a symbolic link to '../..', which is outside the build context"),
        ("o*t/passwd", "outside the build context"),
        ("out", "outside the build context"),
        ("loop", "too many symbolic links"),
        ("nothing", "'nothing' is not in the build context"),
        ("*.none", "no file matches *.none"),
        ("[a", "its '[' is never closed"),
    ] {
        let error = case.build(&format!("FROM scratch\nCOPY {source} /x\n")).unwrap_err();
        assert!(error.to_string().contains(message), "{source}: {error}");
    }
    let image = case.build("FROM scratch\nCOPY sub/in /x\nCOPY s?b /y/\nCOPY no[t] a /z/\n").unwrap();
    assert_eq!(
        case.listing(&image),
        ["x 644 0:0", "y/ 755 0:0", "y/a 644 0:0", "y/in 777 0:0 -> ../a", "z/ 755 0:0", "z/a 644 0:0"]
    );
}

#[test]
fn files_from_elsewhere_hide_the_context_s_own() {
    let mut case = Case::new().file("bin/router", "old", 0o644).file("bin/other", "x", 0o644).file("no", "x", 0o644);
    let program = case.dir.path().join("program");
    fs::write(&program, "new").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    case.files = BTreeMap::from([("bin/router".into(), program.clone()), ("new/dir/p".into(), program)]);
    case.ignore = Ignore::parse("bin\nno").unwrap();
    let image = case.build("FROM scratch\nCOPY . /\nCOPY new /new2\n").unwrap();
    assert_eq!(
        case.listing(&image),
        [
            "bin/ 755 0:0",
            "bin/router 755 0:0",
            "new/ 755 0:0",
            "new/dir/ 755 0:0",
            "new/dir/p 755 0:0",
            "new2/ 755 0:0",
            "new2/dir/ 755 0:0",
            "new2/dir/p 755 0:0",
        ]
    );
    let error = case.build("FROM scratch\nCOPY no /\n").unwrap_err();
    assert_eq!(error.hints(), [".dockerignore excludes it"]);
}

#[test]
fn unchanged_layers_are_not_written_again() {
    let case = Case::new().file("a", "a", 0o644).file("b", "b", 0o644);
    let text = "FROM scratch\nCOPY a /\nCOPY b /\n";
    let origins = |image: &BuiltImage| image.layers.iter().map(|layer| layer.origin).collect::<Vec<_>>();
    let first = case.build(text).unwrap();
    assert_eq!(origins(&first), [Origin::Written, Origin::Written]);
    let case = case.file("b", "c", 0o644);
    let second = case.build(text).unwrap();
    assert_eq!(origins(&second), [Origin::Reused, Origin::Written]);
    let layout = case.layout();
    fs::remove_file(layout.blob_path(&second.layers[0].descriptor.digest)).unwrap();
    assert_eq!(origins(&case.build(text).unwrap()), [Origin::Written, Origin::Reused]);
    layout.set_name("n:1", second.manifest).unwrap();
    drop(layout);
    assert!(matches!(case.layout().prune().unwrap(), Pruned::Removed { files: 3, .. }));
    assert_eq!(origins(&case.build(text).unwrap()), [Origin::Reused, Origin::Reused]);
}

#[test]
fn an_image_starts_from_another() {
    let case = Case::new().file("a", "a", 0o644).file("root/usr/lib/x", "x", 0o644).link("root/lib", "usr/lib");
    let base = case.build("FROM scratch\nCOPY root /\nENV A=1 B=2\nCMD [\"c\"]\nWORKDIR /w\n").unwrap();
    case.layout().set_name("base:1", base.manifest.clone()).unwrap();
    let found = BaseImage::find(&case.layout(), "base:1", Arch::Arm).unwrap().unwrap();
    let text = "ARG V=1\nFROM base:$V\nENV A=3\nCOPY a /lib/\nCOPY a .\nENTRYPOINT [\"e\"]\n";
    assert_eq!(base_name(&Dockerfile::parse(text).unwrap(), &target()).unwrap().as_deref(), Some("base:1"));
    let image = case.build_on(text, Some(&found)).unwrap();
    assert_eq!(image.layers[0].descriptor.digest, base.layers[0].descriptor.digest);
    // Through the link of the base's, and no folder again that the base has.
    assert_eq!(case.listing(&image)[5..], ["usr/lib/a 644 0:0", "w/a 644 0:0"]);
    let config = case.config(&image);
    assert_eq!(config.config.env.unwrap()[1..], ["A=3", "B=2"]);
    assert_eq!((config.config.cmd, config.rootfs.diff_ids.len()), (None, 4));
    let error = case.build(text).unwrap_err();
    assert!(error.to_string().contains("line 2, column 6: the base image 'base:$V' was not found"), "{error}");
}

#[test]
fn a_planted_link_is_no_blob() {
    let case = Case::new().file("a", "a", 0o644);
    let image = case.build("FROM scratch\nCOPY a /\n").unwrap();
    let path = case.layout().blob_path(&image.layers[0].descriptor.digest);
    fs::rename(&path, case.dir.path().join("elsewhere")).unwrap();
    symlink(case.dir.path().join("elsewhere"), &path).unwrap();
    let error = case.build("FROM scratch\nCOPY a /\n").unwrap_err();
    assert!(error.to_string().contains("is no plain file"), "{error}");
}

#[test]
fn names_move_and_two_writers_lose_nothing() {
    let case = Case::new().file("a", "a", 0o644);
    let image = case.build("FROM scratch\nCOPY a /\n").unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (case, image) = (&case, &image);
            scope.spawn(move || {
                for n in 0..5 {
                    case.layout().set_name(&format!("n{thread}:{n}"), image.manifest.clone()).unwrap();
                }
            });
        }
    });
    let layout = case.layout();
    assert_eq!(layout.index().unwrap().manifests.len(), 20);
    let descriptor = index(&layout, "n0:0", &[(Arch::Arm, image)]).unwrap();
    assert_eq!(layout.index().unwrap().manifests.len(), 20);
    assert_eq!(layout.find("n0:0").unwrap().unwrap().digest, descriptor.digest);
    let base = BaseImage::find(&layout, "n0:0", Arch::S390x).unwrap_err();
    assert!(base.to_string().contains("not there for linux/s390x"), "{base}");
    assert_eq!(case.layout().prune().unwrap(), Pruned::Busy);
}

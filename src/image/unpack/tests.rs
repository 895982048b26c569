//! Archives made by hand: what people's images have, and what only an attacker makes.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use super::super::layer::{Content, Device, Entries, Entry, Stamp, write_tar};
use super::*;
use crate::domain::{ContentDigest, Result};
use std::path::{Path, PathBuf};

/// An archive in the making, header by header.
#[derive(Default)]
struct Tar(Vec<u8>);

impl Tar {
    /// An entry whose size field says what the data has.
    fn entry(self, kind: u8, name: &[u8], link: &[u8], mode: u32, data: &[u8]) -> Tar {
        self.sized(kind, name, link, mode, data, data.len() as u64)
    }

    fn sized(mut self, kind: u8, name: &[u8], link: &[u8], mode: u32, data: &[u8], size: u64) -> Tar {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link);
        header.set_mode(mode);
        header.set_uid(7);
        header.set_gid(8);
        header.set_mtime(1_000);
        header.set_entry_type(tar::EntryType::new(kind));
        header.set_size(size);
        if kind == b'3' || kind == b'4' {
            header.set_device_major(5).unwrap();
            header.set_device_minor(1).unwrap();
        }
        header.set_cksum();
        self.0.extend(header.as_bytes());
        self.0.extend(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn file(self, name: &str, text: &str) -> Tar {
        self.entry(b'0', name.as_bytes(), b"", 0o644, text.as_bytes())
    }

    fn folder(self, name: &str) -> Tar {
        self.entry(b'5', name.as_bytes(), b"", 0o755, b"")
    }

    fn symlink(self, name: &str, target: &str) -> Tar {
        self.entry(b'2', name.as_bytes(), target.as_bytes(), 0o777, b"")
    }

    fn hard_link(self, name: &str, target: &str) -> Tar {
        self.entry(b'1', name.as_bytes(), target.as_bytes(), 0o644, b"")
    }

    fn pax(self, records: &[(&str, &[u8])]) -> Tar {
        self.extended(b'x', records)
    }

    fn extended(self, kind: u8, records: &[(&str, &[u8])]) -> Tar {
        let mut data = Vec::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let length = (1..9).find_map(|digits| {
                let length = rest + digits;
                (length.to_string().len() == digits).then_some(length)
            });
            data.extend(format!("{} {key}=", length.unwrap()).bytes());
            data.extend(*value);
            data.push(b'\n');
        }
        self.entry(kind, b"pax", b"", 0o644, &data)
    }

    fn bytes(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

/// A folder, with something beside it that no archive may touch.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        fs::write(place.0.path().join("outside"), "untouched").unwrap();
        place
    }

    fn root(&self) -> PathBuf {
        self.0.path().join("root")
    }

    fn unpack(&self, tar: Tar) -> Result<Entries> {
        self.limited(&tar.bytes(), &Limits::default())
    }

    fn limited(&self, bytes: &[u8], limits: &Limits) -> Result<Entries> {
        let result = unpack(bytes, &self.root(), limits);
        let beside: Vec<_> = fs::read_dir(self.0.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(beside.len(), 2, "something was written beside the root: {beside:?}");
        assert_eq!(fs::read_to_string(self.0.path().join("outside")).unwrap(), "untouched");
        result
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.root().join(name)).unwrap()
    }
}

fn text(result: Result<Entries>) -> String {
    result.expect_err("it should be refused").to_string()
}

fn refused(tar: Tar) -> String {
    text(Place::new().unpack(tar))
}

#[test]
fn what_an_archive_says_is_there() {
    let place = Place::new();
    let tar = Tar::default()
        .folder("./")
        .folder("./usr/")
        .entry(b'0', b"./usr/program", b"", 0o4755, b"text")
        .symlink("lib64", "/usr/lib64")
        .symlink("usr/up", "../etc/x")
        .hard_link("usr/again", "usr/program")
        .entry(b'6', b"pipe", b"", 0o600, b"")
        .entry(b'3', b"console", b"", 0o600, b"");
    let entries = place.unpack(tar).unwrap();
    let names: Vec<&str> = entries.keys().map(|path| path.to_str().unwrap()).collect();
    assert_eq!(names, ["", "console", "lib64", "pipe", "usr", "usr/again", "usr/program", "usr/up"]);
    let of = |name: &str| &entries[Path::new(name)];
    assert_eq!((of("usr").uid, of("usr").gid, of("usr").mtime), (7, 8, Some(1_000)));
    // The first name in order is the file, whatever the order in the archive.
    assert!(matches!(&of("usr/again").content, Content::File { digest, .. } if *digest == ContentDigest::of("text")));
    assert_eq!(of("usr/program").content, Content::HardLink("usr/again".into()));
    assert_eq!(of("usr/program").mode, 0o4755);
    assert_eq!(of("lib64").content, Content::Symlink("/usr/lib64".into()));
    assert_eq!(of("console").content, Content::CharDevice(Device { major: 5, minor: 1 }));
    assert_eq!(of("pipe").content, Content::Fifo);
    let (first, second) = (place.root().join("usr/again"), place.root().join("usr/program"));
    assert_eq!(first.metadata().unwrap().ino(), second.metadata().unwrap().ino());
    assert_eq!(first.metadata().unwrap().mtime(), 1_000);
    assert_eq!(place.root().join("usr").metadata().unwrap().mtime(), 1_000);
    assert!(place.root().join("pipe").symlink_metadata().unwrap().file_type().is_fifo());
    assert_eq!(place.read("usr/program"), "text");
}

#[test]
fn owners_and_setuid_bits_are_set_as_far_as_they_may() {
    let place = Place::new();
    place.unpack(Tar::default().entry(b'0', b"program", b"", 0o4755, b"x")).unwrap();
    let found = place.root().join("program").metadata().unwrap();
    match nix::unistd::geteuid().is_root() {
        true => assert_eq!((found.uid(), found.gid(), found.mode() & 0o7777), (7, 8, 0o4755)),
        false => assert_eq!(found.mode() & 0o7777, 0o755),
    }
}

#[test]
fn names_that_lead_out_are_refused() {
    for name in ["../outside", "a/../../outside", "/outside", "..", "a/..", "//x"] {
        assert!(refused(Tar::default().file(name, "x")).contains("leads out of the image"), "{name}");
        assert!(refused(Tar::default().hard_link("a", name)).contains("leads out of the image"), "{name}");
    }
    let long = [b"../".as_slice(), "x".repeat(200).as_bytes()].concat();
    assert!(refused(Tar::default().entry(b'L', b"long", b"", 0, &long).file("a", "x")).contains("leads out"));
    assert!(refused(Tar::default().pax(&[("path", b"../outside")]).file("a", "x")).contains("leads out"));
    assert!(refused(Tar::default().pax(&[("linkpath", b"../outside")]).hard_link("a", "b")).contains("leads out"));
}

#[test]
fn a_planted_link_is_not_written_through() {
    for target in ["..", "/", "/tmp", "../outside", "."] {
        let place = Place::new();
        let tar = Tar::default().folder("dir").symlink("dir/planted", target).file("dir/planted/file", "x");
        assert!(text(place.unpack(tar)).contains("which is a symbolic link"), "{target}");
    }
    // A file takes the place of the link; it is not written to what the link points to.
    let place = Place::new();
    let outside = place.0.path().join("outside");
    let tar = Tar::default().symlink("a", outside.to_str().unwrap()).file("a", "new");
    place.unpack(tar).unwrap();
    assert_eq!(place.read("a"), "new");
    // And so does a folder.
    let place = Place::new();
    place.unpack(Tar::default().symlink("a", "/").folder("a").file("a/b", "x")).unwrap();
    assert_eq!(place.read("a/b"), "x");
    // Neither owner nor mode nor time go through one.
    let place = Place::new();
    place.unpack(Tar::default().symlink("a", place.0.path().join("outside").to_str().unwrap())).unwrap();
    assert_ne!(place.0.path().join("outside").metadata().unwrap().mtime(), 1_000);
}

#[test]
fn links_that_climb_out_are_refused() {
    for (name, target) in [("a", ".."), ("a/b", "../.."), ("a/b", "c/../../../x"), ("a", "")] {
        assert!(refused(Tar::default().symlink(name, target)).contains("symbolic link to"), "{name} -> {target}");
    }
    for (name, target) in [("a", "."), ("a/b", ".."), ("a", "/.."), ("a", "b/.."), ("a", "a")] {
        Place::new().unpack(Tar::default().symlink(name, target)).unwrap();
    }
}

#[test]
fn links_in_a_circle_are_only_links() {
    let place = Place::new();
    let entries = place.unpack(Tar::default().symlink("a", "b").symlink("b", "a")).unwrap();
    assert_eq!(entries.len(), 2);
    assert!(
        text(Place::new().unpack(Tar::default().symlink("a", "b").symlink("b", "a").file("a/c", "x"))).contains("link")
    );
    assert!(refused(Tar::default().hard_link("a", "b").hard_link("b", "a")).contains("not there before it"));
    assert!(refused(Tar::default().file("a", "x").hard_link("a", "a")).contains("to itself"));
}

#[test]
fn hard_links_lead_to_what_was_there() {
    assert!(refused(Tar::default().folder("a").hard_link("b", "a")).contains("folder"));
    assert!(refused(Tar::default().file(".wh.a", "").hard_link("b", "a")).contains("not there"));
    // Through a link that was planted: no such name was made.
    assert!(refused(Tar::default().symlink("a", "/").hard_link("b", "a/etc/passwd")).contains("not there"));
    // What is written later under the target's name is another file.
    let place = Place::new();
    let tar = Tar::default().file("a", "first").hard_link("b", "a").hard_link("c", "a").file("a", "second");
    let entries = place.unpack(tar).unwrap();
    assert_eq!((place.read("a"), place.read("b"), place.read("c")), ("second".into(), "first".into(), "first".into()));
    assert!(matches!(entries[Path::new("b")].content, Content::File { .. }));
    assert_eq!(entries[Path::new("c")].content, Content::HardLink("b".into()));
    // The target may lie in what the link replaces.
    assert!(refused(Tar::default().file("a/b", "x").hard_link("a", "a/b")).contains("cannot make"));
    let place = Place::new();
    let entries = place.unpack(Tar::default().symlink("a", "x").hard_link("b", "a")).unwrap();
    assert_eq!(entries[Path::new("b")].content, Content::Symlink("x".into()));
}

#[test]
fn deletions_count_for_what_is_below() {
    let place = Place::new();
    let tar = Tar::default()
        .file("dir/.wh.gone", "")
        .file("here", "x")
        .file(".wh.here", "")
        .file("full/.wh..wh..opq", "")
        .file("full/new", "x")
        .folder("kept")
        .file(".wh.kept", "")
        .file(".wh.made", "")
        .file("made/x", "x")
        .file(".wh.file", "")
        .file("file", "x")
        .file(".wh..wh.plnk/1", "aufs");
    let entries = place.unpack(tar).unwrap();
    let of = |name: &str| &entries[Path::new(name)].content;
    assert_eq!(of("dir/gone"), &Content::Whiteout);
    let device = place.root().join("dir/gone").symlink_metadata().unwrap();
    assert!(device.file_type().is_char_device() && device.rdev() == 0);
    assert!(matches!(of("here"), Content::File { .. }) && matches!(of("file"), Content::File { .. }));
    for folder in ["full", "kept", "made"] {
        assert_eq!(of(folder), &Content::OpaqueDirectory, "{folder}");
        let mut value = [0; 8];
        let length = rustix::fs::getxattr(place.root().join(folder), "user.overlay.opaque", &mut value[..]).unwrap();
        assert_eq!(&value[..length], b"y");
    }
    assert_eq!(of("dir"), &Content::Directory);
    assert!(!entries.keys().any(|path| path.to_str().unwrap().contains(".wh.")), "{entries:?}");
}

#[test]
fn deletions_of_nothing_are_refused() {
    for name in [".wh.", ".wh..", ".wh...", "a/.wh...", ".wh.a/b", "a/.wh..wh..wh.b", ".wh..wh..opq/b"] {
        assert!(refused(Tar::default().file(name, "")).contains("delet"), "{name}");
    }
    let mut null = Tar::default();
    let mut header = tar::Header::new_gnu();
    header.set_path("null").unwrap();
    header.set_entry_type(tar::EntryType::Char);
    header.set_mode(0o666);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(0);
    header.set_device_major(0).unwrap();
    header.set_device_minor(0).unwrap();
    header.set_cksum();
    null.0.extend(header.as_bytes());
    assert!(refused(null).contains("0:0"));
    let overlay: &[(&str, &[u8])] = &[("SCHILY.xattr.user.overlay.opaque", b"y")];
    assert!(refused(Tar::default().pax(overlay).folder("a")).contains("user.overlay.opaque"));
    let overlay: &[(&str, &[u8])] = &[("SCHILY.xattr.trusted.overlay.redirect", b"/etc")];
    assert!(refused(Tar::default().pax(overlay).folder("a")).contains("trusted.overlay"));
}

#[test]
fn the_last_of_two_entries_counts() {
    let place = Place::new();
    let tar = Tar::default()
        .file("a", "first")
        .file("a", "second")
        .file("dir/file", "x")
        .file("dir", "now a file")
        .file("b", "x")
        .file("c/d", "x")
        .entry(b'5', b"c", b"", 0o700, b"");
    let entries = place.unpack(tar).unwrap();
    assert_eq!(
        (place.read("a"), place.read("dir"), place.read("c/d")),
        ("second".into(), "now a file".into(), "x".into())
    );
    assert_eq!(entries[Path::new("c")].mode, 0o700);
    assert!(!entries.contains_key(Path::new("dir/file")));
    assert!(refused(Tar::default().file("a", "x").file("a/b", "x")).contains("no folder"));
}

#[test]
fn a_pax_size_belongs_to_the_entry_after_it_alone() {
    // If the size were taken for the long name's header, the reader would step into the middle of the data, and find
    // the entry that is hidden there.
    let hidden = Tar::default().file("hidden", "x").bytes();
    let name = "n".repeat(120);
    let tar = Tar::default()
        .pax(&[("size", hidden.len().to_string().as_bytes())])
        .entry(b'L', b"long", b"", 0, name.as_bytes())
        .sized(b'0', b"short", b"", 0o644, &hidden, 0)
        .file("after", "x");
    let place = Place::new();
    let entries = place.unpack(tar).unwrap();
    assert_eq!(entries.keys().collect::<Vec<_>>(), [Path::new("after"), Path::new(&name)]);
    assert_eq!(fs::read(place.root().join(&name)).unwrap(), hidden);
    assert!(refused(Tar::default().pax(&[("size", b"512")]).symlink("a", "b")).contains("is no file, but has 512"));
    assert!(refused(Tar::default().extended(b'g', &[("size", b"0")]).file("a", "x")).contains("global"));
    assert!(refused(Tar::default().extended(b'g', &[("path", b"b")]).file("a", "x")).contains("global"));
    Place::new().unpack(Tar::default().extended(b'g', &[("comment", b"0")]).file("a", "x")).unwrap();
    assert!(refused(Tar::default().pax(&[("path", b"a")]).pax(&[("path", b"b")]).file("c", "x")).contains("two"));
    assert!(refused(Tar::default().pax(&[("path", b"a")])).contains("ends after"));
}

#[test]
fn an_archive_that_ends_early_is_damaged() {
    let whole = Tar::default().file("a", &"x".repeat(2000)).file("b", "y").bytes();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&whole).unwrap();
    let gzip = gzip.finish().unwrap();
    for length in [1, 10, gzip.len() / 2, gzip.len() - 9, gzip.len() - 4, gzip.len() - 1] {
        let place = Place::new();
        let cut = flate2::read::MultiGzDecoder::new(&gzip[..length]);
        let error = text(unpack(cut, &place.root(), &Limits::default()));
        assert!(error.contains("damaged") || error.contains("cannot write"), "{length}: {error}");
    }
    for length in [1, 511, 513, 1000, 2047, 2560 + 100] {
        let place = Place::new();
        place.limited(&whole[..length], &Limits::default()).expect_err("it is cut");
    }
    let mut damaged = whole.clone();
    damaged[200] ^= 1;
    assert!(text(Place::new().limited(&damaged, &Limits::default())).contains("checksum"));
}

#[test]
fn a_bomb_meets_the_limits() {
    let limits = Limits { unpacked: 1 << 20, entries: 100 };
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&Tar::default().file("a", "x").bytes()).unwrap();
    gzip.write_all(&vec![0; 64 << 20]).unwrap();
    let gzip = gzip.finish().unwrap();
    let place = Place::new();
    let error = text(unpack(flate2::read::MultiGzDecoder::new(gzip.as_slice()), &place.root(), &limits));
    assert!(error.contains("more than 1048576 bytes"), "{error}");
    let large = Tar::default().sized(b'0', b"a", b"", 0o644, b"", 1 << 40);
    assert!(
        text(Place::new().limited(&large.bytes(), &limits)).contains("1099511627776 bytes, and the limit is 1048576")
    );
    let many = (0..101).fold(Tar::default(), |tar, number| tar.folder(&format!("d{number}")));
    assert!(text(Place::new().limited(&many.bytes(), &limits)).contains("more than 100 entries"));
    let header = Tar::default().sized(b'x', b"pax", b"", 0, b"", 1 << 30);
    assert!(refused(header).contains("an extended header has 1073741824 bytes"));
    // A hole is nothing on disk, but takes forever to hash.
    let sparse = Tar::default().pax(&[
        ("GNU.sparse.major", b"0"),
        ("GNU.sparse.minor", b"1"),
        ("GNU.sparse.name", b"hole"),
        ("GNU.sparse.size", b"9000000000000000000"),
        ("GNU.sparse.map", b"0,1"),
    ]);
    assert!(text(Place::new().limited(&sparse.file("x", "x").bytes(), &limits)).contains("the limit is"));
}

#[test]
fn holes_are_zeros() {
    let expected = [b"head".as_slice(), &[0; 8188], b"tail", &[0; 100]].concat();
    let records: &[(&str, &[u8])] = &[
        ("GNU.sparse.major", b"1"),
        ("GNU.sparse.minor", b"0"),
        ("GNU.sparse.name", b"hole"),
        ("GNU.sparse.realsize", b"8296"),
    ];
    let mut stored = b"2\n0\n4\n8192\n4\n".to_vec();
    stored.resize(512, 0);
    stored.extend(b"headtail");
    let one = Tar::default().pax(records).entry(b'0', b"GNUSparseFile.0/hole", b"", 0o644, &stored);
    let records: &[(&str, &[u8])] = &[
        ("GNU.sparse.name", b"hole"),
        ("GNU.sparse.size", b"8296"),
        ("GNU.sparse.numblocks", b"2"),
        ("GNU.sparse.map", b"0,4,8192,4"),
    ];
    let map = Tar::default().pax(records).entry(b'0', b"GNUSparseFile.0/hole", b"", 0o644, b"headtail");
    let records: &[(&str, &[u8])] = &[
        ("GNU.sparse.size", b"8296"),
        ("GNU.sparse.offset", b"0"),
        ("GNU.sparse.numbytes", b"4"),
        ("GNU.sparse.offset", b"8192"),
        ("GNU.sparse.numbytes", b"4"),
    ];
    let pairs = Tar::default().pax(records).entry(b'0', b"hole", b"", 0o644, b"headtail");
    for tar in [one, map, pairs] {
        let place = Place::new();
        let entries = place.unpack(tar.file("after", "x")).unwrap();
        assert_eq!(entries.len(), 2);
        assert!(fs::read(place.root().join("hole")).unwrap() == expected);
        let Content::File { digest, .. } = &entries[Path::new("hole")].content else { panic!() };
        assert_eq!(*digest, ContentDigest::of(&expected));
    }
    for map in ["0,4,2,4", "0,4,8192", "0,4,8192,5", "8192,4,0,4", "0,4,18446744073709551615,4", "0,4,9000,4", ""] {
        let records: &[(&str, &[u8])] = &[("GNU.sparse.size", b"8296"), ("GNU.sparse.map", map.as_bytes())];
        let error = refused(Tar::default().pax(records).file("hole", "headtail"));
        assert!(error.contains("list of holes"), "{map}: {error}");
    }
}

#[test]
fn gnu_tar_agrees_about_holes_links_and_long_names() {
    let place = Place::new();
    let source = place.0.path().join("root/source");
    fs::create_dir_all(&source).unwrap();
    let file = fs::File::create(source.join("hole")).unwrap();
    file.set_len(3 << 20).unwrap();
    for piece in 0..40 {
        use std::os::unix::fs::FileExt;
        file.write_all_at(b"data", piece * 65536).unwrap();
    }
    drop(file);
    let long = "l".repeat(150) + "/" + &"m".repeat(150);
    fs::create_dir_all(source.join(&long).parent().unwrap()).unwrap();
    fs::hard_link(source.join("hole"), source.join(&long)).unwrap();
    std::os::unix::fs::symlink("t".repeat(150), source.join("link")).unwrap();
    for format in ["gnu", "pax", "oldgnu", "posix --sparse-version=0.0", "posix --sparse-version=0.1"] {
        let mut command = std::process::Command::new("tar");
        command.args(format!("-c -S --format={format} .").split(' ')).current_dir(&source);
        let archive = command.output().unwrap();
        assert!(archive.status.success());
        assert!(archive.stdout.len() < 2 << 20, "{format}: tar wrote no holes");
        let into = tempfile::tempdir().unwrap();
        let entries = unpack(archive.stdout.as_slice(), into.path(), &Limits::default()).unwrap();
        assert!(fs::read(into.path().join("hole")).unwrap() == fs::read(source.join("hole")).unwrap(), "{format}");
        assert_eq!(entries[Path::new(&long)].content, Content::HardLink("hole".into()), "{format}");
        assert_eq!(entries[Path::new("link")].content, Content::Symlink("t".repeat(150).into()));
    }
}

#[test]
fn names_are_bytes() {
    let place = Place::new();
    let strange = b"caf\xe9\n\x01 \"'";
    place.unpack(Tar::default().entry(b'0', strange, b"", 0o644, b"x")).unwrap();
    let path: &Path = Path::new(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(strange));
    assert!(place.root().join(path).is_file());
    // Three hundred characters in one component are too many for the file system, in several they are not.
    let long = "x".repeat(300);
    let error = refused(Tar::default().entry(b'L', b"long", b"", 0, long.as_bytes()).file("a", "x"));
    assert!(error.contains(&long) && error.contains("too long"), "{error}");
    let deep = vec!["d".repeat(100); 30].join("/");
    Place::new().unpack(Tar::default().entry(b'L', b"long", b"", 0, deep.as_bytes()).file("a", "x")).unwrap();
    assert!(refused(Tar::default().pax(&[("path", b"a\0b")]).file("a", "x")).contains("NUL"));
    assert!(refused(Tar::default().entry(b'Q', b"a", b"", 0, b"")).contains("unknown type 'Q'"));
}

#[test]
fn sizes_over_four_gib_are_read() {
    let size: u64 = (4 << 30) + 5;
    let limits = Limits { unpacked: 1 << 20, ..Limits::default() };
    let binary = Tar::default().sized(b'0', b"a", b"", 0o644, b"", 3 << 33);
    assert!(text(Place::new().limited(&binary.bytes(), &limits)).contains("25769803776 bytes"));
    let pax = Tar::default().pax(&[("size", size.to_string().as_bytes())]).sized(b'0', b"a", b"", 0o644, b"", 0);
    assert!(text(Place::new().limited(&pax.bytes(), &limits)).contains("4294967301 bytes"));
}

#[test]
fn attributes_are_set_and_told() {
    let place = Place::new();
    let capability = b"\x01\0\0\x02\n\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let tar = Tar::default()
        .pax(&[("SCHILY.xattr.user.note", b"a=b\nc"), ("SCHILY.xattr.security.capability", capability)])
        .file("program", "x");
    let entries = place.unpack(tar).unwrap();
    let xattrs = &entries[Path::new("program")].xattrs;
    assert_eq!(xattrs[std::ffi::OsStr::new("user.note")], b"a=b\nc");
    assert_eq!(xattrs[std::ffi::OsStr::new("security.capability")], capability);
    let mut value = [0; 64];
    let length = rustix::fs::getxattr(place.root().join("program"), "user.note", &mut value[..]).unwrap();
    assert_eq!(&value[..length], b"a=b\nc");
}

#[test]
fn what_is_packed_comes_out_again() {
    let place = Place::new();
    let file = place.0.path().join("outside");
    let metadata = file.metadata().unwrap();
    let content = Content::File { source: file, digest: ContentDigest::of("untouched"), stamp: Stamp::of(&metadata) };
    let entry = |content: Content| Entry { mtime: Some(5), ..Entry::new(content, 0o640, (3, 4)) };
    let mut first = entry(content);
    first.xattrs.insert("user.note".into(), b"\n=\n".to_vec());
    first.mode = 0o6755;
    let long: PathBuf = format!("{}/{}", "a".repeat(200), "b".repeat(200)).into();
    let mut link = first.clone();
    link.content = Content::HardLink("file".into());
    let mut symlink = entry(Content::Symlink("t".repeat(300).into()));
    symlink.mode = 0o777;
    let entries = Entries::from([
        (PathBuf::new(), entry(Content::Directory)),
        ("dir".into(), entry(Content::OpaqueDirectory)),
        ("dir/gone".into(), Entry::whiteout()),
        ("file".into(), first),
        ("link".into(), link),
        (long.parent().unwrap().to_owned(), entry(Content::Directory)),
        (long, symlink),
        ("pipe".into(), entry(Content::Fifo)),
        ("zero".into(), entry(Content::CharDevice(Device { major: 1, minor: 5 }))),
        ("disk".into(), entry(Content::BlockDevice(Device { major: 8, minor: 300 }))),
    ]);
    let mut bytes = Vec::new();
    write_tar(&entries, 0, &mut bytes).unwrap();
    let mut out = place.limited(&bytes, &Limits::default()).unwrap();
    for (path, entry) in &mut out {
        if let (Content::File { source, stamp, .. }, Content::File { source: new, stamp: mark, .. }) =
            (&mut entry.content, &entries[path].content)
        {
            source.clone_from(new);
            *stamp = *mark;
        }
    }
    assert_eq!(out, entries);
}

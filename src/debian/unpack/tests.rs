use super::*;
use crate::debian::ar::tests::archive;
use crate::domain::Digest;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use tar::EntryType;

/// One entry as it stands in an archive, with whatever name and link.
#[derive(Clone, Copy)]
struct Item<'a>(EntryType, &'a str, &'a str, u32);

const DIRECTORY: Item = Item(EntryType::Directory, "./usr/", "", 0o755);

fn tar(items: &[Item]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for Item(kind, name, content, mode) in items {
        let mut header = tar::Header::new_gnu();
        let is_link = matches!(kind, EntryType::Symlink | EntryType::Link);
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(if is_link { 0 } else { content.len() as u64 });
        header.set_entry_type(*kind);
        header.set_mode(*mode);
        header.set_mtime(1000);
        header.set_uid(0);
        header.set_gid(0);
        if is_link {
            header.as_old_mut().linkname[..content.len()].copy_from_slice(content.as_bytes());
        }
        header.set_cksum();
        bytes.extend(header.as_bytes());
        if !is_link {
            bytes.extend(content.as_bytes());
            bytes.resize(bytes.len().next_multiple_of(512), 0);
        }
    }
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = xz2::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn control(more: &[Item]) -> Vec<u8> {
    let text = "Package: sample\nVersion: 1:2\nArchitecture: amd64\nMulti-Arch: same\nDescription: x\n";
    let mut items =
        vec![Item(EntryType::Directory, "./", "", 0o755), Item(EntryType::Regular, "./control", text, 0o644)];
    items.extend(more);
    xz(&tar(&items))
}

fn deb(items: &[Item]) -> Vec<u8> {
    let data = xz(&tar(items));
    archive(&[("debian-binary", b"2.0\n"), ("control.tar.xz", &control(&[])), ("data.tar.xz", &data)])
}

struct Case {
    directory: tempfile::TempDir,
    limits: Limits,
}

impl Case {
    fn new() -> Case {
        Case { directory: tempfile::tempdir().unwrap(), limits: Limits { unpacked: 1 << 20, control: 1 << 16 } }
    }

    fn root(&self) -> PathBuf {
        self.directory.path().join("root")
    }

    fn package(bytes: &[u8]) -> Package {
        Package {
            name: "sample".parse().unwrap(),
            version: "1:2".into(),
            architecture: "amd64".into(),
            digest: Digest::of(bytes),
            size: bytes.len() as u64,
            url: "http://m/sample".into(),
            file_name: "sample_1%3a2_amd64.deb".into(),
        }
    }

    fn unpack_as(&self, bytes: &[u8], package: &Package) -> Result<()> {
        let path = self.directory.path().join("sample.deb");
        fs::write(&path, bytes).unwrap();
        let unpacking = Unpacking::new(&self.root(), Vec::new(), Ownership::Ignore, self.limits)?;
        let unpacked = unpacking.unpack(package, &path)?;
        unpacking.complete(&[unpacked], "")
    }

    fn unpack(&self, bytes: &[u8]) -> Result<()> {
        self.unpack_as(bytes, &Case::package(bytes))
    }

    /// The message of the error that there must be, with nothing written beside the root.
    fn refused(&self, bytes: &[u8]) -> String {
        let message = self.unpack(bytes).expect_err("it must be refused").to_string();
        let mut names: Vec<_> = fs::read_dir(self.directory.path())
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["root", "sample.deb"]);
        assert!(message.contains("sample.deb: "), "{message}");
        message
    }
}

#[test]
fn a_good_package_comes_out_merged_with_its_database() {
    let case = Case::new();
    let data = xz(&tar(&[
        Item(EntryType::Directory, "./", "", 0o755),
        Item(EntryType::Directory, "./bin/", "", 0o755),
        Item(EntryType::Regular, "./bin/su", "su", 0o4755),
        Item(EntryType::Link, "./usr/bin/su2", "./bin/su", 0o4755),
        Item(EntryType::Symlink, "./bin/su3", "/lib64/su", 0o777),
        Item(EntryType::Regular, "./lib64/ld.so", "ld", 0o755),
        Item(EntryType::Directory, "./var/secret/", "", 0o500),
        Item(EntryType::Regular, "./var/secret/key", "k", 0o400),
        Item(EntryType::Regular, "./etc/sample", "conf", 0o644),
        Item(EntryType::Regular, "./usr/share/doc/sample/NEWS", "long", 0o644),
    ]));
    let control = control(&[
        Item(EntryType::Regular, "./conffiles", "remove-on-upgrade /etc/old\n/etc/sample\n", 0o644),
        Item(EntryType::Regular, "./postinst", "#!/bin/sh\n", 0o755),
        Item(EntryType::Regular, "./triggers", "interest-noawait ldconfig\n", 0o644),
    ]);
    let bytes = archive(&[("debian-binary", b"2.0\n"), ("control.tar.xz", &control), ("data.tar.xz", &data)]);
    case.unpack(&bytes).unwrap();
    let read = |name: &str| fs::read_to_string(case.root().join(name)).unwrap();
    let metadata = fs::metadata(case.root().join("usr/bin/su")).unwrap();
    assert_eq!((metadata.mode() & 0o7777, metadata.mtime(), metadata.nlink()), (0o4755, 1000, 2));
    assert_eq!(fs::read_link(case.root().join("usr/bin/su3")).unwrap(), Path::new("/lib64/su"));
    for name in ["bin", "lib64"] {
        assert_eq!(fs::read_link(case.root().join(name)).unwrap(), Path::new("usr").join(name));
    }
    assert_eq!(fs::metadata(case.root().join("var/secret")).unwrap().mode() & 0o7777, 0o500);
    assert_eq!((read("usr/lib64/ld.so").as_str(), read("etc/sample.dpkg-new").as_str()), ("ld", "conf"));
    assert!(!case.root().join("usr/share/doc/sample/NEWS").exists());
    let list = read("var/lib/dpkg/info/sample:amd64.list");
    assert!(list.starts_with("/.\n/bin\n/bin/su\n/usr/bin/su2\n"), "{list}");
    assert!(list.contains("/usr/share/doc/sample/NEWS\n"), "{list}");
    assert_eq!(
        fs::metadata(case.root().join("var/lib/dpkg/info/sample:amd64.postinst")).unwrap().mode() & 0o777,
        0o755
    );
    assert_eq!(read("var/lib/dpkg/triggers/ldconfig"), "sample:amd64/noawait\n");
    assert_eq!(
        read("var/lib/dpkg/status"),
        "Package: sample\nStatus: install ok unpacked\nVersion: 1:2\nArchitecture: amd64\nMulti-Arch: same\n\
         Description: x\nConffiles:\n /etc/sample newconffile\n\n"
    );
}

#[test]
fn entries_that_leave_the_root_are_refused() {
    let outside = Item(EntryType::Symlink, "./usr/out", "/", 0o777);
    for (items, rule) in [
        (vec![Item(EntryType::Regular, "../evil", "x", 0o644)], "leads upwards"),
        (vec![Item(EntryType::Regular, "./usr/../../evil", "x", 0o644)], "leads upwards"),
        (vec![Item(EntryType::Regular, "/evil", "x", 0o644)], "is absolute"),
        (vec![Item(EntryType::Link, "./usr/evil", "../sample.deb", 0o644)], "leads upwards"),
        (vec![Item(EntryType::Link, "./usr/evil", "/etc/passwd", 0o644)], "is absolute"),
        (vec![outside, Item(EntryType::Regular, "./usr/out/evil", "x", 0o644)], "a link or a file"),
        (vec![outside, Item(EntryType::Directory, "./usr/out/evil/", "", 0o755)], "a link or a file"),
        (vec![outside, Item(EntryType::Directory, "./usr/out/", "", 0o755)], "a link or a file"),
        (vec![outside, Item(EntryType::Link, "./usr/evil", "./usr/out/etc/passwd", 0o644)], "a link or a file"),
        (vec![outside, Item(EntryType::Regular, "./usr/out", "x", 0o644)], "another entry or package has too"),
        (vec![Item(EntryType::Symlink, "./var/lib/dpkg", "/", 0o777)], "a link or a file"),
        (vec![Item(EntryType::Regular, "./", "x", 0o644)], "the root itself"),
    ] {
        let items: Vec<Item> = [DIRECTORY].into_iter().chain(items).collect();
        let message = Case::new().refused(&deb(&items));
        assert!(message.contains(rule), "{message}");
    }
}

#[test]
fn devices_are_refused() {
    for kind in [EntryType::Char, EntryType::Block, EntryType::Fifo] {
        let message = Case::new().refused(&deb(&[Item(kind, "./dev/x", "", 0o644)]));
        assert!(message.contains("/dev/x"), "{message}");
    }
}

#[test]
fn damage_is_seen_wherever_it_is() {
    let good = deb(&[DIRECTORY, Item(EntryType::Regular, "./usr/a", "x", 0o644)]);
    for length in 0..good.len() {
        assert!(Case::new().unpack(&good[..length]).is_err(), "{length}");
    }
    let mut other = good.clone();
    let last = other.len() - 20;
    other[last] ^= 1;
    let message = Case::new().unpack_as(&other, &Case::package(&good)).unwrap_err().to_string();
    assert!(message.contains("has the digest sha256:"), "{message}");
    assert!(Case::new().unpack(&other).is_err());
}

#[test]
fn lying_sizes_are_seen() {
    let good = deb(&[DIRECTORY]);
    let header = good.windows(11).position(|window| window == b"data.tar.xz").unwrap();
    let size: usize = std::str::from_utf8(&good[header + 48..header + 58]).unwrap().trim().parse().unwrap();
    for lie in [size - 4, size + 4, size + 1_000_000, 9_999_999_999] {
        let mut bytes = good.clone();
        bytes[header + 48..header + 58].copy_from_slice(format!("{lie:<10}").as_bytes());
        assert!(Case::new().unpack(&bytes).is_err(), "{lie}");
    }
}

#[test]
fn bombs_stop_at_the_limit() {
    let zeros = "\0".repeat(2 << 20);
    let message = Case::new().refused(&deb(&[DIRECTORY, Item(EntryType::Regular, "./usr/a", &zeros, 0o644)]));
    assert!(message.contains("more than the limit"), "{message}");
    let control = control(&[Item(EntryType::Regular, "./postinst", &zeros, 0o755)]);
    let data = xz(&tar(&[DIRECTORY]));
    let bytes = archive(&[("debian-binary", b"2.0\n"), ("control.tar.xz", &control), ("data.tar.xz", &data)]);
    let message = Case::new().refused(&bytes);
    assert!(message.contains("more than the limit"), "{message}");
}

#[test]
fn other_formats_and_packages_are_told_apart() {
    let (control_part, data) = (control(&[]), xz(&tar(&[DIRECTORY])));
    let version: (&str, &[u8]) = ("debian-binary", b"2.0\n");
    for (members, words) in [
        (vec![version, ("control.tar.zst", b"")], "Debian package"),
        (
            vec![version, ("control.tar.xz", &control_part[..]), ("data.tar.zst", b"")],
            "data.tar.zst, which xbuild cannot",
        ),
        (vec![version, ("control.tar.xz", &control_part[..])], "no data.tar"),
        (vec![version, ("control.tar.xz", &control_part[..]), ("data.tar.xz", &data), ("x", b"")], "the member 'x'"),
        (vec![("debian-binary", b"3.0\n")], "version 2"),
        (vec![], "empty archive"),
    ] {
        let message = Case::new().unpack(&archive(&members)).unwrap_err();
        let told = format!("{message} {:?}", message.hints());
        assert!(told.contains(words) || words == "Debian package" && told.contains("zst"), "{told}");
    }
    let message = Case::new().refused(b"<html>404</html>");
    assert!(message.contains("is not a Debian package"), "{message}");
    let good = deb(&[DIRECTORY]);
    let package = Package { version: "3".into(), ..Case::package(&good) };
    assert!(Case::new().unpack_as(&good, &package).unwrap_err().to_string().contains("says Version"));
}

#[test]
fn control_names_are_no_paths() {
    for name in ["./../postinst", "./a/b", "./list", "./.x", "./-x"] {
        let control = control(&[Item(EntryType::Regular, name, "x", 0o644)]);
        let bytes = archive(&[("debian-binary", b"2.0\n"), ("control.tar.xz", &control)]);
        assert!(Case::new().refused(&bytes).contains("in control.tar"), "{name}");
    }
}

#[test]
fn sparse_files_are_refused() {
    assert!(Case::new().unpack(&deb(&[Item(EntryType::GNUSparse, "./usr/x", "", 0o644)])).is_err());
}

//! Programs of this machine, in images made of some of its files.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::*;
use crate::domain::Arch;
use crate::image::{Descriptor, ImageConfig, Layout, Manifest, MergedImage, media_type};
use crate::verify::Facts;

/// An image of files: names inside, and their bytes.
fn image(dir: &Path, files: &[(&str, Vec<u8>)]) -> MergedImage {
    let layout = Layout::open(&dir.join("layout")).unwrap();
    let mut builder = tar::Builder::new(layout.blob_writer().unwrap());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o755);
        header.set_size(bytes.len() as u64);
        builder.append_data(&mut header, name, bytes.as_slice()).unwrap();
    }
    let mut writer = builder.into_inner().unwrap();
    writer.flush().unwrap();
    let (digest, size) = writer.complete().unwrap();
    let config = layout.write_json(media_type::CONFIG, &ImageConfig::scratch(Arch::host().unwrap())).unwrap();
    let layers = vec![Descriptor::new(media_type::LAYER, digest, size)];
    let manifest = layout.write_json(media_type::MANIFEST, &Manifest::new(config, layers)).unwrap();
    MergedImage::read(&layout, &manifest, dir).unwrap()
}

/// A dynamic program of this machine, and the files that its loader really takes.
fn sample() -> (Facts, String, Vec<PathBuf>) {
    let output = std::process::Command::new("ldd").arg("/bin/ls").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let paths = text.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from).collect();
    let facts = Facts::read(&fs::read("/bin/ls").unwrap()).unwrap();
    let interpreter = facts.interpreter.clone().unwrap();
    (facts, interpreter, paths)
}

fn inside(path: &Path) -> String {
    path.strip_prefix("/").unwrap().to_str().unwrap().to_owned()
}

#[test]
fn what_the_loader_needs_is_named_when_it_is_missing() {
    let arch = Arch::host().unwrap();
    let (facts, interpreter, paths) = sample();
    let read = |path: &Path| (inside(path), fs::read(path).unwrap());
    let all: Vec<(String, Vec<u8>)> = paths.iter().map(|path| read(path)).collect();
    let without = |name: &str| -> Vec<String> {
        let files: Vec<(&str, Vec<u8>)> = all
            .iter()
            .filter(|(path, _)| !path.ends_with(name))
            .map(|(path, bytes)| (path.as_str(), bytes.clone()))
            .collect();
        let dir = tempfile::tempdir().unwrap();
        missing(&facts, Path::new("bin/ls"), arch, &image(dir.path(), &files))
    };
    assert_eq!(without("nothing"), Vec::<String>::new());
    let lacks = without("libc.so.6");
    assert!(lacks[0].contains("libc.so.6, which /bin/ls needs, is not in the image"), "{lacks:?}");
    let linker = Path::new(&interpreter).file_name().unwrap().to_str().unwrap();
    assert!(without(linker).iter().any(|text| text.contains(&interpreter)));

    // A library for another machine is none, and an older C library lacks versions.
    let damage = |change: fn(&mut Vec<u8>)| -> Vec<String> {
        let files: Vec<(&str, Vec<u8>)> = all
            .iter()
            .map(|(path, bytes)| {
                let mut bytes = bytes.clone();
                if path.ends_with("libc.so.6") {
                    change(&mut bytes);
                }
                (path.as_str(), bytes)
            })
            .collect();
        let dir = tempfile::tempdir().unwrap();
        missing(&facts, Path::new("bin/ls"), arch, &image(dir.path(), &files))
    };
    assert!(damage(|bytes| bytes[18] ^= 0x55)[0].contains("libc.so.6"));
    let older = damage(|bytes| {
        let places: Vec<usize> =
            bytes.windows(7).enumerate().filter(|(_, w)| w == b"\0GLIBC_").map(|(at, _)| at).collect();
        places.into_iter().for_each(|at| bytes[at + 1] = b'X');
    });
    assert!(older.iter().any(|text| text.contains("libc.so.6 of the image has no GLIBC_2.")), "{older:?}");
}

#[test]
fn folders_of_the_configuration_count() {
    let arch = Arch::host().unwrap();
    let (facts, _, paths) = sample();
    let mut files: Vec<(String, Vec<u8>)> = vec![
        ("etc/ld.so.conf".into(), b"# comment\ninclude ld.so.conf.d/*.conf\n".to_vec()),
        ("etc/ld.so.conf.d/own.conf".into(), b"/opt/own # here\n".to_vec()),
    ];
    for path in &paths {
        let name = path.file_name().unwrap().to_str().unwrap();
        let place = if name.starts_with("ld-") { inside(path) } else { format!("opt/own/{name}") };
        files.push((place, fs::read(path).unwrap()));
    }
    let borrow = |files: &[(String, Vec<u8>)]| -> Vec<String> {
        let files: Vec<(&str, Vec<u8>)> = files.iter().map(|(path, bytes)| (path.as_str(), bytes.clone())).collect();
        let dir = tempfile::tempdir().unwrap();
        missing(&facts, Path::new("bin/ls"), arch, &image(dir.path(), &files))
    };
    assert_eq!(borrow(&files), Vec::<String>::new());
    assert!(!borrow(&files[1..]).is_empty(), "nothing leads to the folder");
    let mut own = facts.clone();
    own.rpath = vec!["$ORIGIN/../opt/own".into()];
    let mut rest: Vec<(&str, Vec<u8>)> =
        files[2..].iter().map(|(path, bytes)| (path.as_str(), bytes.clone())).collect();
    // Without the folder of the program nothing is beside it.
    rest.push(("bin/ls", Vec::new()));
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(missing(&own, Path::new("bin/ls"), arch, &image(dir.path(), &rest)), Vec::<String>::new());
}

#[test]
fn a_program_of_another_architecture_never_fits() {
    let (mut facts, ..) = sample();
    let host = Arch::host().unwrap();
    let other = Arch::ALL.into_iter().find(|arch| *arch != host).unwrap();
    let dir = tempfile::tempdir().unwrap();
    facts.linkage = Some(crate::verify::Linkage::Static);
    let lacks = missing(&facts, Path::new("ls"), other, &image(dir.path(), &[]));
    assert_eq!(lacks, [format!("it is for {host}, and the image for {other}")]);
}

#[test]
fn static_programs_need_nothing() {
    let (mut facts, ..) = sample();
    facts.linkage = Some(crate::verify::Linkage::Static);
    let dir = tempfile::tempdir().unwrap();
    assert!(missing(&facts, Path::new("ls"), Arch::host().unwrap(), &image(dir.path(), &[])).is_empty());
}

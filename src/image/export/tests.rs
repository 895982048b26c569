//! Layers that rewrite one another, and what is left of them.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::*;
use crate::domain::{Arch, Digest};
use crate::image::{Descriptor, ImageConfig, Layout, Manifest, MergedImage, media_type};

/// A layout with an image of hand-made layers.
struct Case {
    dir: tempfile::TempDir,
    layers: Vec<(Descriptor, Digest)>,
}

fn entry(kind: u8, name: &str, link: &str, data: &str) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_path(name).unwrap();
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_mode(if kind == b'5' { 0o755 } else { 0o640 });
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(77);
    header.set_entry_type(tar::EntryType::new(kind));
    header.set_size(data.len() as u64);
    header.set_cksum();
    let mut bytes = [header.as_bytes().as_slice(), data.as_bytes()].concat();
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

impl Case {
    fn new() -> Case {
        Case { dir: tempfile::tempdir().unwrap(), layers: Vec::new() }
    }

    fn layout(&self) -> Layout {
        Layout::open(&self.dir.path().join("layout")).unwrap()
    }

    fn layer(mut self, entries: &[Vec<u8>]) -> Case {
        let bytes = [entries.concat(), vec![0; 1024]].concat();
        let mut writer = self.layout().blob_writer().unwrap();
        writer.write_all(&bytes).unwrap();
        let (digest, size) = writer.complete().unwrap();
        self.layers.push((Descriptor::new(media_type::LAYER, digest, size), digest));
        self
    }

    fn manifest(&self) -> Descriptor {
        let mut config = ImageConfig::scratch(Arch::Amd64);
        config.config.entrypoint = Some(vec!["/program".into()]);
        config.config.env = Some(vec!["A=b".into()]);
        config.rootfs.diff_ids = self.layers.iter().map(|(_, diff_id)| *diff_id).collect();
        let config = self.layout().write_json(media_type::CONFIG, &config).unwrap();
        let layers = self.layers.iter().map(|(layer, _)| layer.clone()).collect();
        self.layout().write_json(media_type::MANIFEST, &Manifest::new(config, layers)).unwrap()
    }

    fn merged(&self) -> MergedImage {
        MergedImage::read(&self.layout(), &self.manifest(), self.dir.path()).unwrap()
    }
}

fn three() -> Case {
    Case::new()
        .layer(&[
            entry(b'0', "a", "", "first"),
            entry(b'1', "b", "a", ""),
            entry(b'1', "c", "a", ""),
            entry(b'0', "full/old", "", "x"),
            entry(b'0', "dir/gone", "", "x"),
            entry(b'0', "dir/kept", "", "x"),
            entry(b'0', "turns/below", "", "x"),
            entry(b'2', "link", "/dir", ""),
        ])
        .layer(&[
            entry(b'0', "a", "", "second"),
            entry(b'0', "dir/.wh.gone", "", ""),
            entry(b'0', "full/.wh..wh..opq", "", ""),
            entry(b'0', "full/new", "", "x"),
            entry(b'0', "turns", "", "now a file"),
        ])
        .layer(&[entry(b'0', ".wh.never", "", ""), entry(b'0', "b2", "", "x"), entry(b'1', "b3", "b2", "")])
}

#[test]
fn layers_come_together_as_a_container_sees_them() {
    let case = three();
    let image = case.merged();
    let names: Vec<&str> = image.entries.keys().map(|path| path.to_str().unwrap()).collect();
    let expected = ["a", "b", "b2", "b3", "c", "dir", "dir/kept", "full", "full/new", "link", "turns"];
    assert_eq!(names, expected);
    let folder = case.dir.path().join("folder");
    filesystem_folder(&image, &folder).unwrap();
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    // The name that was rewritten is another file; the others are still one.
    assert_eq!((read("a"), read("b"), read("c")), ("second".into(), "first".into(), "first".into()));
    let inode = |name: &str| folder.join(name).metadata().unwrap().ino();
    assert_eq!(inode("b"), inode("c"));
    assert_eq!(inode("b2"), inode("b3"));
    assert_eq!(read("turns"), "now a file");
    assert_eq!(folder.join("a").metadata().unwrap().mode() & 0o7777, 0o640);
    assert_eq!(folder.join("a").metadata().unwrap().mtime(), 77);
    assert_eq!(image.find(Path::new("/link/kept"), true).unwrap().0, Path::new("dir/kept"));
    assert!(image.find(Path::new("/link/none"), true).is_none());
    assert_eq!(fs::read_to_string(image.file(Path::new("/c")).unwrap()).unwrap(), "first");
    assert!(filesystem_folder(&image, &folder).is_err(), "the folder is not empty");
}

#[test]
fn a_file_system_has_one_archive() {
    let case = three();
    let archive = || {
        let mut bytes = Vec::new();
        filesystem_tar(&case.merged(), &mut bytes).unwrap();
        bytes
    };
    let first = archive();
    assert!(first == archive());
    let into = tempfile::tempdir().unwrap();
    fs::write(into.path().join("a.tar"), &first).unwrap();
    let listed = std::process::Command::new("tar").args(["-tf", "a.tar"]).current_dir(into.path()).output().unwrap();
    assert!(listed.status.success());
    assert_eq!(String::from_utf8(listed.stdout).unwrap().lines().count(), 11);
}

#[test]
fn images_share_layers_in_docker_s_archive() {
    let case = three();
    let image = NamedImage { manifest: case.manifest(), names: vec!["example/a:1".into(), "example/a:2".into()] };
    let other = NamedImage { names: vec!["example/b:1".into()], ..image.clone() };
    let mut bytes = Vec::new();
    docker_archive(&case.layout(), &[image, other], &mut bytes).unwrap();
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(bytes.as_slice()).entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut data = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut data).unwrap();
        assert!(files.insert(entry.path().unwrap().display().to_string(), data).is_none(), "written twice");
    }
    assert_eq!(files.len(), 3 + 1 + 1);
    let list: serde_json::Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
    assert_eq!(list[0]["RepoTags"], serde_json::json!(["example/a:1", "example/a:2"]));
    assert_eq!(list[1]["RepoTags"], serde_json::json!(["example/b:1"]));
    assert!(files.contains_key(list[0]["Config"].as_str().unwrap()));
    for layer in list[0]["Layers"].as_array().unwrap() {
        assert!(files.contains_key(layer.as_str().unwrap()));
    }
}

#[test]
fn an_oci_archive_holds_what_is_named() {
    let case = three();
    case.layout().set_name("example/a:1", case.manifest()).unwrap();
    let mut bytes = Vec::new();
    oci_archive(&case.layout(), &["example/a:1".into()], &mut bytes).unwrap();
    let into = tempfile::tempdir().unwrap();
    tar::Archive::new(bytes.as_slice()).unpack(into.path()).unwrap();
    let layout = Layout::open(into.path()).unwrap();
    let manifest = layout.find("example/a:1").unwrap().unwrap();
    MergedImage::read(&layout, &manifest, case.dir.path()).unwrap();
    assert!(oci_archive(&case.layout(), &["example/none:1".into()], std::io::sink()).is_err());
}

#[test]
fn a_plugin_is_a_root_and_a_description() {
    let case = three();
    let description = case.dir.path().join("plugin.json");
    fs::write(&description, r#"{"description": "d", "interface": {"types": [], "socket": "s"}, "workdir": "/w"}"#)
        .unwrap();
    let into = case.dir.path().join("plugin");
    plugin_folder(&case.merged(), &description, &into).unwrap();
    let config: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(into.join("config.json")).unwrap()).unwrap();
    assert_eq!(config["entrypoint"], serde_json::json!(["/program"]));
    assert_eq!(config["env"][0]["name"], "A");
    assert_eq!(config["workdir"], "/w");
    assert!(into.join("rootfs/dir/kept").is_file());
    for text in ["{}", "[]", "{", r#"{"interface": 1}"#] {
        fs::write(&description, text).unwrap();
        assert!(plugin_folder(&case.merged(), &description, &case.dir.path().join("other")).is_err(), "{text}");
    }
}

#[test]
fn a_hostile_layer_is_told_by_its_digest() {
    let case = Case::new().layer(&[entry(b'2', "a", "/", ""), entry(b'0', "a/b", "", "x")]);
    let error = MergedImage::read(&case.layout(), &case.manifest(), case.dir.path()).err().unwrap().to_string();
    assert!(error.contains("layer sha256:") && error.contains("symbolic link"), "{error}");
}

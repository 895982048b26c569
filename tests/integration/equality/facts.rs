//! What is true of an image, read from its blobs: one text per fact, so that two images can be compared.
//!
//! This reads archives and configurations by itself: nothing of xbuild's own judges xbuild.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::Path;

use serde_json::Value;
use sha2::{Digest, Sha256};

/// Facts by name: `/etc/passwd mode`, `config.Env`, `layers`.
pub(crate) type Facts = BTreeMap<String, String>;

/// Something in the file tree.
#[derive(Debug, Clone)]
struct Node {
    facts: BTreeMap<String, String>,
    mtime: u64,
    /// The same for all names of one file.
    inode: usize,
}

/// An image's file tree, from its layers.
#[derive(Debug, Default)]
struct Tree {
    nodes: BTreeMap<String, Node>,
    inodes: usize,
}

/// The facts of an image, and the modification times of its paths.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) facts: Facts,
    pub(super) times: BTreeMap<String, u64>,
}

impl Image {
    /// Reads what `docker save` has written.
    pub(super) fn saved(archive: &Path) -> Image {
        let mut files = BTreeMap::new();
        let mut archive = tar::Archive::new(fs::File::open(archive).expect("a saved image"));
        for entry in archive.entries().expect("an archive") {
            let mut entry = entry.expect("an entry");
            let path = entry.path().expect("a path").to_string_lossy().into_owned();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).expect("its content");
            files.insert(path, bytes);
        }
        let manifest: Value = serde_json::from_slice(&files["manifest.json"]).expect("JSON");
        let file = |name: &Value| &files[name.as_str().expect("a name")];
        let layers = manifest[0]["Layers"].as_array().expect("layers");
        Image::new(
            &serde_json::from_slice(file(&manifest[0]["Config"])).expect("JSON"),
            layers.iter().map(|layer| file(layer).clone()),
        )
    }

    /// Reads what `docker image inspect` tells of an image without layers, whose history has so many steps.
    pub(super) fn inspected(text: &str, steps: usize) -> Image {
        let inspected: Value = serde_json::from_str(text).expect("JSON");
        let inspected = &inspected[0];
        assert!(inspected["RootFS"]["Layers"].is_null(), "layers in {inspected}");
        let step = serde_json::json!({ "empty_layer": true });
        let config = serde_json::json!({
            "architecture": inspected["Architecture"],
            "os": inspected["Os"],
            "variant": inspected["Variant"],
            "author": inspected["Author"],
            "config": inspected["Config"],
            "history": vec![step; steps],
        });
        Image::new(&config, std::iter::empty())
    }

    /// Reads the image of a name from an OCI layout; its index lists one manifest.
    pub(crate) fn in_layout(layout: &Path, name: &str) -> Image {
        let index: Value = json(&layout.join("index.json"));
        let named = |manifest: &&Value| manifest["annotations"]["org.opencontainers.image.ref.name"] == name;
        let blob = |descriptor: &Value| {
            let digest = descriptor["digest"].as_str().expect("a digest").replace(':', "/");
            layout.join("blobs").join(digest)
        };
        let found = index["manifests"].as_array().expect("manifests").iter().find(named);
        let mut manifest = json(&blob(found.unwrap_or_else(|| panic!("no image {name} in {index}"))));
        if let Some(manifests) = manifest["manifests"].as_array() {
            manifest = json(&blob(&manifests[0]));
        }
        let layers: Vec<Vec<u8>> = manifest["layers"]
            .as_array()
            .expect("layers")
            .iter()
            .map(|layer| fs::read(blob(layer)).expect("a blob"))
            .collect();
        Image::new(&json(&blob(&manifest["config"])), layers.into_iter())
    }

    fn new(config: &Value, layers: impl Iterator<Item = Vec<u8>>) -> Image {
        let mut facts = config_facts(config);
        let mut tree = Tree::default();
        let (mut count, mut with_content) = (0, 0);
        for bytes in layers {
            count += 1;
            let paths = if bytes.starts_with(&[0x1f, 0x8b]) {
                tree.add(flate2::read::MultiGzDecoder::new(bytes.as_slice()))
            } else {
                tree.add(bytes.as_slice())
            };
            let paths: Vec<String> = paths.into_iter().collect();
            if !paths.is_empty() {
                with_content += 1;
                facts.insert(format!("layer {with_content}"), paths.join(" "));
            }
        }
        facts.insert("layers".into(), count.to_string());
        let times = tree.nodes.iter().map(|(path, node)| (path.clone(), node.mtime)).collect();
        tree.tell(&mut facts);
        Image { facts, times }
    }
}

fn json(path: &Path) -> Value {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

impl Tree {
    /// Puts a layer on top; the paths that it names, without folders that are as they were.
    fn add(&mut self, layer: impl Read) -> BTreeSet<String> {
        let (mut named, mut seen) = (BTreeSet::new(), BTreeSet::new());
        let mut new = BTreeSet::new();
        let mut archive = tar::Archive::new(layer);
        for entry in archive.entries().expect("an archive") {
            let mut entry = entry.expect("an entry");
            let bytes = entry.path_bytes().into_owned();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let path = format!("/{}", text.trim_start_matches("./").trim_matches('/'));
            assert!(seen.insert(path.clone()), "{path} is twice in one layer");
            let (folder, name) = path.rsplit_once('/').expect("a slash");
            if name == ".wh..wh..opq" {
                let before = self.nodes.len();
                self.nodes.retain(|path, _| new.contains(path) || !is_below(path, folder));
                // One that hides nothing says nothing.
                if self.nodes.len() < before {
                    named.insert(path);
                }
            } else if let Some(gone) = name.strip_prefix(".wh.") {
                named.insert(path.clone());
                let gone = format!("{folder}/{gone}");
                self.nodes.retain(|path, _| new.contains(path) || (*path != gone && !is_below(path, &gone)));
            } else {
                let node = self.node(&mut entry);
                if node.facts["type"] != "folder" {
                    self.nodes.retain(|other, _| !is_below(other, &path));
                }
                let is_folder = node.facts["type"] == "folder";
                let facts = node.facts.clone();
                let before = self.nodes.insert(path.clone(), node);
                if !is_folder || before.is_none_or(|before| before.facts != facts) {
                    named.insert(path.clone());
                }
                new.insert(path);
            }
        }
        named
    }

    fn node<R: Read>(&mut self, entry: &mut tar::Entry<'_, R>) -> Node {
        let header = entry.header().clone();
        let target = entry.link_name_bytes().map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        if header.entry_type() == tar::EntryType::Link {
            let target = format!("/{}", target.expect("a target").trim_start_matches("./").trim_matches('/'));
            return self.nodes.get(&target).unwrap_or_else(|| panic!("a hard link to {target}")).clone();
        }
        let mut facts = BTreeMap::new();
        if let Some(extensions) = entry.pax_extensions().expect("extensions") {
            for extension in extensions.flatten() {
                if let Some(name) = extension.key().expect("a name").strip_prefix("SCHILY.xattr.") {
                    facts.insert(format!("attribute {name}"), extension.value_bytes().escape_ascii().to_string());
                }
            }
        }
        let kind = match header.entry_type() {
            tar::EntryType::Directory => "folder".into(),
            tar::EntryType::Symlink => "symlink".into(),
            tar::EntryType::Fifo => "fifo".into(),
            tar::EntryType::Char | tar::EntryType::Block => {
                let number = |number: std::io::Result<Option<u32>>| number.expect("a number").unwrap_or_default();
                let kind = if header.entry_type() == tar::EntryType::Char { "character" } else { "block" };
                format!("{kind} device {}:{}", number(header.device_major()), number(header.device_minor()))
            }
            tar::EntryType::Regular | tar::EntryType::Continuous | tar::EntryType::GNUSparse => "file".into(),
            other => panic!("an entry of type {other:?}"),
        };
        if kind == "file" {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).expect("its content");
            facts.insert("content".into(), content(&bytes));
        }
        if kind == "symlink" {
            facts.insert("target".into(), target.unwrap_or_default());
        } else {
            facts.insert("mode".into(), format!("{:04o}", header.mode().expect("a mode") & 0o7777));
        }
        let id = |id: std::io::Result<u64>| id.expect("an owner");
        // The numbers of the header, which a PAX extension may override.
        let extended = |key: &str, entry: &mut tar::Entry<'_, R>| {
            let extensions = entry.pax_extensions().ok()??;
            extensions.flatten().find(|extension| extension.key() == Ok(key))?.value().ok()?.parse().ok()
        };
        let user = extended("uid", entry).unwrap_or_else(|| id(header.uid()));
        let group = extended("gid", entry).unwrap_or_else(|| id(header.gid()));
        facts.insert("owner".into(), format!("{user}:{group}"));
        facts.insert("type".into(), kind);
        let whole_seconds = |entry: &mut tar::Entry<'_, R>| {
            let extensions = entry.pax_extensions().ok()??;
            let value = extensions.flatten().find(|extension| extension.key() == Ok("mtime"))?.value().ok()?.to_owned();
            value.split('.').next()?.parse().ok()
        };
        let mtime = whole_seconds(entry).unwrap_or_else(|| header.mtime().expect("a time"));
        self.inodes += 1;
        Node { facts, mtime, inode: self.inodes }
    }

    fn tell(self, facts: &mut Facts) {
        let mut names: BTreeMap<usize, Vec<&String>> = BTreeMap::new();
        for (path, node) in &self.nodes {
            names.entry(node.inode).or_default().push(path);
        }
        for (path, node) in &self.nodes {
            for (name, value) in &node.facts {
                facts.insert(format!("{path} {name}"), value.clone());
            }
            if names[&node.inode].len() > 1 {
                facts.insert(format!("{path} one file with"), names[&node.inode][0].clone());
            }
        }
    }
}

fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/') && rest.len() > 1)
}

/// Short texts as they are, everything else by digest.
fn content(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.len() <= 200 => format!("{text:?}"),
        _ => {
            let digest: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{} bytes, sha256 {digest}", bytes.len())
        }
    }
}

fn config_facts(config: &Value) -> Facts {
    let mut facts = Facts::new();
    for key in ["architecture", "os", "variant", "author"] {
        if let Some(text) = config[key].as_str().filter(|text| !text.is_empty()) {
            facts.insert(key.into(), text.into());
        }
    }
    for (key, value) in config["config"].as_object().into_iter().flatten() {
        let empty = match value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Array(list) => list.is_empty(),
            Value::Object(map) => map.is_empty(),
            Value::Bool(set) => !set,
            Value::Number(_) => false,
        };
        // A mark that has a meaning on Windows alone.
        if !empty && key != "ArgsEscaped" {
            facts.insert(format!("config.{key}"), value.to_string());
        }
    }
    let history = config["history"].as_array().into_iter().flatten();
    let marks = history.map(|step| if step["empty_layer"] == true { '-' } else { 'L' });
    facts.insert("history".into(), marks.collect());
    facts
}

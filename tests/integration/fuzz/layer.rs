//! Layers that somebody made up: whatever the bytes, nothing is written beside the folder.

use std::fs;
use std::path::{Component, Path};

use xbuild::image::unpack::{Limits, unpack};

use super::driver::{self, Target};

const LAYER: Target = Target {
    name: "layer",
    words: &[
        "../",
        "/",
        "..",
        "./",
        ".wh.",
        ".wh..wh..opq",
        "\0",
        "0",
        "1",
        "2",
        "5",
        "L",
        "K",
        "x",
        "g",
        "S",
        "ustar",
        "0000000",
        "00000001000\0",
        "12 path=../a\n",
        "11 size=512\n",
        "18 linkpath=../../a\n",
        "GNU.sparse.map=0,1",
        "SCHILY.xattr.user.overlay.opaque=y",
        "user",
        "\u{e9}",
    ],
    property,
};

#[test]
fn any_layer_has_an_answer() {
    driver::run(&LAYER);
}

/// Gives headers the checksums that they would have: else no change would get further than that.
fn repair(input: &[u8]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for block in bytes.chunks_exact_mut(512).filter(|block| &block[257..262] == b"ustar") {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    bytes
}

fn property(input: &[u8]) -> String {
    let place = tempfile::tempdir().expect("a folder");
    let (root, outside) = (place.path().join("down/root"), place.path().join("outside"));
    fs::write(&outside, "untouched").expect("a file");
    fs::create_dir(place.path().join("down")).expect("a folder");
    let limits = Limits { unpacked: 1 << 20, entries: 1000 };
    let result = unpack(repair(input).as_slice(), &root, &limits);
    assert_eq!(fs::read_to_string(&outside).expect("it is there"), "untouched");
    let count = |folder: &Path| fs::read_dir(folder).expect("it is there").count();
    assert_eq!((count(place.path()), count(&place.path().join("down"))), (2, 1), "something is beside the folder");
    match result {
        Err(error) => error.to_string().split('\'').step_by(2).collect(),
        Ok(entries) => {
            for path in entries.keys() {
                assert!(path.components().all(|part| matches!(part, Component::Normal(_))), "{}", path.display());
            }
            let mut kinds: Vec<String> = entries
                .values()
                .map(|entry| format!("{:?}", entry.content).chars().take_while(char::is_ascii_alphabetic).collect())
                .collect();
            kinds.dedup();
            kinds.truncate(12);
            kinds.join(" ")
        }
    }
}

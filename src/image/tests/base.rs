//! Images that start from others, some of them damaged.

use super::*;

#[test]
fn an_image_starts_from_another() {
    let case = Case::new().file("a", "a", 0o644).file("root/usr/lib/x", "x", 0o644).link("root/lib", "usr/lib");
    let base = case.build("FROM scratch\nCOPY root /\nENV A=1 B=2\nCMD [\"c\"]\nWORKDIR /w\n").unwrap();
    case.layout().set_name("base:1", base.manifest.clone()).unwrap();
    let found = BaseImage::find(&case.layout(), "base:1", Arch::Arm).unwrap().unwrap();
    let text = "ARG V=1\nFROM base:$V\nENV A=3\nCOPY a /lib/\nCOPY a .\nENTRYPOINT [\"e\"]\n";
    let graph = stages(&Dockerfile::parse(text).unwrap(), &target()).unwrap();
    assert_eq!(graph.stages[0].base, Source::Image("base:1".into()));
    let image = case.build_on(text, Some(&found)).unwrap();
    assert_eq!(image.layers[0].descriptor.digest, base.layers[0].descriptor.digest);
    // Through the link of the base's, and no folder again that the base has.
    assert_eq!(case.listing(&image)[5..], ["usr/lib/a 644 0:0", "w/a 644 0:0"]);
    let config = case.config(&image);
    assert_eq!(config.config.env.unwrap()[1..], ["A=3", "B=2"]);
    assert_eq!((config.config.cmd, config.rootfs.diff_ids.len()), (None, 4));
    let error = case.build(text).unwrap_err();
    assert!(error.to_string().contains("2:6: there is no image 'base:1'"), "{error}");
}

/// A base image whose only layer is the given blob.
fn base_of(case: &Case, blob: &[u8], kind: &str, diff_ids: usize) -> Result<BaseImage> {
    use std::io::Write;
    let layout = case.layout();
    let mut writer = layout.blob_writer()?;
    writer.write_all(blob).unwrap();
    let (digest, size) = writer.complete()?;
    let mut config = ImageConfig::scratch(Arch::Arm);
    config.rootfs.diff_ids = vec![digest; diff_ids];
    let config = layout.write_json(media_type::CONFIG, &config)?;
    let manifest = Manifest::new(config, vec![Descriptor::new(kind, digest, size)]);
    let manifest = layout.write_json(media_type::MANIFEST, &manifest)?;
    BaseImage::read(&layout, manifest, Arch::Arm)
}

fn tar_of(entries: &[(&str, tar::EntryType, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, kind, link) in entries {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_link_name_literal(link).unwrap();
        header.set_entry_type(*kind);
        header.set_size(0);
        header.set_cksum();
        builder.append(&header, std::io::empty()).unwrap();
    }
    builder.into_inner().unwrap()
}

#[test]
fn a_damaged_or_hostile_base_is_an_error() {
    let case = Case::new().file("a", "a", 0o644);
    let build = |base: &BaseImage| case.build_on("FROM b\nCOPY a /x/\n", Some(base)).unwrap_err().to_string();
    let tar = tar_of(&[("x/", tar::EntryType::Directory, "")]);
    let error = base_of(&case, &tar, media_type::LAYER, 0).unwrap_err().to_string();
    assert!(error.contains("1 layers, but 0 diff_ids"), "{error}");
    for name in ["../x", "a/../../x", "/x"] {
        let tar = tar_of(&[(name, tar::EntryType::Regular, "")]);
        let error = build(&base_of(&case, &tar, media_type::LAYER, 1).unwrap());
        assert!(error.contains(&format!("the entry '{name}' leads out of the image")), "{error}");
    }
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, &tar).unwrap();
    let gzip = gzip.finish().unwrap();
    for length in [gzip.len() - 1, gzip.len() - 9, 12] {
        let error = build(&base_of(&case, &gzip[..length], media_type::LAYER_GZIP, 1).unwrap());
        assert!(error.contains("it is damaged"), "{error}");
    }
    let circle = tar_of(&[("x", tar::EntryType::Symlink, "y"), ("y", tar::EntryType::Symlink, "x")]);
    let error = build(&base_of(&case, &circle, media_type::LAYER, 1).unwrap());
    assert!(error.contains("too many symbolic links"), "{error}");
}

#[test]
fn a_base_may_be_compressed_with_zstandard() {
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};
    let case = Case::new().file("a", "a", 0o644);
    let tar = tar_of(&[("real/", tar::EntryType::Directory, ""), ("l", tar::EntryType::Symlink, "real")]);
    let mut base =
        base_of(&case, &compress_to_vec(tar.as_slice(), CompressionLevel::Fastest), media_type::LAYER_ZSTD, 1).unwrap();
    base.config.rootfs.diff_ids = vec![Digest::of(&tar)];
    let image = case.build_on("FROM b\nCOPY a /l/\n", Some(&base)).unwrap();
    assert_eq!(image.layers[0].descriptor.media_type, media_type::LAYER_ZSTD);
    base.config.rootfs.diff_ids = vec![Digest::of("other")];
    let error = case.build_on("FROM b\nCOPY a /l/\n", Some(&base)).unwrap_err().to_string();
    assert!(error.contains("its bytes have the digest"), "{error}");
}

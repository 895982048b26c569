//! What an image is made of, and in which bytes.

use super::*;

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
            "usr/bin/router 700 0:0",
            "data/x/etc/ 755 7:7",
            "data/x/etc/a 600 7:7",
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
    for (time, threads) in [(1, 1), (999, 2), (5, 5)] {
        let mut case = Case::new().file(&long, "x", 0o644).file("big", &"0123456789".repeat(200_000), 0o640);
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
    assert_eq!(digests, ["2fc6a9430404", "37d9185316d9", "18efadf188aa", "f0f8438c7c0e"]);
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
fn a_linked_copy_does_not_depend_on_what_is_below() {
    let case = Case::new().file("a", "a", 0o644).file("d/x", "x", 0o600).link("d/l", "x");
    let last = |image: &BuiltImage| image.layers.last().map(|layer| (layer.origin, layer.diff_id)).unwrap();
    let copy = "COPY --link --chmod=u+x a /l/deep/\n";
    let first = case.build(&format!("FROM scratch\n{copy}")).unwrap();
    assert_eq!(case.listing(&first), ["l/ 755 0:0", "l/deep/ 755 0:0", "l/deep/a 744 0:0"]);
    let second = case.build(&format!("FROM scratch\nCOPY --chown=5:6 d /\n{copy}")).unwrap();
    assert_eq!(last(&second), (Origin::Reused, last(&first).1));
    // What comes after it sees the folder, not the link.
    let third = case.build(&format!("FROM scratch\nCOPY d /\n{copy}COPY a /l/b\n")).unwrap();
    assert_eq!(case.listing(&third).last().unwrap(), "l/b 644 0:0");
    // Without it, the link is followed.
    let error = case.build("FROM scratch\nCOPY d /\nCOPY a /l/deep/\n").unwrap_err().to_string();
    assert!(error.contains("3:1: /x is in the image and no folder"), "{error}");
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
    let descriptor = index(&layout, &[(Arch::Arm, image)]).unwrap();
    layout.set_name("n0:0", descriptor.clone()).unwrap();
    assert_eq!(layout.index().unwrap().manifests.len(), 20);
    assert_eq!(layout.find("n0:0").unwrap().unwrap().digest, descriptor.digest);
    let base = BaseImage::find(&layout, "n0:0", Arch::S390x).unwrap_err();
    assert!(base.to_string().contains("not there for linux/s390x"), "{base}");
    assert_eq!(case.layout().prune().unwrap(), Pruned::Busy);
}

#[test]
fn blobs_are_taken_from_another_folder() {
    let (from, to) = (Case::new().file("a", "a", 0o644), Case::new());
    let layer = from.build("FROM scratch\nCOPY a /\n").unwrap().layers.remove(0).descriptor;
    let (source, layout) = (from.layout().blob_path(&layer.digest), to.layout());
    // What a crash leaves under the name is replaced.
    fs::write(layout.blob_path(&layer.digest), "half").unwrap();
    assert!(!layout.has_blob(&layer.digest, layer.size).unwrap());
    layout.take_blob(&source, &layer.digest, layer.size).unwrap();
    assert!(layout.has_blob(&layer.digest, layer.size).unwrap());
    let error = layout.take_blob(Path::new("/nowhere"), &Digest::of("x"), 1).unwrap_err();
    assert!(error.to_string().contains("/nowhere is not there"), "{error}");
}

#[test]
fn every_input_changes_the_key() {
    let entry = |mode, uid| Entry::new(Content::Directory, mode, (uid, 0));
    let link = |target: &str| Entry { content: Content::Symlink(target.into()), ..entry(0o777, 0) };
    let keys: Vec<String> = [
        (Entries::from([("a".into(), entry(0o755, 0))]), 0, "c"),
        (Entries::from([("b".into(), entry(0o755, 0))]), 0, "c"),
        (Entries::from([("a".into(), entry(0o700, 0))]), 0, "c"),
        (Entries::from([("a".into(), entry(0o755, 1))]), 0, "c"),
        (Entries::from([("a".into(), link("x"))]), 0, "c"),
        (Entries::from([("a".into(), link("y"))]), 0, "c"),
        (Entries::from([("a".into(), entry(0o755, 0))]), 1, "c"),
        (Entries::from([("a".into(), entry(0o755, 0))]), 0, "d"),
        (Entries::new(), 0, "c"),
    ]
    .iter()
    .map(|(entries, mtime, compressor)| LayerKey::of(layer::identity(entries), *mtime, compressor).hex())
    .collect();
    assert!((0..keys.len()).all(|n| !keys[..n].contains(&keys[n])));
}

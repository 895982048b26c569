//! The store: what it holds, what fsck objects to, what gc may remove.

use std::fs;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::support::{Answer, DEBIAN, Server, Test, archive, host, processes_with, sha256, unique, wait_until};

/// Changes one byte in the middle of a file.
fn flip(path: &Path) {
    let mut permissions = fs::metadata(path).expect("it is there").permissions();
    let mode = std::os::unix::fs::PermissionsExt::mode(&permissions);
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, mode | 0o200);
    fs::set_permissions(path, permissions).expect("its owner may");
    let mut file = fs::File::options().read(true).write(true).open(path).expect("it can be written");
    let middle = file.metadata().expect("it is there").len() / 2;
    let mut byte = [0];
    file.seek(std::io::SeekFrom::Start(middle)).expect("a place");
    file.read_exact(&mut byte).expect("a byte");
    file.seek(std::io::SeekFrom::Start(middle)).expect("a place");
    file.write_all(&[byte[0] ^ 0x20]).expect("a byte");
    drop(file);
    let mut permissions = fs::metadata(path).expect("it is there").permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, mode);
    fs::set_permissions(path, permissions).expect("its owner may");
}

fn only(folder: PathBuf) -> PathBuf {
    let mut entries = fs::read_dir(&folder).expect("a bucket").flatten().map(|entry| entry.path());
    let first = entries.next().unwrap_or_else(|| panic!("nothing in {}", folder.display()));
    assert!(entries.next().is_none(), "more than one in {}", folder.display());
    first
}

/// An archive with a script in it, and a project that takes both this and its own tree.
fn sample() -> (Server, String) {
    let text = format!("#!/bin/sh\n# {}\n", "words ".repeat(100));
    let bytes = archive(&[("tool-1/hello", 0o755, text.as_bytes())]);
    let digest = sha256(&bytes);
    let server = Server::new([("/tool.tar", Answer::Body(bytes))]);
    let project = format!(
        "version: 1\nname: sample\narches: [{}]\nbinaries:\n  hello:\n    source: {{ sha256: {digest}, sources: [{{ url: \"{}\" }}] }}\n    \
         command: $CC --version\n    outputs: {{ hello: hello }}\n",
        host(),
        server.url("/tool.tar")
    );
    (server, project)
}

/// One cold store for a row of damages: to make it takes longer than to try them all.
#[test]
fn a_byte_that_changed_is_found_wherever_it_is() {
    let (server, project) = sample();
    let test = Test::new().cold().file("xbuild.yaml", project);
    test.xbuild(["binaries"]).run();
    test.xbuild(["cache", "fsck"]).stdout_contains("the store is sound").run();
    let store = test.store().path();
    let output = only(store.join("outputs-v1")).join("hello");
    let source = only(store.join("sources-v1"));
    let layer = fs::read_dir(store.join("rootfs-v1"))
        .expect("a bucket")
        .flatten()
        .map(|entry| entry.path().join("usr/share/common-licenses/GPL-3"))
        .find(|path| path.exists())
        .expect("the base has the text of the GPL");
    let record = fs::read_dir(store.join("records-v1")).expect("a bucket").flatten().next().expect("a record").path();
    for (path, named) in [(&output, "hello"), (&source, "sources-v1"), (&layer, "rootfs-v1"), (&record, "records-v1")] {
        flip(path);
        let said = test.xbuild(["cache", "fsck"]).status(1).run();
        assert!(
            said.stdout.contains(named) && said.stdout.contains("1 damaged"),
            "{}: {}",
            path.display(),
            said.stdout
        );
        let json = test.xbuild(["cache", "fsck", "--json"]).status(1).run().json();
        assert_eq!(json["damages"].as_array().map(Vec::len), Some(1), "{json}");
        flip(path);
        test.xbuild(["cache", "fsck"]).stdout_contains("the store is sound").run();
    }
    // A file that is gone, and one too many.
    fs::rename(&output, output.with_extension("gone")).expect("its owner may");
    test.xbuild(["cache", "fsck"]).status(1).stdout_contains("hello").run();
    fs::remove_file(output.with_extension("gone")).expect("its owner may");
    // A plain run makes it again.
    test.xbuild(["binaries"]).run();
    test.xbuild(["cache", "fsck"]).stdout_contains("the store is sound").run();

    let list = test.xbuild(["cache", "ls", "--json"]).run().json();
    let bytes = |name: &str| {
        let bucket = list["buckets"].as_array().expect("a list").iter().find(|bucket| bucket["bucket"] == name);
        bucket.unwrap_or_else(|| panic!("no bucket {name}"))["bytes"].as_u64().expect("a number")
    };
    assert!(bytes("rootfs-v1") > 100_000_000 && bytes("sources-v1") > 0, "{list}");
    let sum: u64 =
        list["buckets"].as_array().expect("a list").iter().map(|b| b["bytes"].as_u64().expect("a number")).sum();
    assert_eq!(list["bytes"].as_u64(), Some(sum));
    test.xbuild(["cache", "ls"]).stdout_contains("rootfs-v1").stdout_contains("total").run();

    // What is in use stays, everything goes when it is asked to, and then everything comes back.
    test.xbuild(["cache", "gc"]).run();
    test.xbuild(["plan"]).stdout_contains("0 to build").run();
    test.xbuild(["cache", "gc", "--unused", "0"]).stdout_contains("removed").run();
    for bucket in ["rootfs-v1", "outputs-v1", "sources-v1", "records-v1"] {
        assert_eq!(fs::read_dir(store.join(bucket)).expect("a bucket").count(), 0, "{bucket}");
    }
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn nothing_is_collected_while_another_works() {
    let seconds = format!("7{}", unique());
    let project = format!(
        "version: 1\nname: sample\narches: [{}]\nbinaries:\n  hello:\n    command: sleep {seconds}\n    outputs: {{ hello: hello }}\n",
        host()
    );
    let test = Test::new().file("xbuild.yaml", project);
    let mut child = test.xbuild(["binaries"]).start();
    wait_until("the command", || !processes_with(&seconds).is_empty());
    test.xbuild(["cache", "gc"]).status(3).stderr_contains("another xbuild works").run();
    test.xbuild(["cache", "ls"]).stdout_contains("rootfs-v1").run();
    child.kill().expect("it is there");
    child.wait().expect("it ends");
}

#[test]
fn what_another_makes_is_waited_for_and_taken() {
    let seconds = format!("6.{}", unique());
    let project = format!(
        "version: 1\nname: sample\narches: [{}]\nbinaries:\n  hello:\n    command: sleep {seconds}; echo '#!/bin/sh' > \
         hello\n    outputs: {{ hello: hello }}\n",
        host()
    );
    let test = Test::new().file("xbuild.yaml", project);
    let mut first = test.xbuild(["binaries"]).start();
    wait_until("the command", || !processes_with(&seconds).is_empty());
    let mut impatient = test.xbuild(["binaries", "--json"]).start();
    wait_until("who waits", || test.said().contains(r#""event":"waiting""#));
    let pid = nix::unistd::Pid::from_raw(impatient.id().try_into().expect("a number"));
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).expect("it waits");
    assert_eq!(impatient.wait().expect("it ends").code(), Some(130));
    assert!(!processes_with(&seconds).is_empty(), "the command ended before anybody had waited for it");
    let waited = test.xbuild(["binaries", "--json"]).stderr_contains(r#""event":"waiting""#).run();
    assert!(!waited.stderr.contains(r#""event":"started""#), "made twice: {}", waited.stderr);
    assert!(first.wait().expect("it ends").success());
}

/// What a disk that was not written to the end leaves.
#[test]
fn a_result_that_is_not_whole_is_made_again() {
    let project = format!(
        "version: 1\nname: sample\narches: [{}]\nbinaries:\n  hello:\n    command: echo '#!/bin/sh' > hello\n    outputs: {{ \
         hello: hello }}\n",
        host()
    );
    let test = Test::new().file("xbuild.yaml", project);
    test.xbuild(["binaries"]).run();
    let sums = test.read("SHA256SUMS");
    let record = test.build_record();
    let key = record["steps"][format!("binary/hello/{}", host())]["key"].as_str().expect("a key").to_owned();
    let output = test.store().path().join("outputs-v1").join(key.trim_start_matches("sha256:")).join("hello");
    for damage in [|path: &Path| fs::write(path, ""), |path: &Path| fs::remove_file(path)] {
        damage(&output).expect("its owner may");
        test.xbuild(["binaries"]).stderr_contains("built 1").run();
        assert_eq!(
            (test.read("SHA256SUMS"), test.read(&format!("{}/hello", host()))),
            (sums.clone(), "#!/bin/sh\n".into())
        );
    }
}

#[test]
fn a_store_says_that_it_can_be_made_again() {
    let test = Test::new().without_builders();
    test.xbuild(["cache", "ls"]).run();
    let tag = fs::read_to_string(test.store().path().join("CACHEDIR.TAG")).expect("a tag");
    assert!(tag.starts_with("Signature: 8a477f597d28d172789f06886806bc55"));
}

/// What building images leaves in the store: a layer of a base, one of a RUN, what it came to, its cache, an examination.
#[test]
fn damage_to_what_images_leave_is_found_and_mended() {
    let project = format!(
        "version: 1\nname: sample\narches: [{}]\nbases:\n{DEBIAN}images:\n  app: {{ dockerfile: app/Dockerfile, tests: [spec.yaml] }}\n",
        host()
    );
    let test = Test::new()
        .cold()
        .file("xbuild.yaml", project)
        .file(
            "app/Dockerfile",
            "FROM debian:bookworm-slim\nRUN --mount=type=cache,target=/kept echo made > /kept/own && echo made > /made\n",
        )
        .file("spec.yaml", "schemaVersion: 2.0.0\ncommandTests: [{ name: made, command: cat, args: [/made] }]\n");
    let said = test.xbuild(["images"]).run().stdout;
    test.xbuild(["cache", "fsck"]).stdout_contains("the store is sound").run();
    let store = &test.store().path().canonicalize().expect("it is there");
    let layers = || fs::read_dir(store.join("image-layers-v3")).expect("a bucket").flatten().map(|entry| entry.path());
    let own = layers().find(|layer| layer.join("root/made").exists()).expect("the layer of the RUN");
    let base = layers().find(|layer| layer.join("root/etc/debian_version").exists()).expect("the layer of the base");
    let (step, examination) = (only(store.join("image-steps-v3")), only(store.join("examinations-v1")));
    for path in [
        &own.join("root/made"),
        &own.join("listing"),
        &base.join("root/etc/debian_version"),
        &base.join("listing"),
        &step,
        &examination,
    ] {
        flip(path);
        let found = test.xbuild(["cache", "fsck"]).status(1).run().stdout;
        assert!(found.contains(&path.display().to_string()) && found.contains("1 damaged"), "{found}");
        flip(path);
    }
    let stranger = base.join("root/etc/stranger");
    fs::write(&stranger, "nobody has listed it").expect("its owner may");
    let found = test.xbuild(["cache", "fsck"]).status(1).stdout_contains("1 damaged").run().stdout;
    assert!(found.contains(&format!("{}: is not in the listing", stranger.display())), "{found}");
    fs::remove_file(&stranger).expect("its owner may");
    test.xbuild(["cache", "fsck"]).stdout_contains("the store is sound").run();

    // A plain run does not trust a record that was changed, and makes again what is gone.
    flip(&step);
    flip(&examination);
    fs::remove_dir_all(&own).expect("its owner may");
    let cache = only(store.join("image-caches-v1"));
    fs::remove_dir_all(&cache).expect("its owner may");
    fs::write(&cache, "no folder").expect("its owner may");
    test.xbuild(["cache", "fsck"]).status(1).stdout_contains("3 damaged").stdout_contains("is no folder").run();
    assert_eq!(test.xbuild(["images"]).run().stdout, said);
    test.xbuild(["cache", "fsck"]).stdout_contains("the store is sound").run();
    assert_eq!(fs::read_to_string(cache.join("own")).expect("it is there"), "made\n");

    let list = test.xbuild(["cache", "ls"]).run().stdout;
    test.xbuild(["cache", "gc", "--unused", "0"]).run();
    for bucket in ["image-layers-v3", "image-steps-v3", "image-caches-v1", "examinations-v1"] {
        assert!(list.contains(bucket), "{list}");
        assert_eq!(fs::read_dir(store.join(bucket)).expect("a bucket").count(), 0, "{bucket}");
    }
}

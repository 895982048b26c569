//! Stages, what COPY makes of them, and commands with a stand-in for the sandbox.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::domain::Mount;

fn small() -> Case {
    Case::new()
        .file("a", "a", 0o755)
        .file("etc/passwd", "root:x:0:0::/root:/bin/sh\nme:x:7:8::/me:/bin/sh\n", 0o644)
        .file("etc/group", "staff:x:9:me\n", 0o600)
}

#[test]
fn stages_hand_files_and_settings_on() {
    let image = small()
        .build(
            "FROM scratch AS one\nENV A=1\nWORKDIR /w\nCOPY --chown=3:4 . .\n\
             FROM one AS two\nCOPY a /two/\n\
             FROM scratch\nCOPY --from=two /w/etc /two/* /dst/\nCOPY --from=0 /w/a /\n\
             COPY --chown=me --from=one /w /owned\nCOPY --from=one --chmod=go-r,u+s /w/etc/passwd /p\n",
        )
        .unwrap();
    let case = small();
    let listing = case.listing(&case.build("FROM scratch AS x\nCOPY a /\nFROM x\nENV B=1\n").unwrap());
    assert_eq!(listing, ["a 755 0:0"]);
    assert_eq!(image.layers.len(), 4);
}

#[test]
fn owners_are_looked_up_where_files_go() {
    let case = small();
    let image = case
        .build("FROM scratch\nCOPY etc /etc\nCOPY --chown=me a /1\nCOPY --chown=me:staff a /2\nCOPY --chown=who a /3\nUSER me\nWORKDIR /w\n")
        .unwrap();
    let listing = case.listing(&image);
    assert_eq!(listing[3..], ["1 755 7:8", "2 755 7:9", "3 755 0:0", "w/ 755 7:8"]);
    let notes = case.notes.lock().unwrap();
    assert!(matches!(&notes[..], [Note::Warning(text)] if text.contains("does not know 'who'")), "{notes:?}");
}

#[test]
fn a_folder_that_is_there_keeps_its_own_mode() {
    let case = Case::new().file("d/sub/x", "x", 0o600).file("x", "x", 0o644);
    fs::set_permissions(case.context().join("d"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::set_permissions(case.context().join("d/sub"), fs::Permissions::from_mode(0o711)).unwrap();
    let image = case.build("FROM scratch\nCOPY --chmod=750 x /t/sub/x\nCOPY d /t\nCOPY d /new/\n").unwrap();
    assert_eq!(
        case.listing(&image),
        [
            // With a mode, the folders on the way get it too.
            "t/ 750 0:0",
            "t/sub/ 750 0:0",
            "t/sub/x 750 0:0",
            // What is copied is what the folder holds: it is not itself copied, but those in it are.
            "t/sub/ 711 0:0",
            "t/sub/x 600 0:0",
            "new/ 755 0:0",
            "new/sub/ 711 0:0",
            "new/sub/x 600 0:0",
        ]
    );
}

#[test]
fn parents_and_exclusions() {
    let case = Case::new()
        .file("a/b/c.txt", "c", 0o644)
        .file("a/b/d.md", "d", 0o644)
        .file("a/e/f.txt", "f", 0o644)
        .file("top.txt", "t", 0o644);
    let text = "FROM scratch\nCOPY --parents a/*/c.txt top.txt /p/\nCOPY --parents ./a/./b/*.txt /q\n\
                COPY --exclude=**/*.md --exclude=e a /x/\n";
    let image = case.build(text).unwrap();
    let names: Vec<String> =
        case.listing(&image).iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(
        names,
        ["p/", "p/a/", "p/a/b/", "p/a/b/c.txt", "p/top.txt", "q/", "q/b/", "q/b/c.txt", "x/", "x/b/", "x/b/c.txt"]
    );
    let error = case.build("FROM scratch\nCOPY --parents no/thing /\n").unwrap_err().to_string();
    assert!(error.contains("'no/thing' is not in the build context"), "{error}");
}

#[test]
fn texts_in_the_dockerfile_become_files() {
    let case = Case::new();
    let text = "FROM scratch\nARG V=7\nCOPY --chmod=755 <<run <<\"EOF\" /bin/\nv=$V\nrun\n$V\nEOF\n";
    let image = case.build(text).unwrap();
    assert_eq!(case.listing(&image), ["bin/ 755 0:0", "bin/EOF 755 0:0", "bin/run 755 0:0"]);
}

#[test]
fn archives_are_unpacked_with_their_own_times_and_owners() {
    let case = Case::new();
    let mut tar = tar::Builder::new(Vec::new());
    for (name, kind, link) in [
        ("d/", tar::EntryType::Directory, ""),
        ("d/f", tar::EntryType::Regular, ""),
        ("d/g", tar::EntryType::Link, "d/f"),
        ("d/s", tar::EntryType::Symlink, "f"),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_path(name).unwrap();
        header.set_entry_type(kind);
        header.set_mode(0o4711);
        header.set_uid(5);
        header.set_gid(6);
        // The one time that the listing takes.
        header.set_mtime(1_000_000_000);
        header.set_size(0);
        header.set_link_name_literal(link).unwrap();
        header.set_cksum();
        tar.append(&header, std::io::empty()).unwrap();
    }
    fs::write(case.context().join("a.tar"), tar.into_inner().unwrap()).unwrap();
    let image =
        case.build("FROM scratch\nADD a.tar /x\nADD --unpack=false a.tar /\nADD --chown=1 a.tar /y/\n").unwrap();
    assert_eq!(
        case.listing(&image),
        [
            "x/ 755 0:0",
            "x/d/ 4711 5:6",
            "x/d/f 4711 5:6",
            "x/d/g 4711 5:6 -> x/d/f",
            "x/d/s 777 5:6 -> f",
            "a.tar 644 0:0",
            "y/ 755 1:1",
            "y/d/ 4711 1:1",
            "y/d/f 4711 1:1",
            "y/d/g 4711 1:1 -> y/d/f",
            "y/d/s 777 1:1 -> f",
        ]
    );
}

#[test]
fn what_a_command_did_is_remembered() {
    let case = small();
    let runs = AtomicUsize::new(0);
    let run = |request: &RunRequest| {
        runs.fetch_add(1, Ordering::Relaxed);
        fs::write(request.upper.join("made"), request.env.get("V").map_or("", String::as_str)).unwrap();
        fs::create_dir_all(request.upper.join("proc")).unwrap();
        Ok(())
    };
    let text = "FROM scratch\nARG V\nARG V=1\nCOPY a /\nRUN one\n";
    let build = |text: &str| case.build_with(text, None, &run).unwrap();
    let first = build(text);
    assert_eq!(case.listing(&first), ["a 755 0:0", "made 644 0:0"]);
    assert_eq!(build(text).manifest.digest, first.manifest.digest);
    assert_eq!(runs.load(Ordering::Relaxed), 1);
    // Other texts, arguments and files below are other commands; a comment is not.
    build(&format!("# note\n{text}"));
    assert_eq!(runs.load(Ordering::Relaxed), 1);
    build(&text.replace("RUN one", "RUN two"));
    build(&text.replace("V=1", "V=2"));
    fs::write(case.context().join("a"), "b").unwrap();
    build(text);
    assert_eq!(runs.load(Ordering::Relaxed), 4);
    // The layer of the first command is the same with other files below.
    assert_eq!(build(text).layers[1].descriptor, first.layers[1].descriptor);
}

#[test]
fn a_command_that_fails_has_a_place() {
    let case = small();
    let run = |_: &RunRequest| Err(Error::build("exit code 3"));
    let error = case.build_with("FROM scratch AS a\nCOPY a /\n\nRUN false\nFROM a\n", None, &run).unwrap_err();
    assert_eq!(error.to_string(), "4:1: exit code 3");
    let error = case.build("FROM scratch\nUSER nobody\nRUN x\n").unwrap_err();
    assert!(error.to_string().contains("3:1: the image has no user 'nobody'"), "{error}");
}

#[test]
fn secrets_are_in_no_key_and_triggers_come_first() {
    let case = small();
    let seen = Mutex::new(Vec::new());
    let run = |request: &RunRequest| {
        let secret = request.mounts.iter().any(|mount| matches!(mount, Mount::File { bytes, .. } if bytes == b"hush"));
        seen.lock().unwrap().push((request.argv.last().unwrap().clone(), secret));
        Ok(())
    };
    let base = case.build("FROM scratch\nCOPY etc /etc\nONBUILD RUN first\nONBUILD COPY a /a\n").unwrap();
    case.layout().set_name("b:1", base.manifest).unwrap();
    let base = BaseImage::find(&case.layout(), "b:1", Arch::Arm).unwrap().unwrap();
    let text = "FROM b\nRUN --mount=type=secret,id=known second\n";
    let image = case.build_with(text, Some(&base), &run).unwrap();
    assert_eq!(*seen.lock().unwrap(), [("first".to_owned(), false), ("second".to_owned(), true)]);
    let config = case.config(&image);
    assert_eq!(config.config.on_build, None);
    let lines: Vec<String> = config.history.into_iter().filter_map(|line| line.created_by).collect();
    assert_eq!(
        lines[1..],
        ["RUN /bin/sh -c first # buildkit", "COPY a /a # buildkit", "RUN /bin/sh -c second # buildkit"]
    );
    let error = case.build("FROM scratch\nRUN --mount=type=secret,id=other,required=true x\n").unwrap_err();
    assert!(error.to_string().contains("there is no secret 'other'"), "{error}");
}

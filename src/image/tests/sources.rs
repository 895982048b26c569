//! What COPY and ADD take, and what they refuse.

use super::*;

#[test]
fn names_need_not_be_utf8_nor_short() {
    use std::os::unix::ffi::OsStrExt;
    let case = Case::new();
    let mut name = vec![0xff; 120];
    name.extend(b"x");
    fs::write(case.context().join(std::ffi::OsStr::from_bytes(&name)), "x").unwrap();
    let image = case.build("FROM scratch\nCOPY . /\n").unwrap();
    let file = case.layout().open_blob(&image.layers[0].descriptor).unwrap();
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(file));
    assert_eq!(&*archive.entries().unwrap().next().unwrap().unwrap().path_bytes(), &name[..]);
}

#[test]
fn sources_stay_inside_the_context() {
    let case = Case::new()
        .file("a", "a", 0o644)
        .file("sub/a", "a", 0o644)
        .link("out", "/etc")
        .link("up", "../..")
        .link("sub/in", "../a")
        .link("loop", "loop");
    fs::write(case.dir.path().join("secret"), "secret").unwrap();
    for (source, message) in [
        ("../secret", "2:1: '../secret' leads out of the build context"),
        ("sub/../../secret", "leads out of the build context"),
        ("/etc/passwd", "'etc/passwd' is not in the build context"),
        ("out/passwd", "'out' is a symbolic link to '/etc', which is outside the build context"),
        ("up/secret", "'up' is a symbolic link to '../..', which is outside the build context"),
        ("o*t/passwd", "outside the build context"),
        ("out", "outside the build context"),
        ("loop", "too many symbolic links"),
        ("nothing", "'nothing' is not in the build context"),
        ("[a", "its '[' is never closed"),
    ] {
        let error = case.build(&format!("FROM scratch\nCOPY {source} /x\n")).unwrap_err();
        assert!(error.to_string().contains(message), "{source}: {error}");
    }
    let image = case.build("FROM scratch\nCOPY sub/in /x\nCOPY s?b /y/\nCOPY no[t] a /z/\n").unwrap();
    assert_eq!(
        case.listing(&image),
        ["x 644 0:0", "y/ 755 0:0", "y/a 644 0:0", "y/in 777 0:0 -> ../a", "z/ 755 0:0", "z/a 644 0:0"]
    );
}

#[test]
fn files_from_elsewhere_hide_the_context_s_own() {
    let mut case = Case::new().file("bin/router", "old", 0o644).file("bin/other", "x", 0o644).file("no", "x", 0o644);
    let program = case.dir.path().join("program");
    fs::write(&program, "new").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    case.files = BTreeMap::from([("bin/router".into(), program.clone()), ("new/dir/p".into(), program)]);
    case.ignore = Ignore::parse("bin\nno").unwrap();
    let image = case.build("FROM scratch\nCOPY . /\nCOPY new /new2\n").unwrap();
    assert_eq!(
        case.listing(&image),
        [
            "bin/ 755 0:0",
            "bin/router 755 0:0",
            "new/ 755 0:0",
            "new/dir/ 755 0:0",
            "new/dir/p 755 0:0",
            "new2/ 755 0:0",
            "new2/dir/ 755 0:0",
            "new2/dir/p 755 0:0",
        ]
    );
    let error = case.build("FROM scratch\nCOPY no /\n").unwrap_err();
    assert_eq!(error.hints(), [".dockerignore excludes it"]);
}

#[test]
fn copies_that_would_break_the_image_are_errors() {
    let case = Case::new().file("a", "a", 0o644).file("d/x", "x", 0o644).file("w/.wh.x", "", 0o644).file(
        "t.tar.gz",
        "\x1f\u{8b}",
        0o644,
    );
    fs::write(case.context().join("t.gz"), b"\x1f\x8b\x08\x00").unwrap();
    for (text, message) in [
        ("COPY a /x\nCOPY a /x/y", "3:1: /x is in the image and no folder"),
        ("COPY a d /x", "'d' is a folder, and /x is something else in the image"),
        ("COPY w /", "has the name of a whiteout"),
        ("ADD https://example.com/x /", "2:5: nobody fetches https://example.com/x"),
        ("COPY https://example.com/x /", "2:6: COPY takes no URL"),
        ("COPY --chmod=u+q a /", "2:14: 'u+q' is no mode"),
        ("EXPOSE 99999", "'99999' is not a port"),
        ("COPY $NONE /", "2:6: '$NONE' is worth nothing here"),
    ] {
        let error = case.build(&format!("FROM scratch\n{text}\n")).unwrap_err().to_string();
        assert!(error.contains(message), "{text}: {error}");
    }
    assert!(case.build("FROM scratch\nADD a /\nCOPY t.gz /\n").is_ok());
}

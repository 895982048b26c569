//! Mounts, right and wrong.

use super::size::bytes;
use super::*;
use crate::image::dockerfile::{ParseError, Span, Word};

fn mount(text: &str) -> Result<RunMount, ParseError> {
    let word = Word { span: Span { line: 2, column: 13 }, text: text.to_owned() };
    MountFlag::parse(word)?.resolve(&|word| Ok(word.text.replace("$id", "go")))
}

#[test]
fn mounts_have_docker_s_defaults() {
    let bind = |from: Option<&str>, source: &str, target: &str, writable| RunMount::Bind {
        from: from.map(str::to_owned),
        source: source.into(),
        target: target.into(),
        writable,
    };
    let cache = |id: &str, sharing, mode, read_only| RunMount::Cache {
        id: id.into(),
        target: "/c/../d".into(),
        sharing,
        from: None,
        source: String::new(),
        mode,
        uid: 0,
        gid: 0,
        read_only,
    };
    let secret = |id: &str, target: Option<&str>, env: Option<&str>, required, mode| RunMount::Secret {
        id: id.into(),
        target: target.map(str::to_owned),
        env: env.map(str::to_owned),
        required,
        mode,
        uid: 0,
        gid: 0,
    };
    let ssh = |id: &str, target: Option<&str>, mode| RunMount::Ssh {
        id: id.into(),
        target: target.map(str::to_owned),
        required: false,
        mode,
        uid: 1,
        gid: 0,
    };
    for (text, wanted) in [
        ("target=/x", bind(None, "", "/x", false)),
        ("type=bind,from=base,source=/a,dst=b,rw", bind(Some("base"), "/a", "b", true)),
        ("type=BIND,src=a,destination=/b,ro=false", bind(None, "a", "/b", true)),
        ("type=bind,\"source=a,b\",target=/x,readwrite=0", bind(None, "a,b", "/x", false)),
        ("type=cache,target=/c/../d", cache("/d", Sharing::Shared, 0o755, false)),
        ("type=cache,id=$id,target=/c/../d,sharing=Locked,mode=0700,ro", cache("go", Sharing::Locked, 0o700, true)),
        ("type=tmpfs,target=/t", RunMount::Tmpfs { target: "/t".into(), size: None }),
        ("type=tmpfs,target=/t,size=64m", RunMount::Tmpfs { target: "/t".into(), size: Some(64 << 20) }),
        ("type=secret,id=$id", secret("go", Some("/run/secrets/go"), None, false, 0o400)),
        ("type=secret,target=/x/key,required", secret("key", Some("/x/key"), None, true, 0o400)),
        ("type=secret,src=a,env=A,required=false", secret("a", None, Some("A"), false, 0o400)),
        ("type=secret,id=a,env=,target=/b,mode=0444", secret("a", Some("/b"), Some("a"), false, 0o444)),
        ("type=ssh,uid=1", ssh("default", None, 0o600)),
        ("type=ssh,id=k,target=/s,uid=1,mode=666", ssh("k", Some("/s"), 0o666)),
    ] {
        assert_eq!(mount(text).as_ref(), Ok(&wanted), "{text}");
    }
}

#[test]
fn wrong_mounts_name_their_place() {
    for (text, column, message) in [
        ("type=volume,target=/x", 18, "'type=volume' of --mount is wrong"),
        ("type=bind", 13, "a mount of type bind has no target"),
        ("target=/x,mode=644", 28, "a mount of type bind has no 'mode'"),
        ("type=cache,target=/x,uid=me", 38, "'uid=me' of --mount is wrong"),
        ("type=cache,target=/x,sharing=all", 42, "'sharing=all' of --mount is wrong"),
        ("target=/x,sharing=locked", 31, "a mount of type bind has no 'sharing'"),
        ("target=/x,required", 23, "a mount of type bind has no 'required'"),
        ("type=secret", 13, "a secret needs an 'id'"),
        ("type=secret,id=a,source=b", 13, "a secret has either 'id' or 'source': they mean the same"),
        ("type=secret,id=a,from=b", 13, "a mount of type secret has no 'from'"),
        ("type=tmpfs,target=/x,size=big", 39, "'size=big' of --mount is wrong"),
        ("type=bind,tärget=/x,y", 23, "--mount has no option 'tärget'"),
        ("target", 13, "'target' of --mount has no value"),
        ("target=/x,ro=maybe", 26, "'ro=maybe' of --mount is wrong"),
        ("target=/x,from=a$b", 28, "from=a$b: variables are not expanded in from"),
        ("", 13, "--mount has no option ''"),
        ("\"target=/x", 13, "a quoted field of --mount has no end"),
    ] {
        let error = mount(text).unwrap_err();
        assert_eq!((error.line, error.column, error.message.as_str()), (2, column, message), "{text}");
    }
}

#[test]
fn sizes_are_docker_s() {
    for (text, size) in [
        ("100", Some(100)),
        ("1k", Some(1024)),
        ("1.5GiB", Some(3 << 29)),
        ("2 mb", Some(2 << 20)),
        ("x", None),
        ("1x", None),
        ("", None),
    ] {
        assert_eq!(bytes(text), size, "{text}");
    }
}

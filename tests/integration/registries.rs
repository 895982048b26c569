//! Base images from registries: a real one, and one that misbehaves in ways that a real one cannot be brought to.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::{Registry, Reply, Request, Test, Web, host, tool};

/// An image of files for two architectures, in the layout `dist/images` as `example/base:1`.
fn base(content: &str) -> Test {
    let test = Test::new()
        .file("xbuild.yaml", format!("version: 1\nname: base\narches: [{}, s390x]\nimages:\n  base: {{ name: example/base, tags: [\"1\"], dockerfile: base/Dockerfile }}\n", host()))
        .file("base/Dockerfile", "FROM scratch\nARG TARGETARCH\nCOPY base.txt $TARGETARCH.txt /srv/\n")
        .file("base/base.txt", content)
        .without_builders();
    let test = test.file(&format!("base/{}.txt", host()), "here").file("base/s390x.txt", "there");
    test.xbuild(["images"]).run();
    test
}

/// A project with an image that starts from another.
fn project(from: &str, more: &str) -> Test {
    Test::new()
        .file("xbuild.yaml", format!("version: 1\nname: sample\narches: [{}, s390x]\n{more}images:\n  top: {{ name: example/top, dockerfile: top/Dockerfile }}\n", host()))
        .file("top/Dockerfile", format!("FROM {from}\nCOPY top.txt /srv/top.txt\n"))
        .file("top/top.txt", "top")
        .without_builders()
}

fn layers(test: &Test, name: &str) -> Vec<String> {
    let place = format!("oci:{}:{name}", test.dist("images").display());
    let output = Command::new(tool("skopeo")).args(["inspect", "--raw", &place]).output().expect("skopeo can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let manifest: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    manifest["layers"].as_array().expect("layers").iter().map(|layer| layer["digest"].to_string()).collect()
}

#[test]
fn an_image_is_pulled_for_each_architecture_and_stays_what_it_was() {
    let registry = Registry::open();
    let below = base("one");
    registry.push(&below.dist("images"), "example/base:1", "example/base:1");
    let name = registry.name("example/base:1");
    let test = project(&name, "");
    let first = test.xbuild(["images"]).run();
    for arch in [host(), "s390x"] {
        let (own, all) =
            (layers(&below, &format!("example/base-{arch}:1")), layers(&test, &format!("example/top-{arch}:latest")));
        assert_eq!(all[..all.len() - 1], own, "{arch}");
        let record = test.build_record()["steps"][format!("base/{name}/{arch}")].clone();
        let from = record["source"]["from"].as_str().expect("where it came from").to_owned();
        let digest = record["source"]["sha256"].as_str().expect("its digest").to_owned();
        assert!(from.contains("example/base@sha256:") && from.ends_with(&digest), "{from} {digest}");
    }
    // Every blob is there and whole.
    let place = format!("oci:{}:example/top:latest", test.dist("images").display());
    let copy = Command::new(tool("skopeo"))
        .args(["copy", "--all", &place])
        .arg(format!("oci:{}:x", test.path().join("copy").display()))
        .status();
    assert!(copy.expect("skopeo can be run").success());

    // The tag moves on; the image stays until it is asked for.
    let other = base("two");
    registry.push(&other.dist("images"), "example/base:1", "example/base:1");
    test.xbuild(["images"]).stdout(first.stdout.as_str()).run();
    let pulled = test.xbuild(["images", "--pull"]).run();
    assert_ne!(pulled.stdout, first.stdout);
    assert_eq!(
        layers(&test, &format!("example/top-{}:latest", host()))[..1],
        layers(&other, &format!("example/base-{}:1", host()))
    );

    // Without the registry all of it is in the store.
    drop(registry);
    test.xbuild(["--offline", "images"]).stdout(pulled.stdout.as_str()).run();
    test.xbuild(["images"]).stdout(pulled.stdout.as_str()).run();
    test.xbuild(["cache", "fsck"]).stdout_contains("sound").run();
}

#[test]
fn a_digest_is_taken_by_its_word() {
    let registry = Registry::open();
    let below = base("one");
    registry.push(&below.dist("images"), "example/base:1", "example/base:1");
    let text = below.xbuild(["images"]).run().stdout;
    let digest = text.trim().split_once('@').expect("name@digest").1.to_owned();
    let test = project(&format!("{}@{digest}", registry.name("example/base")), "");
    test.xbuild(["images"]).run();
    let wrong = format!("sha256:{}", "0".repeat(64));
    let test = project(&format!("{}@{wrong}", registry.name("example/base")), "");
    test.xbuild(["images"]).status(4).stderr_contains("has no image of this name").run();
}

#[test]
fn what_is_not_there_is_told() {
    let registry = Registry::open();
    let below = base("one");
    registry.push(&below.dist("images"), "example/base-s390x:1", "example/lonely:1");
    let test = project(&registry.name("example/absent:1"), "");
    test.xbuild(["images"]).status(4).stdout("").stderr_contains("has no image of this name").run();
    // Of one architecture alone, and that is not the host's.
    let test = project(&registry.name("example/lonely:1"), "");
    test.xbuild(["images"]).status(2).stderr_contains(format!("it is for linux/s390x, not for linux/{}", host())).run();
    let test = project(&registry.name("example/absent:1"), "");
    test.xbuild(["--offline", "images"]).status(3).stderr_contains("--offline").run();
}

#[test]
fn a_user_comes_from_docker_s_configuration() {
    let registry = Registry::closed();
    let below = base("one");
    registry.push(&below.dist("images"), "example/base:1", "example/base:1");
    let name = registry.name("example/base:1");
    let test = project(&name, "");
    let nowhere = test.path().join("nowhere");
    let key = name.split('/').next().expect("a host").to_owned();
    test.xbuild(["images"])
        .env("DOCKER_CONFIG", &nowhere)
        .status(4)
        .stderr_contains(format!("docker login {key}"))
        .run();
    let configure = |auth: Value| test.write("docker/config.json", json!({ "auths": { &key: auth } }).to_string());
    let run = || test.xbuild(["images"]).env("DOCKER_CONFIG", test.path().join("docker"));
    configure(json!({ "auth": "dXNlcjp3cm9uZw==" }));
    run().status(4).stderr_contains("401").run();
    configure(json!({ "auth": "dXNlcjpzZWNyZXQ=" }));
    let finished = run().run();
    for text in [finished.stdout, finished.stderr, test.read("build.json")] {
        assert!(!text.contains("secret") && !text.contains("dXNlcjpzZWNyZXQ"), "{text}");
    }
    test.write("docker/config.json", "not JSON: hidden");
    let broken = test.xbuild(["images", "--pull"]).env("DOCKER_CONFIG", test.path().join("docker")).status(3);
    assert!(!broken.stderr_contains("config.json").run().stderr.contains("hidden"));
}

#[test]
fn plain_text_is_for_this_machine_alone() {
    for name in ["localhost.evil.example:1/a:1", "registry.local:1/a:1"] {
        let test = project(name, "");
        let said = test.xbuild(["plan", "--json"]).run().stdout;
        let plan: Value = serde_json::from_str(&said).expect("JSON");
        let steps = plan["steps"].as_array().expect("steps");
        let base = steps.iter().find(|step| step["work"]["kind"] == "base").expect("a base");
        assert_eq!(base["work"]["source"]["registry"]["insecure"], false, "{name}");
    }
    let test = project("registry.local:1/a:1", "registries: { \"registry.local:1\": { insecure: true } }\n");
    test.xbuild(["plan", "--json"]).stdout_contains("\"insecure\": true").run();
}

/// A registry with one image, whose answers a test can spoil.
struct Image {
    paths: BTreeMap<String, (String, Vec<u8>)>,
    layer: String,
}

impl Image {
    /// The blobs of a layout, as a registry has them, with the tag `1` on the index of `example/base:1`.
    fn read(layout: &Path) -> Image {
        let index: Value =
            serde_json::from_slice(&std::fs::read(layout.join("index.json")).expect("a file")).expect("JSON");
        let entries = index["manifests"].as_array().expect("manifests");
        let name = |entry: &&Value| entry["annotations"]["org.opencontainers.image.ref.name"] == "example/base:1";
        let digest = entries.iter().find(name).expect("the image")["digest"].as_str().expect("a digest").to_owned();
        let mut paths = BTreeMap::new();
        let mut layer = (0, String::new());
        for entry in std::fs::read_dir(layout.join("blobs/sha256")).expect("blobs").flatten() {
            let hex = entry.file_name().to_string_lossy().into_owned();
            let bytes = std::fs::read(entry.path()).expect("a blob");
            let kind = match serde_json::from_slice::<Value>(&bytes) {
                Ok(document) => document["mediaType"].as_str().unwrap_or("application/octet-stream").to_owned(),
                Err(_) => {
                    layer = layer.max((bytes.len(), format!("/v2/a/blobs/sha256:{hex}")));
                    "application/octet-stream".to_owned()
                }
            };
            if format!("sha256:{hex}") == digest {
                paths.insert("/v2/a/manifests/1".to_owned(), (kind.clone(), bytes.clone()));
            }
            paths.insert(format!("/v2/a/manifests/sha256:{hex}"), (kind.clone(), bytes.clone()));
            paths.insert(format!("/v2/a/blobs/sha256:{hex}"), (kind, bytes));
        }
        Image { paths, layer: layer.1 }
    }

    fn answer(&self, request: &Request) -> Reply {
        match self.paths.get(&request.path) {
            Some((kind, bytes)) => Reply::new(200, bytes.clone()).header("Content-Type", kind.as_str()),
            None => Reply::new(404, ""),
        }
    }
}

fn image() -> Arc<Image> {
    // Enough that a part of it can come.
    let mut noise = String::new();
    for number in 0..40_000u32 {
        noise += &format!("{:x} ", number.wrapping_mul(2_654_435_761));
    }
    Arc::new(Image::read(&base(&noise).dist("images")))
}

#[test]
fn a_download_that_breaks_off_goes_on() {
    let image = image();
    let known = image.clone();
    let web = Web::new(move |request, before| {
        let mut reply = known.answer(request);
        if request.path == known.layer {
            let range = request
                .headers
                .get("range")
                .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
            if let Some(from) = range {
                let whole = reply.body.len();
                reply = Reply::new(206, reply.body[from..].to_vec())
                    .header("Content-Range", format!("bytes {from}-{}/{whole}", whole - 1));
            }
            if before < 2 {
                reply.cut = Some(reply.body.len() / 3);
            }
        }
        reply
    });
    let test = project(&format!("{}/a:1", web.host()), "");
    test.xbuild(["images"]).run();
    let asked: Vec<Option<String>> = web
        .asked()
        .iter()
        .filter(|request| request.path == image.layer)
        .map(|request| request.headers.get("range").cloned())
        .collect();
    assert!(asked.len() >= 3 && asked[0].is_none() && asked[1..3].iter().all(Option::is_some), "{asked:?}");
}

#[test]
fn one_that_does_not_go_on_starts_anew() {
    let image = image();
    let known = image.clone();
    let web = Web::new(move |request, before| {
        let mut reply = known.answer(request);
        if request.path == known.layer && before == 0 {
            reply.cut = Some(reply.body.len() / 2);
        }
        reply
    });
    let test = project(&format!("{}/a:1", web.host()), "");
    test.xbuild(["images"]).run();
}

#[test]
fn a_busy_registry_is_asked_again_when_it_says_so() {
    let image = image();
    let web = Web::new(move |request, before| match before {
        0 if request.path.ends_with("/1") => Reply::new(429, "").header("Retry-After", "1"),
        1 if request.path.ends_with("/1") => Reply::new(503, "<html>back soon</html>"),
        2 if request.path.ends_with("/1") => Reply { cut: Some(9), ..image.answer(request) },
        _ => image.answer(request),
    });
    let test = project(&format!("{}/a:1", web.host()), "");
    let started = std::time::Instant::now();
    test.xbuild(["images"]).run();
    assert!(started.elapsed() >= std::time::Duration::from_millis(1500), "{:?}", started.elapsed());
}

#[test]
fn other_bytes_are_refused_whatever_they_are() {
    type Spoil = fn(&Image, &Request, Reply) -> Reply;
    let cases: [(Spoil, &str); 6] = [
        (
            |image, request, mut reply| {
                if request.path == image.layer {
                    reply.body[10] ^= 1;
                }
                reply
            },
            "expected sha256:",
        ),
        (
            |image, request, mut reply| {
                if request.path == image.layer {
                    reply.body.push(0);
                }
                reply
            },
            "more than the",
        ),
        (
            |_, request, reply| {
                if request.path.contains("/manifests/sha256") { Reply::new(200, "<!DOCTYPE html>") } else { reply }
            },
            "expected sha256:",
        ),
        (
            |_, request, reply| if request.path.ends_with("/1") { Reply::new(200, "<!DOCTYPE html>") } else { reply },
            "no manifest",
        ),
        (
            |_, request, reply| if request.path.ends_with("/1") { Reply::new(200, vec![b' '; 5 << 20]) } else { reply },
            "more than 4194304 bytes",
        ),
        (
            |_, request, reply| {
                if request.path.ends_with("/1") {
                    Reply::new(200, "{\"schemaVersion\": 1, \"schemaVersion\": 2}")
                } else {
                    reply
                }
            },
            "duplicate field",
        ),
    ];
    let image = image();
    for (spoil, said) in cases {
        let known = image.clone();
        let web = Web::new(move |request, _| spoil(&known, request, known.answer(request)));
        let test = project(&format!("{}/a:1", web.host()), "");
        test.xbuild(["images"]).status(4).stdout("").stderr_contains(said).run();
    }
}

#[test]
fn an_index_without_the_architecture_says_what_it_has() {
    let index = json!({ "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [
        { "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": format!("sha256:{}", "1".repeat(64)), "size": 2,
          "platform": { "os": "linux", "architecture": "mips64le" } },
        { "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": format!("sha256:{}", "2".repeat(64)), "size": 2,
          "platform": { "os": "unknown", "architecture": "unknown" } } ] });
    let web = Web::new(move |_, _| {
        Reply::new(200, index.to_string()).header("Content-Type", "application/vnd.oci.image.index.v1+json")
    });
    let test = project(&format!("{}/a:1", web.host()), "");
    let said = test.xbuild(["images"]).status(2).stderr_contains("it is there for linux/mips64le").run();
    assert!(!said.stderr.contains("unknown/unknown"), "{}", said.stderr);
}

#[test]
fn a_user_is_shown_to_the_registry_and_to_nobody_else() {
    let image = image();
    // Blobs are elsewhere, as with most registries.
    let known = image.clone();
    let elsewhere = Web::new(move |request, _| known.answer(request));
    let (known, place) = (image.clone(), elsewhere.host());
    let web = Web::new(move |request, _| match request.headers.get("authorization").map(String::as_str) {
        Some("Basic dXNlcjpzZWNyZXQ=") if request.path.contains("/blobs/") => {
            Reply::new(307, "").header("Location", format!("http://{place}{}", request.path))
        }
        Some("Basic dXNlcjpzZWNyZXQ=") => known.answer(request),
        _ => Reply::new(401, "").header("WWW-Authenticate", "Basic realm=\"x\""),
    });
    let test = project(&format!("{}/a:1", web.host()), "");
    test.write("docker/config.json", json!({ "auths": { web.host(): { "auth": "dXNlcjpzZWNyZXQ=" } } }).to_string());
    test.xbuild(["images"]).env("DOCKER_CONFIG", test.path().join("docker")).run();
    assert!(!elsewhere.asked().is_empty());
    for request in elsewhere.asked() {
        assert!(!request.headers.contains_key("authorization"), "{request:?}");
    }
}

#[test]
fn a_token_is_had_where_the_registry_says_but_not_for_a_password_elsewhere() {
    let image = image();
    let known = image.clone();
    let evil = Web::new(|_, _| Reply::new(200, json!({ "token": "x" }).to_string()));
    let realm = format!("http://localhost:{}/token", evil.host().rsplit(':').next().expect("a port"));
    let sends = realm.clone();
    let web = Web::new(move |request, _| {
        let path = request.path.split('?').next().unwrap_or_default();
        match (path, request.headers.get("authorization").map(String::as_str)) {
            ("/token", Some("Basic dXNlcjpzZWNyZXQ=")) => Reply::new(200, json!({ "token": "good" }).to_string()),
            ("/token", _) => Reply::new(401, ""),
            (_, Some("Bearer good" | "Bearer x")) => known.answer(request),
            _ => Reply::new(401, "").header("WWW-Authenticate", format!("Bearer realm=\"{sends}\",service=\"s\"")),
        }
    });
    let test = project(&format!("{}/a:1", web.host()), "");
    test.write("docker/config.json", json!({ "auths": { web.host(): { "auth": "dXNlcjpzZWNyZXQ=" } } }).to_string());
    let run = test.xbuild(["images"]).env("DOCKER_CONFIG", test.path().join("docker"));
    run.status(4).stderr_contains("is another host").run();
    assert!(evil.asked().is_empty(), "{:?}", evil.asked());
    // Nobody's password is at stake without a user.
    test.xbuild(["images"]).env("DOCKER_CONFIG", test.path().join("nowhere")).run();
    let asked = evil.asked();
    assert!(
        !asked.is_empty() && asked.iter().all(|request| !request.headers.contains_key("authorization")),
        "{asked:?}"
    );
    assert!(asked[0].path.contains("service=s") && asked[0].path.contains("scope=repository%3Aa%3Apull"), "{asked:?}");

    // The registry's own realm gets it.
    let known = image.clone();
    let own = Web::new(move |request, _| {
        let path = request.path.split('?').next().unwrap_or_default();
        match (path, request.headers.get("authorization").map(String::as_str)) {
            ("/token", Some("Basic dXNlcjpzZWNyZXQ=")) => {
                Reply::new(200, json!({ "access_token": "good" }).to_string())
            }
            (_, Some("Bearer good")) => known.answer(request),
            _ => Reply::new(401, "")
                .header("WWW-Authenticate", format!("Bearer realm=\"http://{}/token\"", request.headers["host"])),
        }
    });
    let test = project(&format!("{}/a:1", own.host()), "");
    test.write("docker/config.json", json!({ "auths": { own.host(): { "auth": "dXNlcjpzZWNyZXQ=" } } }).to_string());
    test.xbuild(["images"]).env("DOCKER_CONFIG", test.path().join("docker")).run();
}

/// A credential helper that knows `user` with `secret` for one server, in a folder of its own.
fn helper(server: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let script = format!(
        "#!/bin/sh\nread -r server\n[ \"$1\" = get ] || exit 2\nif [ \"$server\" = {server} ]; then\n  printf \
         '{{\"ServerURL\":\"%s\",\"Username\":\"user\",\"Secret\":\"secret\"}}' \"$server\"\nelse\n  echo credentials not found in \
         native keychain\n  exit 1\nfi\n"
    );
    for (name, text) in [("test", script.as_str()), ("broken", "#!/bin/sh\necho hush-hush\nexit 3\n")] {
        let path = folder.path().join(format!("docker-credential-{name}"));
        std::fs::write(&path, text).expect("a file");
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("its owner may");
    }
    folder
}

#[test]
fn a_user_comes_from_a_credential_helper() {
    let registry = Registry::closed();
    let below = base("one");
    registry.push(&below.dist("images"), "example/base:1", "example/base:1");
    let name = registry.name("example/base:1");
    let key = name.split('/').next().expect("a host").to_owned();
    let helpers = helper(&key);
    let path = format!("{}:{}", helpers.path().display(), std::env::var("PATH").unwrap_or_default());
    let test = project(&name, "");
    let run = |config: Value| {
        test.write("docker/config.json", config.to_string());
        test.xbuild(["images"]).env("DOCKER_CONFIG", test.path().join("docker")).env("PATH", &path)
    };
    // The registry's own helper is the one that counts, and says nothing to people.
    let own = run(json!({ "credsStore": "test", "credHelpers": { &key: "broken" } })).status(3);
    let own = own.stderr_contains("docker-credential-broken").stderr_contains("exit status: 3").run();
    assert!(!own.stderr.contains("hush"), "{}", own.stderr);
    run(json!({ "credHelpers": { &key: "absent" } })).status(3).stderr_contains("docker-credential-absent").run();
    run(json!({ "credHelpers": { &key: "../test" } }))
        .status(3)
        .stderr_contains("no name of a credential helper")
        .run();
    let finished = run(json!({ "credsStore": "broken", "credHelpers": { &key: "test" } })).run();
    for text in [finished.stdout, finished.stderr, test.read("build.json")] {
        assert!(!text.contains("secret"), "{text}");
    }
    let another = project(&registry.name("example/base:1"), "");
    another.write("docker/config.json", json!({ "credsStore": "test", "auths": { &key: {} } }).to_string());
    another.xbuild(["images", "--pull"]).env("DOCKER_CONFIG", another.path().join("docker")).env("PATH", &path).run();
    // One that knows nobody is no error: the registry is.
    let stranger = Registry::closed();
    let test = project(&stranger.name("example/base:1"), "");
    test.write("docker/config.json", json!({ "credsStore": "test" }).to_string());
    test.xbuild(["images"])
        .env("DOCKER_CONFIG", test.path().join("docker"))
        .env("PATH", &path)
        .status(4)
        .stderr_contains("wants a user and a password")
        .run();
}

#[test]
fn an_identity_token_is_exchanged_at_the_registry_s_own_realm() {
    let known = image();
    let web = Web::new(move |request, _| {
        let path = request.path.split('?').next().unwrap_or_default();
        match (path, request.headers.get("authorization").map(String::as_str)) {
            ("/token", None) if request.body.contains("refresh_token=idem%2Fpotent") => {
                Reply::new(200, json!({ "access_token": "good" }).to_string())
            }
            (_, Some("Bearer good")) => known.answer(request),
            ("/token", _) => Reply::new(401, ""),
            _ => Reply::new(401, "").header(
                "WWW-Authenticate",
                format!("Bearer realm=\"http://{}/token\",service=\"s\"", request.headers["host"]),
            ),
        }
    });
    let test = project(&format!("{}/a:1", web.host()), "");
    let auth = json!({ "auth": "MDAwOg==", "identitytoken": "idem/potent" });
    test.write("docker/config.json", json!({ "auths": { web.host(): auth } }).to_string());
    let said = test.xbuild(["images"]).env("DOCKER_CONFIG", test.path().join("docker")).run();
    assert!(!said.stderr.contains("potent"), "{}", said.stderr);
    let asked = web.asked();
    let form = asked.iter().find(|request| request.path == "/token").expect("a token was asked for");
    for part in ["grant_type=refresh_token", "service=s", "scope=repository%3Aa%3Apull"] {
        assert!(form.body.contains(part), "{form:?}");
    }
    assert!(asked.iter().all(|request| !request.path.contains("potent")), "{asked:?}");
}

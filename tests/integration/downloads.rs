//! Archives from the network: one digest, several places, all of which may lie.

use std::io::Write;

use crate::support::{Answer, Reply, Server, Test, Web, archive, host, sha256};

/// A tarball as upstream would release it: one folder with a script and a source.
fn release() -> Vec<u8> {
    let words = "many words\n".repeat(1000);
    let tar = archive(&[
        ("tool-1.0/bin/tool", 0o755, b"#!/bin/sh\necho tool 1.0\n"),
        ("tool-1.0/hello", 0o755, b"#!/bin/sh\necho hello from upstream\n"),
        ("tool-1.0/README", 0o644, words.as_bytes()),
    ]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&tar).expect("memory");
    gzip.finish().expect("memory")
}

/// A release that no other test has, so that no store holds it.
fn unique_release() -> (Vec<u8>, String) {
    let mut bytes = release();
    // A further gzip member with nothing but a name.
    let mut extra = flate2::GzBuilder::new()
        .comment(format!("{}-{:?}", crate::support::unique(), std::time::SystemTime::now()))
        .write(Vec::new(), flate2::Compression::none());
    extra.flush().expect("memory");
    bytes.extend(extra.finish().expect("memory"));
    let digest = sha256(&bytes);
    (bytes, digest)
}

/// A project that builds an upstream archive.
fn project(sha256: &str, urls: &[String]) -> Test {
    let sources: String = urls.iter().map(|url| format!("        - {{ url: \"{url}\" }}\n")).collect();
    Test::new().file(
        "xbuild.yaml",
        format!(
            "version: 1\nname: sample\narches: [{}]\nbinaries:\n  hello:\n    source:\n      sha256: {sha256}\n      sources:\n{sources}    \
             command: grep -q many README\n    outputs: {{ hello: hello }}\n",
            host()
        ),
    )
}

#[test]
fn an_archive_is_downloaded_once() {
    let (bytes, digest) = unique_release();
    let server = Server::new([("/tool.tar.gz", Answer::Body(bytes))]);
    let test = project(&digest, &[server.url("/tool.tar.gz")]);
    test.xbuild(["binaries"]).run();
    assert!(test.read(&format!("{}/hello", host())).contains("hello from upstream"));
    let record = test.build_record();
    let source = &record["steps"][format!("binary/hello/{}", host())]["source"];
    assert_eq!(source["from"], server.url("/tool.tar.gz"));
    // Another command on the same archive: another step, no other download.
    let text =
        std::fs::read_to_string(test.path().join("xbuild.yaml")).unwrap().replace("grep -q many", "grep -q words");
    test.write("xbuild.yaml", text);
    test.xbuild(["binaries"]).run();
    assert_eq!(server.asked(), ["/tool.tar.gz"]);
}

#[test]
fn another_digest_is_an_error_that_names_both() {
    let (bytes, found) = unique_release();
    let wanted = sha256(found.as_bytes());
    let server = Server::new([("/tool.tar.gz", Answer::Body(bytes))]);
    let test = project(&wanted, &[server.url("/tool.tar.gz")]);
    let run = test.xbuild(["binaries"]).status(3).stdout("");
    run.stderr_contains(server.url("/tool.tar.gz")).stderr_contains(&wanted).stderr_contains(&found).run();
    assert!(!test.store().path().join("sources-v1").join(&wanted).exists());
    assert!(!test.store().path().join("sources-v1").join(&found).exists());
}

#[test]
fn what_is_not_there_names_the_address_and_the_answer() {
    let (_, digest) = unique_release();
    let server = Server::new([]);
    let test = project(&digest, &[server.url("/gone.tar.gz")]);
    test.xbuild(["binaries"]).status(3).stderr_contains(server.url("/gone.tar.gz")).stderr_contains("404").run();
}

#[test]
fn a_download_that_ends_early_is_an_error() {
    let (bytes, digest) = unique_release();
    let server = Server::new([("/half.tar.gz", Answer::Half(bytes))]);
    let test = project(&digest, &[server.url("/half.tar.gz")]);
    test.xbuild(["binaries"]).status(3).stderr_contains(server.url("/half.tar.gz")).stderr_contains("broke off").run();
    assert!(!test.store().path().join("sources-v1").join(&digest).exists());
}

#[test]
fn a_page_for_people_is_no_archive() {
    let (_, digest) = unique_release();
    let server = Server::new([("/tool.tar.gz", Answer::Page)]);
    let test = project(&digest, &[server.url("/tool.tar.gz")]);
    test.xbuild(["binaries"]).status(3).stderr_contains(server.url("/tool.tar.gz")).stderr_contains("wanted is").run();
}

#[test]
fn the_second_source_is_taken_when_the_first_is_dead_and_the_first_is_named() {
    let (bytes, digest) = unique_release();
    let server = Server::new([("/tool.tar.gz", Answer::Body(bytes)), ("/page.tar.gz", Answer::Page)]);
    // Nobody listens there any more.
    let dead = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        format!("http://{}/tool.tar.gz", listener.local_addr().expect("an address"))
    };
    let urls = [dead.clone(), server.url("/gone.tar.gz"), server.url("/page.tar.gz"), server.url("/tool.tar.gz")];
    let test = project(&digest, &urls);
    let run = test.xbuild(["binaries"]);
    run.stderr_contains(dead)
        .stderr_contains(server.url("/gone.tar.gz"))
        .stderr_contains(server.url("/page.tar.gz"))
        .run();
    assert_eq!(server.asked(), ["/gone.tar.gz", "/page.tar.gz", "/tool.tar.gz"]);
}

#[test]
fn offline_downloads_nothing() {
    let (bytes, digest) = unique_release();
    let server = Server::new([("/tool.tar.gz", Answer::Body(bytes))]);
    let test = project(&digest, &[server.url("/tool.tar.gz")]);
    test.xbuild(["binaries", "--offline"]).status(3).stderr_contains("--offline").run();
    assert!(server.asked().is_empty());
    test.xbuild(["binaries"]).run();
    test.xbuild(["binaries", "--offline"]).run();
}

#[test]
fn an_archive_that_leads_out_is_refused() {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..10].copy_from_slice(b"../escaped");
    header.set_size(0);
    header.set_mode(0o644);
    // No store has it yet.
    header.set_mtime(crate::support::unique());
    header.set_cksum();
    builder.append(&header, &[][..]).expect("an entry");
    let bytes = builder.into_inner().expect("an archive");
    let digest = sha256(&bytes);
    let server = Server::new([("/evil.tar", Answer::Body(bytes))]);
    let test = project(&digest, &[server.url("/evil.tar")]);
    test.xbuild(["binaries"]).status(1).stderr_contains("../escaped").stderr_contains(server.url("/evil.tar")).run();
}

#[test]
fn a_component_may_be_an_archive() {
    let (bytes, digest) = unique_release();
    let server = Server::new([("/tool.tar.gz", Answer::Body(bytes))]);
    // xbuild's own definition with one more component: the layers of packages are those that there are.
    let own = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/toolchains/debian-trixie.yaml"))
        .expect("it is there");
    let component = format!(
        "components:\n  tool:\n    path: [/opt/tool/bin]\n    archive:\n      into: /opt/tool\n      hosts:\n        {}: {{ sha256: \
         {digest}, sources: [{{ url: \"{}\" }}] }}\n",
        host(),
        server.url("/tool.tar.gz")
    );
    let project = |arch: &str| {
        format!(
            "version: 1\nname: sample\narches: [{arch}]\nbinaries:\n  hello:\n    components: [tool]\n    outputs: {{ hello: hello }}\n    \
             command: |\n      {{ echo '#!/bin/sh'; tool; cat /opt/tool/hello; }} > hello\n"
        )
    };
    let test = Test::new()
        .file("toolchains/debian-trixie.yaml", own.replacen("components:\n", &component, 1))
        .file("xbuild.yaml", project("s390x"));
    test.xbuild(["binaries"]).run();
    let made = test.read("s390x/hello");
    assert!(made.contains("tool 1.0") && made.contains("hello from upstream"), "{made}");
    assert_eq!(server.asked(), ["/tool.tar.gz"]);
    test.write("xbuild.yaml", project(host()));
    test.xbuild(["binaries"]).run();
    assert_eq!(server.asked(), ["/tool.tar.gz"], "every target shares the component");
}

/// A server of one file that wants to know who asks.
fn server_with_password(path: &'static str, bytes: Vec<u8>) -> Web {
    Web::new(move |request, _| {
        let known = request.headers.get("authorization").is_some_and(|header| header == "Basic bWU6c2VjcmV0");
        match known && request.path == path {
            true => Reply::new(200, bytes.clone()),
            false => Reply::new(404, ""),
        }
    })
}

/// No file of the project's output has the password in it.
fn assert_not_in_dist(test: &Test) {
    for path in test.snapshot("dist").into_keys().filter(|path| path.is_file()) {
        let bytes = std::fs::read(&path).expect("it is there");
        assert!(!bytes.windows(6).any(|window| window == b"secret"), "the password is in {}", path.display());
    }
}

#[test]
fn a_password_is_for_the_request_alone() {
    let (bytes, digest) = unique_release();
    let server = server_with_password("/pool/tool.tar.gz", bytes);
    let address = |place: &str| format!("http://me:secret@{}{place}", server.host());
    let test = project(&digest, &[address("/gone.tar.gz"), address("/also-gone.tar.gz")]);
    let run = |arguments: &[&str]| {
        let run = test.xbuild_with(arguments).env("XBUILD_DEBIAN_MIRROR", address("")).run();
        assert!(!(run.stdout + &run.stderr).contains("secret"), "{arguments:?}");
    };
    let gone = format!("http://{}/gone.tar.gz: cannot download", server.host());
    let failed = test.xbuild(["binaries"]).status(3).stderr_contains(gone).run();
    assert!(!failed.stderr.contains("secret"), "{}", failed.stderr);
    run(&["plan", "--format", "json"]);
    let text = std::fs::read_to_string(test.path().join("xbuild.yaml")).expect("it is there");
    let mirror = "        - { debian: pool/tool.tar.gz }\n    command";
    test.write("xbuild.yaml", text.replacen("    command", mirror, 1));
    run(&["binaries"]);
    let record = test.build_record();
    let source = &record["steps"][format!("binary/hello/{}", host())]["source"];
    assert_eq!(source["from"], format!("http://{}/pool/tool.tar.gz", server.host()));
    assert_not_in_dist(&test);
}

#[test]
fn an_image_tells_no_password_of_what_was_added() {
    let server = server_with_password("/file", b"added".to_vec());
    let test = Test::new()
        .file(
            "xbuild.yaml",
            format!(
                "version: 1\nname: sample\narches: [{}]\nimages: {{ app: {{ dockerfile: Dockerfile }} }}\n",
                host()
            ),
        )
        .file("Dockerfile", format!("FROM scratch\nADD http://me:secret@{}/file /\n", server.host()))
        .without_builders();
    let told = format!("http://{}/file has the digest", server.host());
    let run = test.xbuild(["images", "-v"]).stderr_contains(told).run();
    assert!(!run.stderr.contains("secret"), "{}", run.stderr);
    assert_not_in_dist(&test);
    let run = test.xbuild(["images", "--offline"]).status(3).stderr_contains("--offline forbids it").run();
    assert!(!run.stderr.contains("secret"), "{}", run.stderr);
}

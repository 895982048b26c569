//! ADD of git repositories, from a real server; what Docker makes of them is in `tests/equality`.

use std::fs;

use crate::support::{GitServer, Server, Test, host};

/// A project with one image that adds a repository, and a store that has nothing.
fn project(add: &str) -> Test {
    let project =
        format!("version: 1\nname: sample\narches: [{}]\nimages: {{ app: {{ dockerfile: Dockerfile }} }}\n", host());
    Test::new()
        .file("xbuild.yaml", project)
        .file("Dockerfile", format!("FROM scratch\nADD {add} /x/\n"))
        .without_builders()
}

fn server() -> GitServer {
    GitServer::of(|tree| {
        fs::write(tree.join("a"), "hello\n").expect("a file");
        // It would be run where the user's own hooks are.
        fs::create_dir(tree.join("hooks")).expect("a folder");
        fs::write(tree.join("hooks/post-checkout"), "#!/bin/sh\ntouch /tmp/xbuild-was-here\n").expect("a file");
    })
}

fn layers(test: &Test) -> Vec<String> {
    let mut blobs = Vec::new();
    for blob in fs::read_dir(test.dist("images/blobs/sha256")).expect("blobs").flatten() {
        blobs.push(blob.file_name().to_string_lossy().into_owned());
    }
    blobs.sort();
    blobs
}

#[test]
fn a_commit_is_fetched_once_and_a_branch_is_asked_for() {
    let server = server();
    let test = project(&format!("{}#main", server.url()));
    let pin = format!("{}#main is the commit {1}; pin it with --checksum={1}", server.url(), server.commit);
    test.xbuild(["images"]).umask(0o077).stderr_contains(&pin).run();
    let first = layers(&test);
    test.xbuild(["images", "--offline"]).status(3).stderr_contains("--offline forbids it").run();
    server.advance();
    test.xbuild(["images"]).run();
    assert_ne!(layers(&test), first, "the branch has moved");
    // A commit that is known needs no server, whatever the mask was.
    server.break_down();
    for add in [format!("{}#{}", server.url(), server.commit), format!("--checksum={} {}", server.commit, server.url())]
    {
        test.write("Dockerfile", format!("FROM scratch\nADD {add} /x/\n"));
        let run = test.xbuild(["images", "--offline"]).run();
        assert!(!run.stderr.contains("pin it"), "{}", run.stderr);
        assert!(first.iter().all(|blob| layers(&test).contains(blob)));
    }
    test.write("Dockerfile", format!("FROM scratch\nADD {}#side /x/\n", server.url()));
    test.xbuild(["images"]).status(3).stderr_contains("/Dockerfile:2:5: git cannot fetch it").run();
}

#[test]
fn damage_to_a_commit_that_was_fetched_is_found() {
    let server = server();
    let test = project(&format!("{}#v1", server.url()));
    test.xbuild(["images"]).run();
    test.xbuild(["cache", "fsck"]).stdout_contains("the store is sound").run();
    let bucket = test.store().path().join("repositories-v2");
    let commit = fs::read_dir(&bucket).expect("a bucket").flatten().next().expect("a commit").path();
    for (file, text) in [("tree/a", "other\n"), ("tree/added", "hello\n"), ("digest", "sha256:0")] {
        let before = fs::read(commit.join(file)).ok();
        fs::write(commit.join(file), text).expect("its owner may");
        let found = test.xbuild(["cache", "fsck"]).status(1).stdout_contains("1 damaged").run().stdout;
        assert!(found.contains("repositories-v2") && found.contains("when it was fetched"), "{file}: {found}");
        match before {
            Some(bytes) => fs::write(commit.join(file), bytes).expect("its owner may"),
            None => fs::remove_file(commit.join(file)).expect("its owner may"),
        }
    }
    test.xbuild(["cache", "fsck"]).stdout_contains("the store is sound").run();
}

#[test]
fn the_history_that_is_kept_is_the_same_for_everybody() {
    let server = server();
    let test = project(&format!("--keep-git-dir {}#v1", server.url()));
    test.xbuild(["images"]).run();
    let first = layers(&test);
    let again = project(&format!("--keep-git-dir {}#v1", server.url()));
    std::thread::sleep(std::time::Duration::from_millis(1100));
    again.xbuild(["images"]).umask(0o027).run();
    assert_eq!(layers(&again), first);
    let out = tempfile::tempdir().expect("a folder");
    let folder = out.path().join("root");
    test.xbuild(["images", "app", "--arch", host(), "--output", &format!("type=local,dest={}", folder.display())])
        .run();
    let git = std::process::Command::new(crate::support::tool("git"))
        .args(["-c", "safe.directory=*", "status", "--porcelain", "--branch"])
        .current_dir(folder.join("x"))
        .output()
        .expect("git can be run");
    assert_eq!(String::from_utf8_lossy(&git.stdout), "## HEAD (no branch)\n", "{git:?}");
}

#[test]
fn a_server_of_files_is_enough() {
    let git = server();
    let plain = Server::of(git.files());
    for (reference, folder) in [("main", ""), (git.commit.as_str(), ":hooks"), ("v1", "")] {
        let test = project(&format!("{}#{reference}{folder}", plain.url("/x.git")));
        test.xbuild(["images"]).run();
    }
}

#[test]
fn hostile_addresses_are_refused() {
    for (add, column, message) in [
        ("https://me:secret@localhost/x.git", 5, "has a password in it"),
        ("ssh://-oProxyCommand=x/y", 5, "the host of the git repository"),
        ("https://localhost/x.git#--upload-pack=x", 5, "the reference '--upload-pack=x'"),
        ("https://localhost/x.git#main:../y", 5, "the folder '../y'"),
        ("https://localhost/x.git?a=b", 5, "the query"),
        ("https://me:secret@localhost/x.git?a=b", 5, "the query of the git repository 'https://localhost/x.git?a=b'"),
        ("--checksum=sha256:12 https://localhost/x.git", 16, "'sha256:12' is no commit"),
    ] {
        let test = project(add);
        let place = format!("/Dockerfile:2:{column}: ");
        let run = test.xbuild(["images"]).status(2).stderr_contains(&place).stderr_contains(message).run();
        assert!(!run.stderr.contains("secret"), "{}", run.stderr);
    }
}

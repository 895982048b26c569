//! RUN lines, in real sandboxes on a real root file system.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Agent, DEBIAN, Identity, KEY, Test, host, tool, unique};

/// A project with one image.
fn project(arches: &str, dockerfile: &str) -> Test {
    Test::new()
        .file(
            "xbuild.yaml",
            format!(
                "version: 1\nname: sample\narches: [{arches}]\nbases:\n{DEBIAN}images:\n  app: {{ name: example/app, dockerfile: \
                 app/Dockerfile }}\n"
            ),
        )
        .file("app/Dockerfile", dockerfile)
}

fn run(command: &mut Command) -> Vec<u8> {
    let output = command.output().expect("it can be run");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// An image of one architecture, as a layout has it.
struct Image {
    manifest: Value,
    config: Value,
    blobs: std::path::PathBuf,
}

impl Image {
    fn of(test: &Test, arch: &str) -> Image {
        let place = format!("oci:{}:example/app-{arch}:latest", test.dist("images").display());
        let json = |arguments: &[&str]| {
            let text = run(Command::new(tool("skopeo")).arg("inspect").args(arguments).arg(&place));
            serde_json::from_slice(&text).expect("skopeo prints JSON")
        };
        let (manifest, config) = (json(&["--raw"]), json(&["--raw", "--config"]));
        Image { manifest, config, blobs: test.dist("images/blobs/sha256") }
    }

    fn layers(&self) -> Vec<String> {
        let layers = self.manifest["layers"].as_array().expect("layers");
        layers.iter().map(|layer| layer["digest"].as_str().expect("a digest")["sha256:".len()..].to_owned()).collect()
    }

    /// The lines of tar's listing of a layer, counted from the top one.
    fn listing(&self, from_top: usize) -> Vec<String> {
        let layers = self.layers();
        let layer = self.blobs.join(&layers[layers.len() - 1 - from_top]);
        let text = run(Command::new(tool("tar")).args(["--numeric-owner", "-tvzf"]).arg(layer));
        String::from_utf8_lossy(&text)
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect()
    }

    fn read(&self, from_top: usize, path: &str) -> String {
        let layers = self.layers();
        let layer = self.blobs.join(&layers[layers.len() - 1 - from_top]);
        String::from_utf8_lossy(&run(Command::new(tool("tar")).arg("-xOzf").arg(layer).arg(path))).into_owned()
    }
}

#[test]
fn commands_change_files_and_leave_no_trace_of_the_sandbox() {
    let test = project(
        host(),
        "FROM debian:bookworm-slim\nRUN echo made > /made && ln /made /link && ln -s made /sym && rm -r /var/log && \
         rm -r /srv && mkdir /srv && mkfifo /pipe && chown 7:8 /made && chmod u+s /made && touch -d 2001-02-03 /old\n",
    );
    test.xbuild(["images"]).run();
    let image = Image::of(&test, host());
    let listing = image.listing(0);
    let has = |wanted: &str| listing.iter().any(|line| line.contains(wanted));
    for wanted in [
        "-rwSr--r-- 7/8 5 1970",
        "link to link",
        "sym -> made",
        "var/.wh.log",
        "srv/.wh..wh..opq",
        "prw-r--r-- 0/0",
        "2001-02-03",
    ] {
        assert!(has(wanted), "{wanted}: {listing:#?}");
    }
    for none in ["proc", "dev/", "sys/", "etc/", ".outside", "resolv", "tmp/"] {
        assert!(!has(none), "{none}: {listing:#?}");
    }
    let history = image.config["history"].to_string();
    assert!(history.contains("RUN /bin/sh -c echo made > /made"), "{history}");
}

#[test]
fn stages_users_arguments_and_mounts() {
    let test = project(
        host(),
        "FROM debian:bookworm-slim AS tools\nRUN mkdir /t && echo tool > /t/tool\n\
         FROM debian:bookworm-slim\nARG A=1\nENV B=2\nRUN groupadd -g 50000 more && useradd -u 1234 -m -G more me\n\
         RUN --mount=target=/ctx,rw touch /ctx/new\nUSER me\nWORKDIR /home/me\n\
         RUN --mount=from=tools,source=/t,target=/tools --mount=target=/ctx --mount=type=tmpfs,target=/fast \
         --mount=type=cache,target=/c,uid=1234 \
         id -u > who && id -G >> who && echo $A $B $HOME >> who && cat /tools/tool /ctx/Dockerfile >> who && \
         touch /fast/new /c/new\n\
         SHELL [\"/bin/bash\", \"-ec\"]\nRUN <<EOF\nfalse || echo heredoc > text\nEOF\n",
    );
    test.xbuild(["images"]).run();
    let image = Image::of(&test, host());
    let who = image.read(1, "home/me/who");
    assert!(who.starts_with("1234\n1234 50000\n1 2 /home/me\ntool\nFROM debian"), "{who}");
    assert_eq!(image.read(0, "home/me/text"), "heredoc\n");
    let listing = image.listing(1);
    assert!(listing.iter().all(|line| line.contains("home/")), "only what it wrote: {listing:#?}");
    assert!(!test.path().join("app/new").exists());
}

#[test]
fn foreign_commands_are_emulated_and_native_stages_are_not() {
    let arches = format!("{}, s390x", host());
    let test = project(
        &arches,
        "FROM --platform=$BUILDPLATFORM debian:bookworm-slim AS native\nRUN uname -m > /native\n\
         FROM debian:bookworm-slim\nRUN uname -m > /machine\nCOPY --from=native /native /\n",
    );
    let said = test.xbuild(["images", "--no-cache"]).run();
    let image = Image::of(&test, "s390x");
    assert_eq!(image.read(1, "machine"), "s390x\n");
    assert_ne!(image.read(0, "native"), "s390x\n");
    let warnings: Vec<&str> = said.stderr.lines().filter(|line| line.contains("emulated")).collect();
    assert!(
        matches!(&warnings[..], [one] if one.contains("image/app/s390x:4") && one.contains(" s")),
        "{}",
        said.stderr
    );
}

#[test]
fn a_failed_build_goes_on_where_it_failed() {
    let mark = format!("mark-{}", unique());
    let text = |last: &str| format!("FROM debian:bookworm-slim AS s\nRUN echo {mark}; sleep 2\n\nRUN {last}\n");
    let test = project(host(), &text("echo its-own-words >&2; exit 3"));
    let said = test.xbuild(["images"]).status(1).run();
    for wanted in ["its-own-words", "app/Dockerfile:4:1", "exit code 3", "stage s", host()] {
        assert!(said.stderr.contains(wanted), "{wanted}: {}", said.stderr);
    }
    test.write("app/Dockerfile", text("true"));
    let started = Instant::now();
    test.xbuild(["images"]).run();
    assert!(started.elapsed() < Duration::from_secs(2), "the first command ran again");
    let started = Instant::now();
    test.xbuild(["images", "--no-cache"]).run();
    assert!(started.elapsed() > Duration::from_secs(2), "--no-cache runs it again");
}

#[test]
fn a_target_needs_nothing_of_the_other_stages() {
    let test = project(host(), "FROM scratch AS one\nCOPY Dockerfile /one\nFROM debian:bookworm-slim\nRUN false\n");
    test.xbuild(["images", "--target", "one"]).run();
    assert_eq!(Image::of(&test, host()).listing(0).len(), 1);
}

/// Everything below a folder that holds some bytes.
fn holding(folder: &Path, wanted: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in ignore::WalkBuilder::new(folder).standard_filters(false).build().flatten() {
        let read = || {
            let bytes = fs::read(entry.path()).ok()?;
            let unpacked = match bytes.starts_with(b"\x1f\x8b") {
                true => run(Command::new(tool("gzip")).arg("-dc").arg(entry.path())),
                false => bytes,
            };
            Some(unpacked.windows(wanted.len()).any(|window| window == wanted))
        };
        if entry.path().is_file() && read() == Some(true) {
            found.push(entry.path().display().to_string());
        }
    }
    found
}

#[test]
fn a_secret_lands_nowhere() {
    let secret = format!("hush-{}-hush", unique());
    let test = project(
        host(),
        "FROM debian:bookworm-slim\nRUN --mount=type=secret,id=token,uid=5,mode=0440 --mount=type=secret,id=token,env=TOKEN \
         stat -c '%u %a' /run/secrets/token > /facts && test \"$(cat /run/secrets/token)\" = \"$TOKEN\" && sleep 3\n",
    );
    // Beside the project: what is in it is the user's to keep.
    let outside = tempfile::NamedTempFile::new().expect("a file");
    fs::write(outside.path(), &secret).expect("it can be written");
    let option = format!("id=token,src={}", outside.path().display());
    let running = test.xbuild(["images", "--secret", &option]).start();
    let mut looked = 0;
    let end = Instant::now() + Duration::from_secs(600);
    let mut running = running;
    while running.try_wait().expect("it can be asked").is_none() && Instant::now() < end {
        for process in fs::read_dir("/proc").expect("processes").flatten() {
            let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
            assert!(!line.windows(secret.len()).any(|window| window == secret.as_bytes()), "in a process list");
            looked += 1;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(looked > 100, "only {looked} command lines were seen");
    assert!(running.wait().expect("it ends").success(), "{}", test.said());
    assert!(Image::of(&test, host()).read(0, "facts").starts_with("5 440"));
    let store = test.store().path();
    let buckets =
        ["image-layers-v3", "image-steps-v3", "image-caches-v1", "layers-v1", "records-v1", "steps-v1", "tmp"];
    for folder in buckets.iter().map(|bucket| store.join(bucket)).chain([test.path().to_owned()]) {
        assert_eq!(holding(&folder, secret.as_bytes()), Vec::<String>::new());
    }
    assert!(!test.said().contains(&secret));
}

#[test]
fn an_agent_answers_whoever_may_use_its_socket() {
    // Asks for the keys, and prints how many there are and the end of the answer, which is the comment of the last.
    let client = "use IO::Socket::UNIX; my $s = IO::Socket::UNIX->new(Peer => $ENV{SSH_AUTH_SOCK}) or die qq(no: $!); \
                  syswrite $s, pack(q(NC), 1, 11); sysread $s, my $head, 4; sysread $s, my $body, unpack(q(N), $head); \
                  print unpack(q(xN), $body), q( ), substr($body, -15)";
    let dockerfile = format!(
        "FROM debian:bookworm-slim\nRUN --mount=type=ssh perl -e '{client}' > /root-s\nUSER 1234\n\
         RUN --mount=type=ssh,id=key,uid=1234,mode=0600 --mount=type=tmpfs,target=/x perl -e '{client}' > /tmp/answer && \
         test \"$(cat /tmp/answer)\" = '1 {KEY}'\nUSER 0\nRUN --mount=type=ssh,id=key ! setpriv --reuid 77 perl -e '{client}'\n"
    );
    for identity in [Identity::Own, Identity::Range] {
        if !identity.possible() {
            continue;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let agent = Agent::start(&folder.path().join("agent"));
        let (key, default) = (format!("key={}", agent.socket().display()), agent.socket().to_owned());
        // An agent talks to its own user alone.
        if identity == Identity::Own {
            let test = project(host(), &dockerfile);
            test.xbuild(["images", "--ssh", "default", "--ssh", &key]).env("SSH_AUTH_SOCK", default).run();
            assert_eq!(Image::of(&test, host()).read(2, "root-s"), format!("1 {KEY}"));
        } else {
            let file = "FROM debian:bookworm-slim\nRUN --mount=type=ssh,id=key,mode=0600 --mount=type=ssh,id=none test -S $SSH_AUTH_SOCK\n";
            project(host(), file).user(identity).xbuild(["images", "--ssh", &key]).run();
        }
    }
}

#[test]
fn what_is_wrong_is_told_before_anything_is_run() {
    for (line, place, message) in [
        ("RUN --mount=type=nfs,target=/x true", "4:18", "'type=nfs' of --mount is wrong"),
        ("RUN --mount=type=cache,target=/x,mode=9 true", "4:39", "'mode=9' of --mount is wrong"),
        ("RUN --mount=type=$KIND,target=/x true", "4:18", "'type=nfs' of --mount is wrong"),
        ("RUN --mount=type=cache true", "4:13", "a mount of type cache has no target"),
        ("RUN --net=none true", "4:5", "RUN has no option '--net'"),
        ("RUN --network=some true", "4:15", "--network cannot be 'some'"),
        ("RUN --security=insecure true", "4:16", "--security=insecure is not supported"),
        ("COPY --chmod=999 a /a", "4:14", "999"),
        ("COPY --chmod=$KIND a /a", "4:14", "nfs"),
        ("EXPOSE 99999", "4:8", "'99999' is not a port"),
        ("STOPSIGNAL $KIND", "4:12", "'nfs' is not a signal"),
        ("ENV a=\"${NOTHING:?must be there}\"", "4:18", "NOTHING: must be there"),
    ] {
        let test = project(host(), &format!("FROM debian:bookworm-slim\nARG KIND=nfs\nRUN touch /ran\n{line}\n"));
        let run = test.xbuild(["images"]).status(2).stderr_contains(format!("app/Dockerfile:{place}: ")).run();
        assert!(run.stderr.contains(message), "{line}: {}", run.stderr);
        assert!(!run.stderr.contains("touch /ran"), "{line}: {}", run.stderr);
    }
}

#[test]
fn whoever_builds_gets_the_same() {
    let mut found = Vec::new();
    for identity in [Identity::Own, Identity::Range] {
        if !identity.possible() {
            continue;
        }
        let test = project(
            host(),
            "FROM debian:bookworm-slim\nRUN useradd -m me && chown me /srv && install -o me -m 600 /dev/null /x\n",
        )
        .user(identity)
        .cold();
        test.xbuild(["images"]).run();
        found.push(Image::of(&test, host()).manifest);
    }
    assert!(found.windows(2).all(|pair| pair[0] == pair[1]), "{found:#?}");
}

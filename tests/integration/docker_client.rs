//! The client of Docker's API, with a real engine.

use std::collections::BTreeMap;
use std::fs;
use std::future::Future;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use xbuild::docker::{
    Address, BuildRequest, Builder, ChangeKind, Client, Container, ContainerRequest, Endpoint, ExecEnd, ExecRequest,
    FirstEnd, Network, temporary,
};
use xbuild::domain::{Arch, ErrorKind, Result, Stream};

use crate::support::{Docker, Images, Imports, Release, archive};

const IMAGE: &str = "localhost/busybox:1";

/// Where a process of these tests is told to hold a container, and to write the container's name.
const HOLD: &str = "XBUILD_TEST_HOLD";

fn endpoint(socket: &Path) -> Endpoint {
    let address = Address::Unix(socket.to_owned());
    Endpoint { name: address.to_string(), address }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().expect("a runtime").block_on(future)
}

/// Gives the engine an image with a shell and little else, through the builder.
async fn image(client: &Client) {
    let busybox = fs::read(Docker::busybox()).expect("it is there");
    let dockerfile =
        b"FROM scratch\nCOPY busybox /bin/\nRUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\nLABEL io.xbuild.test=yes\n";
    let context = archive(&[("Dockerfile", 0o644, dockerfile), ("busybox", 0o755, &busybox)]);
    build(client, context, Builder::Classic, IMAGE).await.1.expect("it can be built");
}

async fn build(client: &Client, context: Vec<u8>, builder: Builder, tag: &str) -> (String, Result<()>) {
    let request = BuildRequest {
        name: tag.into(),
        dockerfile: "Dockerfile".into(),
        target: None,
        tag: tag.into(),
        arch: None,
        args: BTreeMap::from([("WORD".to_owned(), "a & b".to_owned())]),
        labels: BTreeMap::from([("io.xbuild.key".to_owned(), "0815".to_owned())]),
        builder,
        no_cache: false,
        network: Network::Host,
    };
    let mut heard = String::new();
    let mut told = |stream: Stream, text: &str| heard += &format!("{stream:?} {text}");
    let result = client.build(&request, std::io::Cursor::new(context), &mut told).await;
    (heard, result)
}

fn command(argv: &[&str]) -> ExecRequest {
    let argv = argv.iter().map(|&word| word.to_owned()).collect();
    ExecRequest { argv, cwd: "/".into(), ..ExecRequest::default() }
}

async fn run(container: &Container, request: &ExecRequest) -> (ExecEnd, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut told = |stream, piece: &[u8]| match stream {
        Stream::Stdout => out.extend_from_slice(piece),
        Stream::Stderr => err.extend_from_slice(piece),
    };
    let end = container.exec(request, &mut told).await.unwrap_or_else(|error| panic!("{}", error.with_hints()));
    (end, String::from_utf8_lossy(&out).into_owned(), String::from_utf8_lossy(&err).into_owned())
}

async fn shell(container: &Container, script: &str) -> String {
    run(container, &command(&["sh", "-c", script])).await.1
}

fn request() -> ContainerRequest {
    ContainerRequest { image: IMAGE.into(), ..ContainerRequest::default() }
}

/// Waits until the engine has no container.
fn expect_none(docker: &Docker) {
    let started = Instant::now();
    while !docker.must(["ps", "--all", "--quiet"]).is_empty() {
        assert!(started.elapsed() < Duration::from_secs(20), "{}", docker.must(["ps", "--all"]));
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn commands_run_in_a_container() {
    let Some(docker) = Docker::of(Release::Current).start() else { return };
    wait(async {
        let client = Client::connect(&endpoint(&docker.work().join("socket"))).await.expect("an engine");
        assert_eq!(client.facts().arch, Arch::host().expect("an architecture"));
        image(&client).await;
        let env = BTreeMap::from([("WORD".to_owned(), "of the container".to_owned())]);
        let first = ["sh", "-c", "echo \"$WORD\"; read -r line || exit 3"].map(str::to_owned).to_vec();
        let request = ContainerRequest { first, env, init: true, memory: Some(64 << 20), ..request() };
        let container = client.create(&request).await.expect("a container");
        assert_eq!(*container.first(), FirstEnd { code: 3, said: "of the container".into() });

        let script = "echo out; echo err >&2; echo \"$WORD, $OTHER\"; pwd; id -u; cat; exit 3";
        let env = BTreeMap::from([("OTHER".to_owned(), "of the command".to_owned())]);
        let request = ExecRequest { env, cwd: "/bin".into(), user: Some("7".into()), ..command(&["sh", "-c", script]) };
        let (end, out, err) = run(&container, &request).await;
        assert_eq!(out, "out\nof the container, of the command\n/bin\n7\n");
        assert_eq!((end.code, end.timed_out, end.out_of_memory, err.as_str()), (3, false, false, "err\n"));
        assert!(end.cpu > Duration::ZERO && end.wall > Duration::ZERO, "{end:?}");

        // What is killed when its time is over, with all that it has started.
        let request = ExecRequest {
            time: Some(Duration::from_millis(500)),
            ..command(&["sh", "-c", "trap '' TERM INT HUP; sleep 987 & sleep 987"])
        };
        let (end, ..) = run(&container, &request).await;
        assert!(end.timed_out && end.code == 137 && end.wall < Duration::from_secs(10), "{end:?}");
        // The same for one that nobody waits for any more.
        let request = command(&["sleep", "987"]);
        let given_up = tokio::time::timeout(Duration::from_millis(500), run(&container, &request)).await;
        assert!(given_up.is_err());
        let started = Instant::now();
        while !shell(&container, "ps | grep '[s]leep 987'").await.is_empty() {
            assert!(started.elapsed() < Duration::from_secs(10), "it is still running");
        }

        let (end, ..) = run(&container, &command(&["sh", "-c", "x=0123456789; while :; do x=$x$x; done"])).await;
        assert!(end.out_of_memory && end.code != 0, "{end:?}");
        let (end, ..) = run(&container, &command(&["false"])).await;
        assert_eq!((end.code, end.out_of_memory), (1, false));
        let (end, ..) = run(&container, &command(&["absent"])).await;
        assert_eq!(end.code, 127);

        // A gibibyte would do as well: it comes in pieces.
        let mut bytes = 0;
        let request = command(&["dd", "if=/dev/zero", "bs=1M", "count=64"]);
        let mut told = |stream, piece: &[u8]| bytes += if stream == Stream::Stdout { piece.len() } else { 0 };
        let end = container.exec(&request, &mut told).await.expect("an end");
        assert_eq!((end.code, bytes), (0, 64 << 20));

        // Files go in and out.
        let given = archive(&[("given", 0o600, b"given")]);
        container.put("/bin", std::io::Cursor::new(given)).await.expect("it goes in");
        let mut got = Vec::new();
        container.get("/bin/given", &mut got).await.expect("it comes out");
        let mut got = tar::Archive::new(&got[..]);
        let mut entry = got.entries().expect("entries").next().expect("one").expect("whole");
        assert_eq!(std::io::read_to_string(&mut entry).expect("text"), "given");
        assert_eq!(container.get("/absent", &mut Vec::new()).await.expect_err("none").kind(), ErrorKind::Environment);
        let changes = container.changes().await.expect("a list");
        assert!(changes.contains(&(ChangeKind::Added, "/bin/given".into())), "{changes:?}");
        assert!(changes.contains(&(ChangeKind::Modified, "/bin".into())), "{changes:?}");

        // Somebody removes it in the middle.
        let id = container.id().to_owned();
        let request = command(&["sleep", "987"]);
        let mut unheard = |_, _: &[u8]| {};
        let (error, ()) = tokio::join!(container.exec(&request, &mut unheard), async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            docker.must(["rm", "--force", &id]);
        });
        let error = error.expect_err("it has no end");
        assert!(error.kind() == ErrorKind::Environment, "{error}");
        assert!(error.to_string().contains("ended while a command ran in it"), "{error}");
        container.remove().await.expect("what is gone is no error");
    });
    expect_none(&docker);
}

#[test]
fn a_container_is_gone_with_its_client() {
    let Some(docker) = Docker::of(Release::Current).start() else { return };
    let socket = docker.work().join("socket");
    wait(async {
        let client = Client::connect(&endpoint(&socket)).await.expect("an engine");
        image(&client).await;
        drop(client.create(&request()).await.expect("a container"));
    });
    expect_none(&docker);
    // A process that is killed, with a command under way.
    let name = docker.work().join("held");
    let mut held = Command::new(std::env::current_exe().expect("this program"));
    held.args(["--exact", "docker_client::a_container_is_held"]).env(HOLD, docker.work());
    let mut held = held.stdout(Stdio::null()).spawn().expect("it can be run");
    let started = Instant::now();
    while !name.exists() {
        assert!(started.elapsed() < Duration::from_secs(30), "no container");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(docker.must(["ps", "--quiet"]).lines().count(), 1);
    held.kill().expect("it can be killed");
    held.wait().expect("it is dead");
    expect_none(&docker);

    // What is left behind all the same: its owner is dead, or it never ran.
    let mut dead = Command::new("true").spawn().expect("it can be run");
    let (label, owner) = temporary();
    let other = owner.replace(&format!("/{}/", std::process::id()), &format!("/{}/", dead.id()));
    dead.wait().expect("it is dead");
    let run = |label: &str, name: &str| {
        docker.must(["run", "--detach", "--network=none", "--label", label, "--name", name, IMAGE, "sleep", "987"]);
        docker.must(["volume", "create", "--label", label, name]);
    };
    run(&format!("{label}={other}"), "left");
    run(&format!("{label}={owner}"), "mine");
    run(&format!("{label}=elsewhere/1/2/3"), "other");
    run("io.example.owner=x", "foreign");
    wait(async {
        let client = Client::connect(&endpoint(&socket)).await.expect("an engine");
        client.sweep().await.expect("swept");
    });
    for list in [&["ps", "--all", "--format={{.Names}}"][..], &["volume", "ls", "--format={{.Name}}"]] {
        let mut names: Vec<String> = docker.must(list).lines().map(str::to_owned).collect();
        names.sort();
        assert_eq!(names, ["foreign", "mine", "other"]);
    }
}

/// Not a test by itself: see `a_container_is_gone_with_its_client`, which kills it.
#[test]
fn a_container_is_held() {
    let Some(work) = std::env::var_os(HOLD) else { return };
    let work = Path::new(&work);
    wait(async {
        let client = Client::connect(&endpoint(&work.join("socket"))).await.expect("an engine");
        let container = client.create(&ContainerRequest { init: true, ..request() }).await.expect("a container");
        fs::write(work.join("held"), container.id()).expect("it can be written");
        let _ = container.exec(&command(&["sleep", "987"]), &mut |_, _| {}).await;
    });
}

#[test]
fn images_are_built_and_go_in_and_out() {
    for images in [Images::OfDriver, Images::OfContainerd] {
        let Some(docker) = Docker::of(Release::Current).images(images).start() else { return };
        wait(async {
            let client = Client::connect(&endpoint(&docker.work().join("socket"))).await.expect("an engine");
            image(&client).await;
            let facts = client.image(IMAGE).await.expect("an answer").expect("an image");
            assert_eq!(facts.arch, Some(Arch::host().expect("an architecture")));
            assert_eq!((facts.os.as_str(), facts.labels["io.xbuild.test"].as_str()), ("linux", "yes"));
            assert_eq!(client.image("localhost/absent:1").await.expect("an answer"), None);
            builds(&client).await;

            let found = client.images_labelled("io.xbuild.key", Some("0815")).await.expect("a list");
            assert!(
                found.iter().any(|image| image.tags.contains(&"localhost/good-buildkit:1".to_owned())),
                "{found:?}"
            );
            assert!(client.images_labelled("io.xbuild.key", Some("0")).await.expect("a list").is_empty());

            let mut saved = Vec::new();
            client.save(IMAGE, &mut saved).await.expect("it can be saved");
            client.tag(IMAGE, "localhost/further:2").await.expect("it can be named");
            for name in [IMAGE, "localhost/further:2", "localhost/further:2"] {
                client.remove_image(name).await.expect("it can be removed");
            }
            assert_eq!(client.image(IMAGE).await.expect("an answer"), None);
            client.load(std::io::Cursor::new(saved)).await.expect("it can be loaded");
            assert!(client.image(IMAGE).await.expect("an answer").is_some());
            let error = client.load(std::io::Cursor::new(vec![7; 4096])).await.expect_err("rubbish");
            assert_eq!(error.kind(), ErrorKind::Environment, "{error}");
            let pulled = client.pull("localhost:1/absent:1", Arch::Amd64, &mut |_| {}).await;
            assert_eq!(pulled.expect_err("nobody is there").kind(), ErrorKind::Registry);
        });
    }
}

async fn builds(client: &Client) {
    for (builder, name) in [(Builder::Classic, "classic"), (Builder::BuildKit, "buildkit")] {
        let good = format!("FROM {IMAGE}\nARG WORD\nRUN echo \"$WORD\"; echo err >&2; echo \"$WORD\" >/word\n");
        let context = archive(&[("Dockerfile", 0o644, good.as_bytes())]);
        let tag = format!("localhost/good-{name}:1");
        let (heard, result) = build(client, context, builder, &tag).await;
        result.unwrap_or_else(|error| panic!("{name}: {}\n{heard}", error.with_hints()));
        assert!(heard.contains("Stdout a & b\n") && heard.contains("Stderr err\n"), "{name}: {heard}");
        for (dockerfile, kind, words) in [
            (format!("FROM {IMAGE}\nRUN echo last words; exit 4\n"), ErrorKind::Build, "last words"),
            (format!("FROM {IMAGE}\nNONSENSE\n"), ErrorKind::Build, "NONSENSE"),
            (format!("FROM {IMAGE}\nCOPY absent /\n"), ErrorKind::Build, "absent"),
        ] {
            let context = archive(&[("Dockerfile", 0o644, dockerfile.as_bytes())]);
            let error = build(client, context, builder, "localhost/bad:1").await.1.expect_err("it cannot be built");
            assert_eq!(error.kind(), kind, "{name}: {error}");
            assert!(error.to_string().contains(words), "{name}: {error}");
        }
    }
}

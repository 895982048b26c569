//! Builds on engines; and that the engines which tests use are what they say, and leave nothing behind.

mod dockerfiles;
mod environment;
mod faults;
mod git;
mod images;
mod interactive;
mod machines;
mod nothing_stays;
mod parity;
mod sample;
mod ssh_agent;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Docker, Files, Identity, Ids, Images, Imports, Machine, Network, Podman, Reached, Release, skip};

/// What an engine answers on its socket, without a client of its own.
fn ask(endpoint: &str, path: &str) -> String {
    let mut stream = UnixStream::connect(endpoint.strip_prefix("unix://").expect("a socket")).expect("it listens");
    write!(stream, "GET {path} HTTP/1.0\r\nHost: engine\r\n\r\n").expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer
}

/// Control groups of engines, by name.
fn control_groups(name: &str) -> Vec<String> {
    let roots = fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten().map(|entry| entry.path());
    let found = roots.chain([Path::new("/sys/fs/cgroup").to_owned()]).map(|root| root.join(name));
    found.filter(|path| path.exists()).map(|path| path.display().to_string()).collect()
}

/// The engine runs a container, knows what it is to see, and is gone with all that it has made.
fn is_real(docker: Docker, files: Files) {
    docker.import_busybox("busybox");
    let hello = docker.must(["run", "--rm", "--memory", "64m", "busybox", "echo", "hello"]);
    assert_eq!(hello, "hello");
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("file"), "").expect("a file");
    let mount = format!("{0}:{0}", folder.path().display());
    let listed = docker.must(["run", "--rm", "--volume", &mount, "busybox", "ls", &folder.path().to_string_lossy()]);
    assert_eq!(listed, if files == Files::Seen { "file" } else { "" });
    let (work, name) = (docker.work().to_owned(), docker.name().to_owned());
    assert!(!control_groups(&name).is_empty(), "no control groups");
    drop(docker);
    assert!(!work.exists(), "{} is left behind", work.display());
    assert_eq!(control_groups(&name), [""; 0]);
}

#[test]
fn docker_of_debian_12() {
    let Some(docker) = Docker::of(Release::Oldest).files(Files::Seen).start() else { return };
    let version = ask(&docker.endpoint(), "/version");
    assert!(version.contains(r#""Version":"20.10."#) && version.contains(r#""ApiVersion":"1.41""#), "{version}");
    docker.import_busybox("busybox");
    let network = docker.must(["run", "--rm", "--network", "host", "busybox", "readlink", "/proc/self/ns/net"]);
    assert_eq!(Path::new(&network), fs::read_link("/proc/self/ns/net").expect("a link"));
    let config = tempfile::tempdir().expect("a folder");
    docker.context(config.path(), "other");
    let config = config.path().to_string_lossy();
    assert_eq!(docker.must(["--config", &config, "context", "inspect", "--format", "{{.Name}}", "other"]), "other");
    assert!(docker.must(["--config", &config, "--context", "other", "version"]).contains("20.10."));
    is_real(docker, Files::Seen);
}

#[test]
fn docker_of_today_that_sees_no_files() {
    let Some(docker) = Docker::of(Release::Current).images(Images::OfContainerd).start() else { return };
    is_real(docker, Files::Unseen);
}

#[test]
fn docker_with_other_ids() {
    let docker = Docker::of(Release::Current).files(Files::Seen).ids(Ids::Remapped).network(Network::Own);
    let Some(docker) = docker.start() else { return };
    docker.import_busybox("busybox");
    leads_to_the_mirror(&docker, &["bridge"]);
    let map = docker.must(["run", "--rm", "busybox", "cat", "/proc/self/uid_map"]);
    assert_ne!(map.split_whitespace().nth(1), Some("0"), "{map}");
    is_real(docker, Files::Seen);
}

#[test]
fn docker_of_a_user() {
    let Some(docker) = Docker::of(Release::Current).files(Files::Seen).ids(Ids::OfAUser).start() else { return };
    assert!(docker.must(["info", "--format", "{{.SecurityOptions}}"]).contains("name=rootless"));
    docker.import_busybox("busybox");
    docker.must(["run", "--rm", "--network", "host", "busybox", "true"]);
    let folder = tempfile::tempdir().expect("a folder");
    Identity::Range.own(folder.path());
    let mount = format!("{}:/folder", folder.path().display());
    docker.must(["run", "--rm", "--volume", &mount, "busybox", "touch", "/folder/file"]);
    let owner = |path: &Path| fs::metadata(path).expect("it is there").uid();
    assert_eq!(owner(&folder.path().join("file")), owner(folder.path()));
    is_real(docker, Files::Seen);
}

/// Builders are made of Debian's packages, in the oldest engine too.
#[test]
fn debian_in_docker() {
    let Some(docker) = Docker::of(Release::Oldest).start() else { return };
    docker.import_debian("debian:trixie-slim");
    let script = "apt-get update -q && apt-get install -q -y --no-install-recommends patch && patch --version";
    let said = docker.must(["run", "--rm", "--network", "host", "debian:trixie-slim", "sh", "-c", script]);
    assert!(said.contains("GNU patch"), "{said}");
}

#[test]
fn docker_with_little_space() {
    let Some(docker) = Docker::of(Release::Current).space(64).start() else { return };
    docker.import_busybox("busybox");
    let output = docker.docker(["run", "--rm", "busybox", "dd", "if=/dev/zero", "of=/file", "bs=1M", "count=100"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("No space left on device"), "{output:?}");
}

#[test]
fn docker_kills_for_memory() {
    let Some(docker) = Docker::of(Release::Current).start() else { return };
    docker.import_busybox("busybox");
    let script = "x=x; while :; do x=$x$x; done";
    let output = docker.docker(["run", "--name", "greedy", "--memory", "16m", "busybox", "sh", "-c", script]);
    assert_eq!(output.status.code(), Some(137), "{output:?}");
    assert_eq!(docker.must(["inspect", "--format", "{{.State.OOMKilled}}", "greedy"]), "true");
}

/// An engine in a container of another, with storage of its own; its programs are those of the outer one.
#[test]
fn docker_in_docker() {
    let Some(docker) = Docker::of(Release::Current).start() else { return };
    docker.import_busybox("busybox");
    let script = "dockerd --bridge none --iptables=false --ip6tables=false > /log 2>&1 & \
                  for try in $(seq 200); do docker version > /dev/null 2>&1 && break; sleep 0.1; done; \
                  tar -c -C / bin | docker import - busybox > /dev/null && docker run --rm busybox echo hello || cat /log";
    let run = ["run", "--rm", "--privileged", "--volume", "/var/lib/docker", "--volume", "/usr:/usr:ro"];
    // The loader of the outer engine's programs is where its link is.
    let run = [
        &run[..],
        &["--volume", "/usr/lib64:/lib64:ro", "--volume", "/usr/lib:/lib:ro", "busybox", "sh", "-c", script],
    ];
    assert_eq!(docker.must(run.concat()), "hello");
}

/// A daemon that dies takes no images along.
#[test]
fn docker_that_dies_and_comes_back() {
    let Some(docker) = Docker::of(Release::Current).start() else { return };
    docker.import_busybox("busybox");
    docker.kill_daemon();
    assert!(!docker.docker(["version"]).status.success());
    docker.start_daemon();
    assert_eq!(docker.must(["run", "--rm", "busybox", "echo", "hello"]), "hello");
}

/// Three at once, as a test of builders on other machines has them.
#[test]
fn machines() {
    let starting = [(); 3].map(|()| std::thread::spawn(Machine::start));
    let machines: Vec<Machine> =
        starting.into_iter().filter_map(|machine| machine.join().expect("it starts")).collect();
    let [by_tls, by_ssh, killed] = &machines[..] else { return };
    let config = by_tls.work().join("config");
    fs::create_dir(&config).expect("a folder");
    by_tls.context(&config, "tls", Reached::ByTls);
    by_ssh.context(&config, "ssh", Reached::BySsh);
    for machine in &machines {
        machine.import_busybox("busybox");
    }
    let listed = by_tls.client_outside(&config, &["context", "ls", "--format", "{{.Name}} {{.DockerEndpoint}}"]);
    assert!(listed.contains(&format!("ssh {}", by_ssh.endpoint(Reached::BySsh))), "{listed}");
    assert_eq!(
        by_tls.client_outside(&config, &["--context", "tls", "run", "--rm", "busybox", "echo", "hello"]),
        "hello"
    );
    // What Docker's own client does: its words to the engine are those of the program that it starts there.
    Machine::ssh_client(&config, &[by_ssh]);
    let address = by_ssh.endpoint(Reached::BySsh).replace("ssh://", "").replace(":2222", "");
    let mut command = Command::new(config.join("ssh"));
    command.args(["-p", "2222", "-T", "--", &address, "docker", "system", "dial-stdio"]);
    let mut ssh = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("ssh can be run");
    ssh.stdin.take().expect("a pipe").write_all(b"GET /_ping HTTP/1.0\r\n\r\n").expect("it reads");
    let output = ssh.wait_with_output().expect("it ends");
    assert!(String::from_utf8_lossy(&output.stdout).contains("Api-Version"), "{output:?}");
    killed.kill();
    assert!(!Path::new("/sys/class/net").join(killed.interface()).exists(), "its network is left");
    by_ssh.unplug();
    assert!(by_tls.docker(["version"]).status.success());
}

/// Packages can be installed in containers.
fn leads_to_the_mirror(engine: &dyn Imports, networks: &[&str]) {
    let mirrors = xbuild::debian::Mirrors::find(std::env::var("XBUILD_DEBIAN_MIRROR").ok().as_deref());
    let file = format!("{}/dists/trixie/Release", mirrors.expect("a Debian mirror").main());
    for network in networks {
        let read = engine.client(&["run", "--rm", "--network", network, "busybox", "wget", "-q", "-O", "-", &file]);
        assert!(read.contains("Codename: trixie"), "{read}");
    }
}

#[test]
fn networks_of_engines() {
    let oldest = Docker::of(Release::Oldest).network(Network::Own).start();
    let (Some(machine), Some(oldest)) = (Machine::start(), oldest) else { return };
    machine.import_busybox("busybox");
    leads_to_the_mirror(&machine, &["bridge", "host"]);
    oldest.import_busybox("busybox");
    leads_to_the_mirror(&oldest, &["bridge", "host"]);
}

fn podman_is_real(identity: Identity, files: Files) {
    let Some(podman) = Podman::start(identity, files) else { return };
    let version = ask(&podman.endpoint(), "/version");
    assert!(version.contains("Podman Engine"), "{version}");
    podman.import_busybox("busybox");
    assert_eq!(podman.must(["run", "--rm", "busybox", "echo", "hello"]), "hello");
    fs::write(podman.work().join("Dockerfile"), "FROM busybox\nRUN echo hello > /file\n").expect("a file");
    podman.must(["build", "--tag", "built", "--file", "/exchange/Dockerfile", "/usr/share/containers"]);
    assert_eq!(podman.must(["run", "--rm", "built", "cat", "/file"]), "hello");
    assert_eq!(podman.must(["info", "--format", "{{.Store.GraphDriverName}}"]), "overlay");
    let folder = tempfile::tempdir().expect("a folder");
    identity.own(folder.path());
    let mount = format!("{}:/folder", folder.path().display());
    let written = podman.podman(["run", "--rm", "--volume", &mount, "busybox", "touch", "/folder/file"]);
    assert_eq!(written.status.success(), files == Files::Seen, "{}", String::from_utf8_lossy(&written.stderr));
    if files == Files::Seen {
        let owner = |path: &Path| fs::metadata(path).expect("it is there").uid();
        assert_eq!(owner(&folder.path().join("file")), owner(folder.path()));
    }
    let (work, name) = (podman.work().to_owned(), podman.name().to_owned());
    drop(podman);
    assert!(!work.exists(), "{} is left behind", work.display());
    assert_eq!(control_groups(&name), [""; 0]);
}

#[test]
fn podman_of_root() {
    podman_is_real(Identity::Own, Files::Unseen);
}

#[test]
fn podman_of_a_user() {
    podman_is_real(Identity::Range, Files::Seen);
}

/// Not a test, but what the next one kills.
#[test]
#[ignore = "it waits to be killed"]
fn waits_with_engines() {
    let docker = Docker::of(Release::Current).start().expect("root runs this");
    let podman = Podman::start(Identity::Range, Files::Unseen).expect("root runs this");
    let machine = Machine::start().expect("root runs this");
    docker.import_busybox("busybox");
    docker.must(["run", "--detach", "busybox", "sleep", "1000"]);
    let network = Path::new("/sys/class/net").join(machine.interface());
    let mut left = vec![docker.work().to_owned(), podman.work().to_owned(), machine.work().to_owned(), network];
    left.extend(control_groups(docker.name()).into_iter().chain(control_groups(podman.name())).map(PathBuf::from));
    let left: Vec<String> = left.iter().map(|path| path.display().to_string()).collect();
    writeln!(std::io::stdout(), "left behind:{}", left.join(":")).expect("the next test reads it");
    std::thread::sleep(Duration::from_secs(600));
}

#[test]
fn nothing_is_left_of_a_killed_test() {
    if !nix::unistd::Uid::effective().is_root() {
        return skip("engines take root");
    }
    let mut command = Command::new(std::env::current_exe().expect("a program"));
    command.args(["--exact", "engines::waits_with_engines", "--ignored", "--nocapture"]);
    let mut test = command.stdout(Stdio::piped()).spawn().expect("it can be run again");
    let lines = BufReader::new(test.stdout.take().expect("a pipe")).lines();
    let line = lines.map_while(Result::ok).find_map(|line| Some(line.split_once("left behind:")?.1.to_owned()));
    test.kill().expect("it runs");
    test.wait().expect("it ends");
    let line = line.expect("the engines have started");
    let started = Instant::now();
    while line.split(':').any(|path| Path::new(path).exists()) {
        let left: Vec<&str> = line.split(':').filter(|path| Path::new(path).exists()).collect();
        assert!(started.elapsed() < Duration::from_secs(20), "{left:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

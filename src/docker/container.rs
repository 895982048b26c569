//! A container in which commands are run one after another, and that lives as long as its connection.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bollard::models::{
    ChangeType, ContainerCreateBody, HealthConfig, HostConfig, HostConfigCgroupnsModeEnum, Mount, MountType,
    MountVolumeOptions,
};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, DownloadFromContainerOptionsBuilder, RemoveContainerOptionsBuilder,
    UploadToContainerOptionsBuilder,
};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};

use super::client::{Client, drain, pieces};
use super::error::broken;
use super::frames::Frames;
use super::image::is_absent;
use super::owner::{LABEL, Owner};
use crate::domain::{Arch, Error, Result, ResultExt as _};

/// The container's main process: it runs the first command, says how that ended, and ends with its standard input. Any
/// shell has that built in.
const LIFELINE: [&str; 4] = [
    "/bin/sh",
    "-c",
    r#"[ "$#" = 0 ] || { "$@" </dev/null; echo "xbuild: $?"; }; while read -r line; do :; done"#,
    "xbuild",
];

/// Begins the line in which it says that.
const ENDED: &str = "xbuild: ";

/// The most that a first command may print.
const LARGEST: usize = 1 << 20;

/// So long a container may take to go.
const LEAVING: Duration = Duration::from_secs(60);

/// A folder or a file of the engine's machine that is to be seen in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// The path on the engine's machine.
    pub source: PathBuf,
    /// The path in the container.
    pub target: String,
    /// Whether the container may only read it.
    pub read_only: bool,
    /// Whether the engine is to give it the label that lets containers use it where SELinux decides.
    pub relabel: bool,
}

/// What network a container has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Network {
    /// Only itself.
    #[default]
    None,
    /// The engine's usual one.
    Default,
    /// That of the engine's machine.
    Host,
}

/// What a container is to be.
#[derive(Debug, Clone, Default)]
pub struct ContainerRequest {
    /// The image, by name or id. It has a `/bin/sh`.
    pub image: String,
    /// A command that it begins with: cheaper than one that is run later. None when empty.
    pub first: Vec<String>,
    /// Environment of all its commands, beside the image's.
    pub env: BTreeMap<String, String>,
    /// What it sees of the engine's machine.
    pub binds: Vec<Bind>,
    /// Volumes, by name, and where they are seen.
    pub volumes: Vec<(String, String)>,
    /// Where it has volumes that go with it.
    pub anonymous_volumes: Vec<String>,
    /// Its network.
    pub network: Network,
    /// Whether it may do all that root of the engine's machine may.
    pub privileged: bool,
    /// Whether its commands may make system calls that the engine's filters forbid, such as for user namespaces.
    pub unconfined: bool,
    /// Whether it is as free as its engine where the engine confines others: its ids are the machine's, and SELinux does
    /// not keep it from sockets.
    pub trusted: bool,
    /// Its labels, beside that of its owner.
    pub labels: BTreeMap<String, String>,
    /// Whether a small init reaps what its commands leave behind.
    pub init: bool,
    /// The architecture, where the image has several.
    pub platform: Option<Arch>,
    /// The most bytes of memory that all its commands may have together.
    pub memory: Option<u64>,
}

/// A running container. It ends, and is removed with its anonymous volumes, when this is dropped or xbuild dies: its main
/// process reads from a connection that closes then.
pub struct Container {
    pub(super) client: Client,
    pub(super) id: String,
    /// How many processes had been killed for memory when last looked at.
    pub(super) killed_for_memory: Arc<AtomicU64>,
    first: FirstEnd,
    _lifeline: Mutex<TokioIo<Upgraded>>,
}

/// How the command ended that a container begins with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FirstEnd {
    /// Its exit code.
    pub code: i64,
    /// All that it has printed.
    pub said: String,
}

/// How a container's file differs from its image's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is another, or a folder in which something changed.
    Modified,
    /// It is new.
    Added,
    /// It is gone.
    Deleted,
}

/// A container that is not whole yet, and is removed if it does not become so.
struct Unfinished {
    client: Client,
    id: Option<String>,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let (Some(id), Ok(runtime)) = (self.id.take(), tokio::runtime::Handle::try_current()) {
            let client = self.client.clone();
            runtime.spawn(async move { client.remove_container(&id).await });
        }
    }
}

impl Client {
    /// Makes a container and starts it; without an init where the engine has none, as Podman and Docker may be installed.
    ///
    /// # Errors
    /// An environment error with the engine's own words.
    pub async fn create(&self, request: &ContainerRequest) -> Result<Container> {
        match self.create_as_asked(request).await {
            Err(error) if request.init && lacks_init(&error) => {
                let request = ContainerRequest { init: false, ..request.clone() };
                self.create_as_asked(&request).await
            }
            other => other,
        }
    }

    async fn create_as_asked(&self, request: &ContainerRequest) -> Result<Container> {
        let mut options = CreateContainerOptionsBuilder::default();
        if let Some(arch) = request.platform {
            options = options.platform(arch.platform());
        }
        let what = format!("make a container of {}", request.image);
        let created = self.at_once().create_container(Some(options.build()), body(request)?).await;
        let id = created.map_err(|error| match is_absent(&error) {
            true => self.failed(&what)(error).hint(format!("docker pull {}", request.image)),
            false => self.failed(&what)(error),
        })?;
        let mut unfinished = Unfinished { client: self.clone(), id: Some(checked(id.id)?) };
        let id = unfinished.id.clone().unwrap_or_default();
        // Attached before it starts, or it could end at once.
        let path = format!("/containers/{id}/attach?stream=1&stdin=1&stdout=1&stderr=1");
        let mut lifeline = self.transport().upgrade(&path, &what, String::new()).await?;
        self.at_once().start_container(&id, None).await.map_err(self.failed(&what))?;
        let first = match request.first.is_empty() {
            true => FirstEnd::default(),
            false => self.first_end(&mut lifeline).await.context(|| what.clone())?,
        };
        unfinished.id = None;
        Ok(Container {
            client: self.clone(),
            id,
            killed_for_memory: Arc::default(),
            first,
            _lifeline: Mutex::new(lifeline),
        })
    }

    /// Waits for the end of a container's first command.
    async fn first_end(&self, lifeline: &mut TokioIo<Upgraded>) -> Result<FirstEnd> {
        let (mut frames, mut buffer, mut printed) = (Frames::default(), vec![0; 4 << 10], Vec::new());
        loop {
            let count = lifeline.read(&mut buffer).await.map_err(|error| broken(self.endpoint(), &error))?;
            let fed = frames.feed(&buffer[..count], &mut |_, piece| printed.extend_from_slice(piece));
            let text = String::from_utf8_lossy(&printed);
            if let Some(end) = first_end(&text) {
                return Ok(end);
            }
            if count == 0 || fed.is_err() || printed.len() > LARGEST {
                return Err(Error::environment(format!("{}: a container did not begin", self.endpoint()))
                    .because(text.trim().to_owned()));
            }
        }
    }

    /// Kills and removes a container with its anonymous volumes, and waits until it is gone.
    pub(super) async fn remove_container(&self, id: &str) -> Result<()> {
        let removed = async {
            loop {
                let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
                match self.at_once().remove_container(id, Some(options)).await {
                    Ok(()) => {}
                    Err(error) if is_absent(&error) => return Ok(()),
                    // It is being removed.
                    Err(bollard::errors::Error::DockerResponseServerError { status_code: 409, .. }) => {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                    Err(error) => return Err(self.failed("remove a container")(error)),
                }
            }
        };
        let hung = || {
            Error::environment(format!("{}: cannot remove a container", self.endpoint()))
                .because(format!("{id} is still there after {} seconds", LEAVING.as_secs()))
                .hint(format!("docker rm --force --volumes {id}"))
        };
        tokio::time::timeout(LEAVING, removed).await.unwrap_or_else(|_| Err(hung()))
    }
}

/// What the main process has said so far, if the first command has ended.
fn first_end(text: &str) -> Option<FirstEnd> {
    let (said, last) = text.strip_suffix('\n')?.rsplit_once('\n').unwrap_or(("", text.trim_end()));
    // A last line without its end stands before it.
    let (rest, code) = last.rsplit_once(ENDED)?;
    Some(FirstEnd { code: code.parse().ok()?, said: format!("{said}\n{rest}").trim().to_owned() })
}

/// Whether an engine says that it would need a program that it has not.
fn lacks_init(error: &Error) -> bool {
    let text = error.to_string();
    text.contains("init binary") || text.contains("docker-init")
}

/// The request in the engine's terms.
fn body(request: &ContainerRequest) -> Result<ContainerCreateBody> {
    let mut labels: HashMap<String, String> = request.labels.clone().into_iter().collect();
    labels.insert(LABEL.to_owned(), Owner::this().to_string());
    let mut binds = Vec::new();
    let mut mounts = Vec::new();
    for bind in &request.binds {
        let source = bind.source.to_str().ok_or_else(|| {
            Error::environment(format!("an engine cannot be told of {}", bind.source.display()))
                .because("its name is not UTF-8")
        })?;
        if bind.relabel {
            // Only the old form knows labels, and it has no way to write a colon.
            if source.contains(':') || bind.target.contains(':') {
                return Err(Error::environment(format!("an engine cannot be told to relabel {source}"))
                    .because("its name has a colon"));
            }
            let mode = if bind.read_only { "ro,z" } else { "z" };
            binds.push(format!("{source}:{}:{mode}", bind.target));
        } else {
            mounts.push(Mount {
                typ: Some(MountType::BIND),
                source: Some(source.to_owned()),
                target: Some(bind.target.clone()),
                read_only: Some(bind.read_only),
                ..Mount::default()
            });
        }
    }
    mounts.extend(request.volumes.iter().map(|(name, target)| Mount {
        typ: Some(MountType::VOLUME),
        source: Some(name.clone()),
        target: Some(target.clone()),
        // Filling a new volume from the image is not asked for.
        volume_options: Some(MountVolumeOptions { no_copy: Some(true), ..MountVolumeOptions::default() }),
        ..Mount::default()
    }));
    mounts.extend(request.anonymous_volumes.iter().map(|target| Mount {
        typ: Some(MountType::VOLUME),
        target: Some(target.clone()),
        ..Mount::default()
    }));
    let network = match request.network {
        Network::None => "none",
        Network::Default => "default",
        Network::Host => "host",
    };
    Ok(ContainerCreateBody {
        image: Some(request.image.clone()),
        env: Some(request.env.iter().map(|(name, value)| format!("{name}={value}")).collect()),
        entrypoint: Some(LIFELINE.map(str::to_owned).to_vec()),
        cmd: Some(request.first.clone()),
        working_dir: Some("/".into()),
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        open_stdin: Some(true),
        stdin_once: Some(true),
        tty: Some(false),
        // That of the image would run in vain.
        healthcheck: Some(HealthConfig { test: Some(vec!["NONE".into()]), ..HealthConfig::default() }),
        labels: Some(labels),
        host_config: Some(HostConfig {
            auto_remove: Some(true),
            binds: Some(binds).filter(|binds| !binds.is_empty()),
            mounts: Some(mounts).filter(|mounts| !mounts.is_empty()),
            network_mode: Some(network.into()),
            privileged: Some(request.privileged),
            // Whatever makes groups there makes them below the container's.
            cgroupns_mode: request.privileged.then_some(HostConfigCgroupnsModeEnum::PRIVATE),
            userns_mode: request.trusted.then(|| "host".to_owned()),
            security_opt: Some(security_options(request)).filter(|options| !options.is_empty()),
            init: Some(request.init),
            memory: request.memory.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX)),
            // Swapping instead of ending helps nobody.
            memory_swap: request.memory.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX)),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    })
}

/// What the engine does not do to confine the container.
fn security_options(request: &ContainerRequest) -> Vec<String> {
    let mut options: Vec<&str> = Vec::new();
    if request.unconfined {
        options.extend(["seccomp=unconfined", "apparmor=unconfined"]);
    }
    if request.trusted {
        options.push("label=disable");
    }
    options.into_iter().map(str::to_owned).collect()
}

/// An id that the engine gave; it becomes a part of paths.
pub(super) fn checked(id: String) -> Result<String> {
    match !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric()) {
        true => Ok(id),
        false => Err(Error::environment(format!("the engine gave the id '{}'", id.escape_debug()))),
    }
}

impl Container {
    /// The engine's name for it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// How the command ended that it began with.
    pub fn first(&self) -> &FirstEnd {
        &self.first
    }

    /// Unpacks a tar archive into a folder of the container.
    ///
    /// # Errors
    /// An environment error, also when there is no such folder.
    pub async fn put(&self, path: &str, tar: impl AsyncRead + Send + Unpin + 'static) -> Result<()> {
        let options = UploadToContainerOptionsBuilder::default().path(path).build();
        let body = bollard::body_try_stream(pieces(tar));
        let put = self.client.at_length().upload_to_container(&self.id, Some(options), body).await;
        put.map_err(self.client.failed(format!("copy into {path} of a container")))
    }

    /// Writes a file or a folder of the container as a tar archive.
    ///
    /// # Errors
    /// An environment error, also when there is no such file.
    pub async fn get(&self, path: &str, to: &mut (impl AsyncWrite + Unpin + Send)) -> Result<()> {
        let options = DownloadFromContainerOptionsBuilder::default().path(path).build();
        let docker = self.client.at_length();
        let what = format!("copy {path} out of a container");
        drain(&self.client, &what, docker.download_from_container(&self.id, Some(options)), to).await
    }

    /// What differs from the image, by path.
    ///
    /// # Errors
    /// An environment error.
    pub async fn changes(&self) -> Result<Vec<(ChangeKind, String)>> {
        let docker = self.client.at_length();
        let changes = docker.container_changes(&self.id).await;
        let changes = changes.map_err(self.client.failed("list what changed in a container"))?;
        let kind = |kind| match kind {
            ChangeType::_0 => ChangeKind::Modified,
            ChangeType::_1 => ChangeKind::Added,
            ChangeType::_2 => ChangeKind::Deleted,
        };
        let mut changes: Vec<_> =
            changes.unwrap_or_default().into_iter().map(|change| (kind(change.kind), change.path)).collect();
        changes.sort_by(|(_, one), (_, other)| one.cmp(other));
        Ok(changes)
    }

    /// Kills whatever runs in it, and removes it with its anonymous volumes. One that is gone is no error.
    ///
    /// # Errors
    /// An environment error.
    pub async fn remove(self) -> Result<()> {
        self.client.remove_container(&self.id).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(relabel: bool) -> Bind {
        Bind { source: "/a:b".into(), target: "/t".into(), read_only: true, relabel }
    }

    #[test]
    fn a_colon_in_a_path_is_no_separator() {
        let request = ContainerRequest { binds: vec![bind(false)], ..ContainerRequest::default() };
        let mounts = body(&request).unwrap().host_config.unwrap().mounts.unwrap();
        assert_eq!(mounts[0].source.as_deref(), Some("/a:b"));
        let request = ContainerRequest { binds: vec![bind(true)], ..ContainerRequest::default() };
        assert!(body(&request).unwrap_err().to_string().ends_with("its name has a colon"));
    }

    #[test]
    fn the_end_of_the_first_command_is_told_after_what_it_said() {
        for (text, code, said) in [
            ("xbuild: 0\n", 0, ""),
            ("cp: no space\nxbuild: 1\n", 1, "cp: no space"),
            ("no line endxbuild: 64\n", 64, "no line end"),
        ] {
            assert_eq!(first_end(text), Some(FirstEnd { code, said: said.into() }), "{text}");
        }
        for text in ["", "xbuild: 0", "xbuild: 0\nmore\n", "xbuild: x\n"] {
            assert_eq!(first_end(text), None, "{text}");
        }
    }

    #[test]
    fn every_container_has_its_owner() {
        let made = body(&ContainerRequest::default()).unwrap();
        assert_eq!(made.labels.unwrap()[LABEL], Owner::this().to_string());
        assert_eq!(made.host_config.unwrap().auto_remove, Some(true));
    }
}

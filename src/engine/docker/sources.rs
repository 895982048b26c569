//! Brings a session's source into its container: by mounts where the engine sees this machine's files, else by copying.
//!
//! Commands work on a copy in both cases, so that they never change the project.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::docker::{Bind, Container, ContainerRequest, ExecRequest, FirstEnd};
use crate::domain::{Error, Result, ResultExt};
use crate::engine::session::{Session, Source};
use crate::engine::{Workshop, layer_path};
use crate::image::is_whiteout;
use crate::plan::{OUTPUT, SOURCE};

/// Where a container sees the source as it is outside, and the word that tells whether it does.
const OUTSIDE: &str = "/xbuild/source";
const PROBE: &str = "/xbuild/probe";

/// Copies the source, if the word is the one that it is told, and so is the number of the source's folder: another part of this
/// machine may be seen than the one that the project is in.
const COPY: &str = "[ \"$(cat \"$1/word\")\" = \"$2\" ] && [ \"$(stat -c %i -- \"$3\")\" = \"$6\" ] || exit 64; \
    mkdir -p \"$4\" \"$5\" && cd \"$3\" && find . -mindepth 1 -maxdepth 1 ! -path ./dist -exec cp -a -t \"$4\" -- {} +";

/// What is to be in a container.
pub(super) struct Sources {
    /// Becomes the source folder, but for what an earlier build left in it.
    folder: PathBuf,
    /// Of git, seen at their own places.
    git_folders: Vec<PathBuf>,
    /// Laid over the source.
    prepared: Option<PathBuf>,
    /// A folder with a word that nobody else knows.
    probe: PathBuf,
    word: String,
    /// The inode of the folder.
    number: u64,
}

impl Sources {
    pub(super) fn of(workshop: &Workshop, session: &Session<'_>) -> Result<Sources> {
        let (folder, git_folders, prepared) = match session.source {
            Source::Folder(folder) => (folder.to_owned(), &[][..], None),
            Source::Tree { git_folders, prepared, .. } => {
                (workshop.project.clone(), git_folders, prepared.map(|key| layer_path(&workshop.store, &key)))
            }
        };
        let failed = || format!("cannot make a folder in {}", session.scratch.path().display());
        let probe =
            tempfile::Builder::new().prefix("probe").tempdir_in(session.scratch.path()).or_environment(failed)?;
        let probe = probe.keep();
        // Its own path is a word that no other machine has at that place.
        let word = format!("{} {}", probe.display(), std::process::id());
        fs::write(probe.join("word"), &word).or_environment(|| format!("cannot write to {}", probe.display()))?;
        let number = fs::metadata(&folder).or_environment(|| format!("cannot read {}", folder.display()))?.ino();
        Ok(Sources { folder, git_folders: git_folders.to_vec(), prepared, probe, word, number })
    }

    /// A request for a container that sees the files of this machine, cannot change them, and copies the source to its
    /// place; `relabel` where SELinux would not let it read them.
    pub(super) fn mounted(&self, mut request: ContainerRequest, relabel: bool) -> ContainerRequest {
        let bind = |source: &Path, target: &str| Bind {
            source: source.to_owned(),
            target: target.to_owned(),
            read_only: true,
            relabel,
        };
        request.binds.push(bind(&self.probe, PROBE));
        request.binds.push(bind(&self.folder, OUTSIDE));
        for folder in &self.git_folders {
            request.binds.push(bind(folder, &folder.display().to_string()));
        }
        let number = self.number.to_string();
        let copy = ["sh", "-euc", COPY, "sh", PROBE, &self.word, OUTSIDE, SOURCE, OUTPUT, &number];
        request.first = copy.map(str::to_owned).to_vec();
        request
    }

    /// Whether what was mounted is what is here, and so was copied to its place.
    pub(super) fn copied(container: &Container) -> Result<bool> {
        let FirstEnd { code, said } = container.first();
        match code {
            64 => Ok(false),
            code => succeeded((*code, said.clone())).map(|()| true),
        }
    }

    /// A request for a container that will be sent everything.
    pub(super) fn empty(mut request: ContainerRequest) -> ContainerRequest {
        request.first = ["mkdir", "-p", SOURCE, OUTPUT].map(str::to_owned).to_vec();
        request
    }

    /// Sends the source to its place.
    pub(super) async fn send(&self, container: &Container) -> Result<()> {
        let FirstEnd { code, said } = container.first();
        succeeded((*code, said.clone()))?;
        let dist = self.folder.join("dist");
        send(container, &[(&self.folder, Path::new(SOURCE))], &|path| path != dist).await?;
        if !self.git_folders.is_empty() {
            let folders: Vec<(&Path, &Path)> =
                self.git_folders.iter().map(|folder| (folder.as_path(), folder.as_path())).collect();
            send(container, &folders, &|_| true).await?;
        }
        Ok(())
    }

    /// Lays what the project's preparation changed over the source.
    pub(super) async fn prepare(&self, container: &Container) -> Result<()> {
        let Some(layer) = &self.prepared else { return Ok(()) };
        let mut gone = Vec::new();
        deleted(layer, Path::new(""), &mut gone).or_environment(|| format!("cannot read {}", layer.display()))?;
        for paths in gone.chunks(500) {
            let inside = paths.iter().map(|path| format!("{SOURCE}/{path}"));
            let argv: Vec<String> = ["rm", "-rf", "--"].map(str::to_owned).into_iter().chain(inside).collect();
            run(container, &argv.iter().map(String::as_str).collect::<Vec<_>>()).await?;
        }
        send_folder(container, layer, SOURCE).await
    }
}

/// Sends what is in a folder to a folder of a container.
pub(super) async fn send_folder(container: &Container, folder: &Path, into: &str) -> Result<()> {
    send(container, &[(folder, Path::new(into))], &|_| true).await
}

/// Sends a program to a place in a container whose folder is there.
pub(super) async fn send_file(container: &Container, program: &Path, to: &str) -> Result<()> {
    let failed = || format!("cannot read {}", program.display());
    let file = File::open(program).or_environment(failed)?;
    let size = file.metadata().or_environment(failed)?.len();
    let archive = tempfile::tempfile().or_environment(|| "cannot make a temporary file".into())?;
    let mut builder = tar::Builder::new(archive);
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o755);
    header.set_size(size);
    let packed = builder.append_data(&mut header, to.trim_start_matches('/'), io::Read::take(file, size));
    let archive = packed.and_then(|()| builder.into_inner());
    upload(container, archive.or_environment(failed)?).await
}

/// Has a container unpack an archive.
async fn upload(container: &Container, mut archive: File) -> Result<()> {
    io::Seek::rewind(&mut archive).or_environment(|| "cannot read a temporary file".into())?;
    container.put("/", tokio::fs::File::from_std(archive)).await
}

/// Sends folders in one archive; `take` says which paths of this machine.
async fn send(container: &Container, folders: &[(&Path, &Path)], take: &(dyn Fn(&Path) -> bool + Sync)) -> Result<()> {
    let mut file = tempfile::tempfile().or_environment(|| "cannot make a temporary file".into())?;
    let mut builder = tar::Builder::new(io::BufWriter::new(&mut file));
    for (folder, target) in folders {
        let target = target.strip_prefix("/").unwrap_or(target);
        append(&mut builder, folder, target, take).or_environment(|| format!("cannot pack {}", folder.display()))?;
    }
    let packed = builder.into_inner().and_then(|mut writer| writer.flush());
    packed.or_environment(|| "cannot write a temporary file".into())?;
    upload(container, file).await
}

/// Appends a folder with everything in it: modes and times as they are, everything root's, as in a sandbox.
fn append(
    builder: &mut tar::Builder<impl Write>,
    from: &Path,
    to: &Path,
    take: &dyn Fn(&Path) -> bool,
) -> io::Result<()> {
    let mut names = fs::read_dir(from)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
    names.sort();
    for name in names {
        let (path, inside) = (from.join(&name), to.join(&name));
        if !take(&path) {
            continue;
        }
        let metadata = fs::symlink_metadata(&path)?;
        let kind = metadata.file_type();
        let mut header = tar::Header::new_gnu();
        header.set_mode(metadata.mode() & 0o7777);
        header.set_mtime(u64::try_from(metadata.mtime()).unwrap_or_default());
        header.set_size(0);
        if kind.is_dir() {
            header.set_entry_type(tar::EntryType::Directory);
            builder.append_data(&mut header, inside.join(""), io::empty())?;
            append(builder, &path, &inside, take)?;
        } else if kind.is_symlink() {
            header.set_entry_type(tar::EntryType::Symlink);
            builder.append_link(&mut header, &inside, fs::read_link(&path)?)?;
        } else if kind.is_file() {
            header.set_entry_type(tar::EntryType::Regular);
            header.set_size(metadata.len());
            let file = File::open(&path)?;
            builder.append_data(&mut header, &inside, io::Read::take(file, metadata.len()))?;
        } else if !kind.is_char_device() && !kind.is_socket() && !kind.is_fifo() {
            return Err(io::Error::other(format!("{} is of a kind that cannot be sent", path.display())));
        }
    }
    Ok(())
}

/// Paths that a layer takes away, as overlay file systems write them: devices that do not exist.
fn deleted(layer: &Path, below: &Path, gone: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(layer.join(below))? {
        let path = below.join(entry?.file_name());
        let metadata = fs::symlink_metadata(layer.join(&path))?;
        if is_whiteout(&metadata) {
            gone.push(path.display().to_string());
        } else if metadata.is_dir() {
            deleted(layer, &path, gone)?;
        }
    }
    Ok(())
}

/// Runs a command of xbuild's own, whose failure is the engine's fault.
pub(super) async fn run(container: &Container, argv: &[&str]) -> Result<()> {
    succeeded(code(container, argv).await?)
}

/// Runs a command of xbuild's own; its exit code, and what it has said.
async fn code(container: &Container, argv: &[&str]) -> Result<(i64, String)> {
    let mut text = Vec::new();
    let request = ExecRequest {
        argv: argv.iter().map(|word| (*word).to_owned()).collect(),
        cwd: "/".into(),
        ..ExecRequest::default()
    };
    let end = container.exec(&request, &mut |_, bytes: &[u8]| text.extend_from_slice(bytes)).await?;
    Ok((end.code, String::from_utf8_lossy(&text).trim().to_owned()))
}

fn succeeded((code, said): (i64, String)) -> Result<()> {
    match code {
        0 => Ok(()),
        code => Err(Error::environment(format!("cannot set up a container: exit code {code}"))
            .because(Error::environment(said))),
    }
}

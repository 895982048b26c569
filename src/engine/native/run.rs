//! Runs sessions in sandboxes.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::root::{Root, RootRequest, open_root};
use super::sandbox::{self, Mount, Network, Notice, Spec, Stdio, Waiting};
use crate::domain::{Digest, DockerAccess, Error, Result, ResultExt};
use crate::engine::docker_socket::docker_socket;
use crate::engine::session::{Ending, Engine, Interaction, Left, OutputFolder, Session, Source, Tell};
use crate::engine::{Workshop, layer_path};
use crate::plan::{CACHE, OUTPUT, OutputFile, SOURCE, SSH_AGENT};
use crate::store::{Bucket, Scratch, mark_used};

/// The built-in engine.
pub(crate) struct Native;

impl Engine for Native {
    fn run(&self, workshop: &Workshop, session: &Session<'_>, tell: &mut Tell<'_>) -> Result<Ending> {
        let (spec, folders) = open(workshop, session)?;
        session.start()?;
        let mut failure = None;
        sandbox::run(&spec, &workshop.stop, &mut |index, notice| {
            if let Err(error) = tell(index, notice, &folders) {
                failure.get_or_insert(error);
            }
        })?;
        failure.map_or(Ok(()), Err)?;
        if let Source::Tree { changes: Some(changes), .. } = session.source {
            // Where something was mounted is no part of the result.
            let _ = fs::remove_dir(changes.join("dist"));
        }
        Ok(Ending::default())
    }

    fn interact(&self, workshop: &Workshop, session: &Session<'_>, started: Option<Waiting>) -> Result<Interaction> {
        let (mut spec, _) = open(workshop, session)?;
        spec.stdio = Stdio::Inherited;
        let waiting = started.unwrap_or_else(|| Waiting::start(spec.isolation()));
        let mut end = None;
        let ending = waiting.run(&spec, &workshop.stop, &mut |_, notice| match notice {
            Notice::Started => unmark(&spec),
            // The command has our streams: what comes back are words of the sandbox's own, on why there was none.
            Notice::Output(_, words) => _ = std::io::stderr().write_all(words),
            Notice::Exited(exit) => end = Some(exit),
        })?;
        let exit = end.ok_or_else(|| Error::bug("a command without an end"))?;
        Ok(Interaction { exit, ending: Ending::of(ending) })
    }
}

/// Takes the marks away that the kernel puts on overlays whose files it does not sync, so that nobody uses them after a crash:
/// nobody would, and while the command runs it costs no time. What stays is removed with the folder that it is in.
fn unmark(spec: &Spec) {
    let of_root = spec.root.iter().map(|root| &root.scratch);
    let of_mounts = spec.mounts.iter().filter_map(|mount| match mount {
        Mount::Overlay { work, .. } => Some(work),
        _ => None,
    });
    for work in of_root.chain(of_mounts) {
        let _ = fs::remove_dir_all(work.join("work/incompat"));
    }
}

/// Folders outside that hold what commands have left.
struct Folders {
    /// Of the source tree, those that hide others first.
    trees: Vec<PathBuf>,
    out: Option<PathBuf>,
}

impl Left for Folders {
    fn take(&self, output: &OutputFile) -> Result<PathBuf> {
        // A file of the tree is as the command left it, else as the preparation did.
        match (&output.path, &self.out) {
            (Some(path), _) => inside(&self.trees, path),
            (None, Some(out)) => inside(&[out], output.name.as_str()),
            (None, None) => Err(Error::bug("an output of commands that have no folder for it")),
        }
    }
}

fn open(workshop: &Workshop, session: &Session<'_>) -> Result<(Spec, Folders)> {
    let network = if session.network { Network::Host } else { Network::None };
    let request = RootRequest { layers: &session.root.layers(), upper: None, scratch: session.scratch, network };
    let mut spec = open_root(workshop, request)?;
    let mut folders = Folders { trees: Vec::new(), out: None };
    match session.source {
        Source::Tree { git_folders, prepared, changes } => {
            let upper = changes.map_or_else(|| session.scratch.folder("source"), |folder| Ok(folder.to_owned()))?;
            let prepared = prepared.map(|key| layer_path(&workshop.store, &key));
            spec.mounts.extend(source_mounts(workshop, session.scratch, prepared.as_deref(), &upper, git_folders)?);
            folders.trees = [upper].into_iter().chain(prepared).collect();
        }
        Source::Folder(folder) => {
            let source = folder.to_owned();
            spec.mounts.push(Mount::Bind { source, target: SOURCE.into(), read_only: false });
            folders.trees.push(folder.to_owned());
        }
    }
    let (out, read_only) = match session.output {
        OutputFolder::Empty(folder) => {
            folders.out = Some(folder.to_owned());
            (folder, false)
        }
        OutputFolder::Programs(folder) => (folder, true),
    };
    spec.mounts.push(Mount::Bind { source: out.to_owned(), target: OUTPUT.into(), read_only });
    if session.cached {
        spec.mounts.push(cache_mount(workshop, session.root)?);
    }
    match session.docker {
        None => {}
        Some(DockerAccess::Host) => spec.mounts.push(shared(docker_socket()?, DockerAccess::SOCKET)),
        Some(DockerAccess::Own) => return Err(Error::bug("a sandbox cannot hold a daemon, and a plan asks for one")),
    }
    spec.mounts.extend(session.agent.clone().map(|agent| shared(agent, SSH_AGENT)));
    spec.emulators.extend(session.emulator.clone());
    spec.commands.clone_from(&session.commands);
    spec.parallel = session.parallel;
    Ok((spec, folders))
}

/// Mounts a socket of the machine's.
fn shared(socket: PathBuf, target: &str) -> Mount {
    Mount::Bind { source: socket, target: target.into(), read_only: false }
}

/// Mounts the project's tree and what prepared it, with changes going to `upper`. What earlier builds left in `dist` is
/// not seen.
fn source_mounts(
    workshop: &Workshop,
    scratch: &Scratch,
    prepared: Option<&Path>,
    upper: &Path,
    git_folders: &[PathBuf],
) -> Result<Vec<Mount>> {
    let work = scratch.folder("source-work")?;
    let lowers = [workshop.project.as_path()].into_iter().chain(prepared).map(Path::to_owned).collect();
    let mut mounts = vec![Mount::Overlay { lowers, upper: upper.to_owned(), work, target: SOURCE.into() }];
    if workshop.project.join("dist").is_dir() {
        let source = scratch.folder("no-dist")?;
        mounts.push(Mount::Bind { source, target: Path::new(SOURCE).join("dist"), read_only: true });
    }
    for folder in git_folders {
        mounts.push(Mount::Bind { source: folder.clone(), target: folder.clone(), read_only: true });
    }
    Ok(mounts)
}

/// Mounts the compilers' caches of a builder.
fn cache_mount(workshop: &Workshop, root: &Root) -> Result<Mount> {
    let source = workshop.store.place(Bucket::GoCache, &Digest::of_json(&root.compilers));
    fs::create_dir_all(&source).or_environment(|| format!("cannot make {}", source.display()))?;
    mark_used(&source);
    Ok(Mount::Bind { source, target: CACHE.into(), read_only: false })
}

/// A regular file below the first of some folders that has it, by a path that leads nowhere else.
///
/// # Errors
/// A build error that says what is wrong with it.
pub(in crate::engine) fn inside(roots: &[impl AsRef<Path>], path: &str) -> Result<PathBuf> {
    let absent = || "it is not there".to_owned();
    let root = roots.iter().map(AsRef::as_ref).find(|root| root.join(path).symlink_metadata().is_ok());
    let root = root.ok_or_else(|| Error::build(absent()))?;
    let found = root.join(path).canonicalize().or_build(absent)?;
    let root = root.canonicalize().or_environment(|| format!("cannot find {}", root.display()))?;
    if !found.starts_with(&root) {
        return Err(Error::build("it is a link that leads out of the tree"));
    }
    if !found.is_file() {
        return Err(Error::build("it is not a regular file"));
    }
    Ok(found)
}

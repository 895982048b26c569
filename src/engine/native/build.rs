//! Runs the commands of libraries and programs in sandboxes, and takes out what they made.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::root::{Root, RootRequest, open_root};
use super::sandbox::{self, Command, Exit, Limits, Mount, Network, Notice, Spec};
use crate::domain::{Digest, Error, Event, Outcome, Result, ResultExt, Stream};
use crate::engine::board::{Board, Job};
use crate::engine::{Workshop, layer_path};
use crate::plan::{
    self, ArchiveLayer, CACHE, LibraryBuild, OUTPUT, Preparation, ProgramBuild, ProgramSource, SOURCE, Work,
};
use crate::source::{Fetcher, fetch, unpack};
use crate::store::{Bucket, KeyLock, Output, Record, Scratch, Source, mark_used, tree_digest};
use crate::verify::{Expectations, Subject};

/// Makes steps that share a sandbox, and tells of each. An error holds for all that were not told of.
pub(crate) async fn build(workshop: &Arc<Workshop>, board: &Arc<Board>, mut jobs: Vec<Job>) -> Result<()> {
    let slot = workshop.slots.clone().acquire_owned().await.map_err(|_| Error::interrupted())?;
    workshop.stop.check()?;
    // Locks of keys, in one order everywhere, so that two processes never wait for each other.
    jobs.sort_by_key(|job| job.assessment.key);
    let keys: Vec<Digest> = jobs.iter().map(|job| job.assessment.key).collect();
    let locker = workshop.clone();
    let locks: Vec<KeyLock> = blocking(move || keys.iter().map(|key| locker.store.lock(key)).collect()).await?;
    jobs.sort_by(|a, b| a.step.id.cmp(&b.step.id));
    let archive = match &jobs[0].step.work {
        Work::Archive(ArchiveLayer { source, .. }) | Work::Library(LibraryBuild { source, .. }) => Some(source.clone()),
        Work::Program(ProgramBuild { source: ProgramSource::Archive(source), .. }) => Some(source.clone()),
        _ => None,
    };
    let mut fetched = None;
    if let Some(archive) = &archive {
        let mirror = || Ok(workshop.mirrors()?.main().to_owned());
        let fetcher =
            Fetcher { store: &workshop.store, events: &workshop.events, mirror: &mirror, offline: workshop.offline };
        let (path, source) = fetch(&fetcher, archive, jobs[0].step.id.as_str()).await?;
        let source = source.unwrap_or(Source { from: "the store".into(), sha256: archive.sha256 });
        fetched = Some((path, source));
    }
    let (workshop, board) = (workshop.clone(), board.clone());
    blocking(move || {
        let _held = (slot, locks);
        Build { workshop: &workshop, board: &board, fetched, started: Instant::now() }.run(&jobs)
    })
    .await
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::bug("a step panicked").because(error))?
}

struct Build<'a> {
    workshop: &'a Workshop,
    board: &'a Board,
    fetched: Option<(PathBuf, Source)>,
    started: Instant,
}

/// What a finished step left.
struct Made {
    digest: Digest,
    tree: Option<Digest>,
    outputs: BTreeMap<String, Output>,
    wall: f64,
    cpu: f64,
}

impl Build<'_> {
    fn run(&self, jobs: &[Job]) -> Result<()> {
        let scratch = self.workshop.store.scratch()?;
        match &jobs[0].step.work {
            Work::Archive(archive) => self.archive(&jobs[0], archive, &scratch),
            Work::Library(library) => self.library(&jobs[0], library, &scratch),
            Work::Preparation(preparation) => self.preparation(&jobs[0], preparation, &scratch),
            Work::Program(_) => self.programs(jobs, &scratch),
            Work::Packages(_) | Work::Base(_) | Work::Image(_) => Err(Error::bug("a step of another kind")),
        }
    }

    fn archive(&self, job: &Job, archive: &ArchiveLayer, scratch: &Scratch) -> Result<()> {
        let tree = self.unpack(scratch)?;
        let layer = scratch.folder("layer")?;
        let into = layer.join(archive.into.trim_start_matches('/'));
        let failed = || format!("cannot make {}", archive.into);
        fs::create_dir_all(into.parent().unwrap_or(&layer)).or_environment(failed)?;
        fs::rename(&tree, &into).or_environment(failed)?;
        self.keep_layer(job, &layer, 0.0)
    }

    fn library(&self, job: &Job, library: &LibraryBuild, scratch: &Scratch) -> Result<()> {
        let source = self.unpack(scratch)?;
        let out = scratch.folder("out")?;
        let mut spec = self.spec(job, scratch, false)?;
        spec.mounts.push(Mount::Bind { source, target: SOURCE.into(), read_only: false });
        spec.mounts.push(Mount::Bind { source: out.clone(), target: OUTPUT.into(), read_only: false });
        spec.commands.push(self.command(&library.command));
        self.started(job);
        let exit = sandbox::run_one(&spec, &self.workshop.stop, &mut |stream, bytes| self.output(job, stream, bytes))?;
        if !exit.success() {
            return Err(failure(job, &exit));
        }
        for path in &library.installs {
            let inside = out.join(path.trim_start_matches('/'));
            if inside.symlink_metadata().is_err() {
                return Err(Error::build(format!("{} did not install {path}", job.step.id))
                    .hint("the recipe's `installs` says that it does"));
            }
        }
        self.keep_layer(job, &out, exit.cpu)
    }

    /// Runs a command on the project's tree, and keeps what it changed there.
    fn preparation(&self, job: &Job, preparation: &Preparation, scratch: &Scratch) -> Result<()> {
        let mut spec = self.spec(job, scratch, false)?;
        let upper = scratch.folder("source")?;
        spec.mounts.extend(source_mounts(self.workshop, scratch, None, &upper, &self.workshop.git_folders)?);
        spec.mounts.push(cache_mount(self.workshop, &job.root)?);
        spec.commands.push(self.command(&preparation.command));
        self.started(job);
        let exit = sandbox::run_one(&spec, &self.workshop.stop, &mut |stream, bytes| self.output(job, stream, bytes))?;
        if !exit.success() {
            return Err(Error::build(format!("the project's `prepare` failed: {exit}")));
        }
        // Where something was mounted is no part of the result.
        let _ = fs::remove_dir(upper.join("dist"));
        self.keep_layer(job, &upper, exit.cpu)
    }

    fn programs(&self, jobs: &[Job], scratch: &Scratch) -> Result<()> {
        let Work::Program(first) = &jobs[0].step.work else { return Err(Error::bug("a step of another kind")) };
        let out = scratch.folder("out")?;
        let mut spec = self.spec(&jobs[0], scratch, first.command.network)?;
        let trees: Vec<PathBuf> = match &first.source {
            ProgramSource::Tree => {
                let upper = scratch.folder("source")?;
                let prepared = jobs[0].prepared.map(|key| layer_path(&self.workshop.store, &key));
                spec.mounts.extend(source_mounts(
                    self.workshop,
                    scratch,
                    prepared.as_deref(),
                    &upper,
                    &self.workshop.git_folders,
                )?);
                [upper].into_iter().chain(prepared).collect()
            }
            ProgramSource::Archive(_) => {
                let tree = self.unpack(scratch)?;
                spec.mounts.push(Mount::Bind { source: tree.clone(), target: SOURCE.into(), read_only: false });
                vec![tree]
            }
        };
        spec.mounts.push(Mount::Bind { source: out.clone(), target: OUTPUT.into(), read_only: false });
        spec.mounts.push(cache_mount(self.workshop, &jobs[0].root)?);
        for job in jobs {
            let Work::Program(program) = &job.step.work else { return Err(Error::bug("a step of another kind")) };
            spec.commands.push(self.command(&program.command));
        }
        // `go build` uses all processors but for its last step, linking. On a larger machine several link at once.
        spec.parallel = (self.workshop.jobs / 4).max(1);
        sandbox::run(&spec, &self.workshop.stop, &mut |index, notice| match notice {
            Notice::Started => self.started(&jobs[index]),
            Notice::Output(stream, bytes) => self.output(&jobs[index], stream, bytes),
            Notice::Exited(exit) => self.finished(&jobs[index], &exit, &out, &trees, scratch),
        })
    }

    fn started(&self, job: &Job) {
        let reason = job.assessment.reason.clone();
        self.workshop.events.emit(Event::Started { step: job.step.id.to_string(), reason });
    }

    fn output(&self, job: &Job, stream: Stream, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes).into_owned();
        self.workshop.events.emit(Event::Output { step: job.step.id.to_string(), stream, text });
    }

    /// Takes a program out of the sandbox as soon as it is made, and tells everybody.
    fn finished(&self, job: &Job, exit: &Exit, out: &Path, trees: &[PathBuf], scratch: &Scratch) {
        let took = Duration::from_secs_f64(exit.wall.max(0.0));
        let result = match exit.success() {
            true => self.keep_programs(job, out, trees, scratch, exit),
            false => Err(failure(job, exit)),
        };
        match result {
            Ok(record) => self.board.done(self.workshop, &job.step.id, record, Outcome::Built, took),
            Err(error) => self.board.failed(self.workshop, &job.step.id, error, took),
        }
    }

    fn unpack(&self, scratch: &Scratch) -> Result<PathBuf> {
        let (path, source) = self.fetched.as_ref().ok_or_else(|| Error::bug("nothing was downloaded"))?;
        let folder = scratch.folder("archive")?;
        unpack(path, &folder, &format!("{} (from {})", source.sha256, source.from))?;
        Ok(folder.join("tree"))
    }

    fn spec(&self, job: &Job, scratch: &Scratch, network: bool) -> Result<Spec> {
        let network = if network { Network::Host } else { Network::None };
        open_root(self.workshop, RootRequest { layers: &job.root.layers(), upper: None, scratch, network })
    }

    fn command(&self, command: &plan::Command) -> Command {
        let mut env = command.env.clone();
        env.insert("XBUILD_JOBS".into(), self.workshop.jobs.to_string());
        Command {
            argv: command.argv.clone(),
            env,
            cwd: command.cwd.clone().into(),
            user: None,
            limits: Limits::default(),
        }
    }

    fn keep_layer(&self, job: &Job, layer: &Path, cpu: f64) -> Result<()> {
        let tree = tree_digest(layer)?;
        self.workshop.store.keep(layer, &layer_path(&self.workshop.store, &job.assessment.key))?;
        // An archive's content follows from its key; a library's is what it is, and may equal that of another key.
        let digest = if matches!(job.step.work, Work::Archive(_)) { job.assessment.key } else { tree };
        let record = self.record(
            job,
            Made {
                digest,
                tree: Some(tree),
                outputs: BTreeMap::new(),
                wall: self.started.elapsed().as_secs_f64(),
                cpu,
            },
        )?;
        self.board.done(self.workshop, &job.step.id, record, Outcome::Built, self.started.elapsed());
        Ok(())
    }

    fn keep_programs(
        &self,
        job: &Job,
        out: &Path,
        trees: &[PathBuf],
        scratch: &Scratch,
        exit: &Exit,
    ) -> Result<Record> {
        let Work::Program(program) = &job.step.work else { return Err(Error::bug("a step of another kind")) };
        let folder = scratch.folder(&job.assessment.key.hex())?;
        let mut outputs = BTreeMap::new();
        let own = [out.to_owned()];
        for output in &program.outputs {
            // A file of the tree is as the command left it, else as the preparation did.
            let (roots, path) = match &output.path {
                Some(path) => (trees, path.as_str()),
                None => (own.as_slice(), output.name.as_str()),
            };
            let file = inside(roots, path).map_err(|cause| {
                Error::build(format!("{} made no file '{path}'", job.step.id))
                    .because(cause)
                    .hint("`outputs` says which files the command makes, below the source tree")
            })?;
            let bytes = fs::read(&file).or_build(|| format!("cannot read '{path}' of {}", job.step.id))?;
            let facts = self.verify(job, program, output.name.as_str(), &bytes)?;
            let target = folder.join(output.name.as_str());
            let failed = || format!("cannot write {}", target.display());
            fs::write(&target, &bytes).or_environment(failed)?;
            fs::set_permissions(&target, fs::Permissions::from_mode(0o755)).or_environment(failed)?;
            let output_record = Output { digest: Digest::of(&bytes), size: bytes.len() as u64, facts: Some(facts) };
            outputs.insert(output.name.to_string(), output_record);
        }
        let digests: Vec<_> = outputs.iter().map(|(name, output)| (name, output.digest)).collect();
        let digest = Digest::of_json(&digests);
        self.workshop.store.keep(&folder, &self.workshop.store.place(Bucket::Outputs, &job.assessment.key))?;
        self.record(job, Made { digest, tree: None, outputs, wall: exit.wall, cpu: exit.cpu })
    }

    fn verify(&self, job: &Job, program: &ProgramBuild, name: &str, bytes: &[u8]) -> Result<serde_json::Value> {
        let arch = job.step.arch.ok_or_else(|| Error::bug("a program without an architecture"))?;
        let subject = Subject::read(bytes).map_err(|cause| Error::build(format!("{arch}/{name} {cause}")))?;
        let expectations = Expectations {
            arch,
            statically_linked: program.statically_linked,
            glibc: program.glibc,
            builder_directories: vec![SOURCE.into(), OUTPUT.into()],
        };
        let mismatches = subject.check(&expectations);
        if !mismatches.is_empty() {
            let list: Vec<String> = mismatches.iter().map(ToString::to_string).collect();
            return Err(Error::build(format!("{arch}/{name} {}", list.join("; and it "))));
        }
        serde_json::to_value(&subject).or_bug(|| "cannot write what was found in a program".into())
    }

    fn record(&self, job: &Job, made: Made) -> Result<Record> {
        let (command, mounts) = match &job.step.work {
            Work::Library(library) => (Some(&library.command), vec![(SOURCE, "the archive"), (OUTPUT, "the result")]),
            Work::Preparation(preparation) => (Some(&preparation.command), vec![(SOURCE, "the source")]),
            Work::Program(program) => (Some(&program.command), vec![(SOURCE, "the source"), (OUTPUT, "the result")]),
            _ => (None, Vec::new()),
        };
        let record = Record {
            key: job.assessment.key,
            step: job.step.id.to_string(),
            inputs: job.assessment.inputs.clone(),
            argv: command.map(|command| command.argv.clone()).unwrap_or_default(),
            environment: command.map(|command| command.env.clone()).unwrap_or_default(),
            mounts: mounts.into_iter().map(|(inside, what)| (inside.to_owned(), what.to_owned())).collect(),
            source: self.fetched.as_ref().map(|(_, source)| source.clone()),
            started: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs()),
            wall: made.wall,
            cpu: made.cpu,
            digest: made.digest,
            tree: made.tree,
            outputs: made.outputs,
        };
        self.workshop.store.save_record(&self.workshop.scope(), &record)?;
        Ok(record)
    }
}

/// Mounts the project's tree and what prepared it, with changes going to `upper`. What earlier builds left in `dist` is
/// not seen.
pub(crate) fn source_mounts(
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
pub(crate) fn cache_mount(workshop: &Workshop, root: &Root) -> Result<Mount> {
    let source = workshop.store.place(Bucket::GoCache, &Digest::of_json(&root.compilers));
    fs::create_dir_all(&source).or_environment(|| format!("cannot make {}", source.display()))?;
    mark_used(&source);
    Ok(Mount::Bind { source, target: CACHE.into(), read_only: false })
}

/// A regular file below the first of some folders that has it, by a path that leads nowhere else.
fn inside(roots: &[impl AsRef<Path>], path: &str) -> Result<PathBuf> {
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

fn failure(job: &Job, exit: &Exit) -> Error {
    Error::build(format!("{} failed: {exit}", job.step.id)).hint(shell_hint(job))
}

fn shell_hint(job: &Job) -> String {
    let arch = job.step.arch.map(|arch| arch.to_string()).unwrap_or_default();
    format!("`xbuild shell --arch {arch}` opens a shell in the same place")
}

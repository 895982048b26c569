//! Runs the commands of libraries and programs, and keeps what they made: the same whichever engine runs them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::board::{Board, Job};
use super::locks::lock;
use super::native::sandbox::{Exit, Notice};
use super::session::{self, Ending, Left, OutputFolder, Session, Source, run_one};
use super::ssh_agent::ssh_agent;
use super::turns::Turn;
use super::{Workshop, layer_path, unless_stopped};
use crate::domain::{Digest, Error, ErrorKind, Event, Outcome, Result, ResultExt, Stream};
use crate::plan::{ArchiveLayer, LibraryBuild, OUTPUT, Preparation, ProgramBuild, ProgramSource, SOURCE, Work};
use crate::source::{Fetcher, fetch, unpack};
use crate::store::{self, Bucket, KeyLock, Output, Record, Scratch, tree_digest};
use crate::verify::{Expectations, Subject};

/// Makes steps that share a sandbox, and tells of each. An error holds for all that were not told of.
pub(crate) async fn build(workshop: &Arc<Workshop>, board: &Arc<Board>, jobs: Vec<Job>) -> Result<()> {
    let turn = Turn::of(workshop, &jobs).await?;
    workshop.stop.check()?;
    let (mut jobs, locks): (Vec<Job>, Vec<KeyLock>) = lock(workshop, board, jobs).await?.into_iter().unzip();
    if jobs.is_empty() {
        return Ok(());
    }
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
        let step = jobs[0].step.id.as_str();
        let (path, source) = unless_stopped(&workshop.stop, fetch(&fetcher, archive, step)).await?;
        let source = source.unwrap_or(store::Source { from: "the store".into(), sha256: archive.sha256 });
        fetched = Some((path, source));
    }
    let (workshop, board) = (workshop.clone(), board.clone());
    let built = tokio::task::spawn_blocking(move || {
        let _locks = locks;
        Build { workshop: &workshop, board: &board, turn, fetched, started: Instant::now() }.run(&jobs)
    });
    built.await.map_err(|error| Error::bug("a step panicked").because(error))?
}

struct Build<'a> {
    workshop: &'a Workshop,
    board: &'a Board,
    turn: Turn,
    fetched: Option<(PathBuf, store::Source)>,
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
            Work::Packages(_) | Work::Builder(_) | Work::Base(_) | Work::Image(_) => {
                Err(Error::bug("a step of another kind"))
            }
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
        let command = session::command(self.workshop, &library.command);
        let session = Session {
            target: job.step.arch,
            ..Session::new(&job.root, Source::Folder(&source), OutputFolder::Empty(&out), vec![command], scratch)
        };
        let (exit, _ending) = self.run_one(job, &session)?;
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
        let changes = scratch.folder("source")?;
        let out = scratch.folder("out")?;
        let source = Source::Tree { git_folders: &self.workshop.git_folders, prepared: None, changes: Some(&changes) };
        let command = session::command(self.workshop, &preparation.command);
        let session = Session {
            target: job.step.arch,
            cached: true,
            ..Session::new(&job.root, source, OutputFolder::Empty(&out), vec![command], scratch)
        };
        let (exit, _ending) = self.run_one(job, &session)?;
        if !exit.success() {
            return Err(Error::build(format!("the project's `prepare` failed: {exit}")));
        }
        self.keep_layer(job, &changes, exit.cpu)
    }

    fn programs(&self, jobs: &[Job], scratch: &Scratch) -> Result<()> {
        let Work::Program(first) = &jobs[0].step.work else { return Err(Error::bug("a step of another kind")) };
        let out = scratch.folder("out")?;
        let archive = match &first.source {
            ProgramSource::Tree => None,
            ProgramSource::Archive(_) => Some(self.unpack(scratch)?),
        };
        let source = match &archive {
            None => Source::Tree { git_folders: &self.workshop.git_folders, prepared: jobs[0].prepared, changes: None },
            Some(folder) => Source::Folder(folder),
        };
        let mut commands = Vec::new();
        for job in jobs {
            let Work::Program(program) = &job.step.work else { return Err(Error::bug("a step of another kind")) };
            commands.push(session::command(self.workshop, &program.command));
        }
        let start = || self.turn.start();
        let session = Session {
            target: jobs[0].step.arch,
            start: Some(&start),
            cached: true,
            network: first.command.network,
            docker: first.docker,
            agent: if first.ssh { Some(ssh_agent()?) } else { None },
            // `go build` uses all processors but for its last step, linking. On a larger machine several link at once.
            parallel: (self.workshop.jobs / 4).max(1),
            ..Session::new(&jobs[0].root, source, OutputFolder::Empty(&out), commands, scratch)
        };
        let mut compiling = jobs.len();
        let _ending = self.workshop.engine.run(self.workshop, &session, &mut |index, notice, left| match notice {
            Notice::Started => {
                self.started(&jobs[index]);
                Ok(())
            }
            Notice::Output(stream, bytes) => {
                self.output(&jobs[index], stream, bytes);
                Ok(())
            }
            Notice::Exited(exit) => {
                compiling = compiling.saturating_sub(1);
                if compiling == 0 {
                    self.turn.compiled();
                }
                self.finished(&jobs[index], &exit, left, scratch)
            }
        })?;
        Ok(())
    }

    /// Runs the only command of a step.
    fn run_one(&self, job: &Job, session: &Session<'_>) -> Result<(Exit, Ending)> {
        self.started(job);
        run_one(self.workshop, session, &mut |stream, bytes| self.output(job, stream, bytes))
    }

    fn started(&self, job: &Job) {
        let reason = job.assessment.reason.clone();
        self.workshop.events.emit(Event::Started { step: job.step.id.to_string(), reason });
    }

    fn output(&self, job: &Job, stream: Stream, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes).into_owned();
        self.workshop.events.emit(Event::Output { step: job.step.id.to_string(), stream, text });
    }

    /// Takes a program out of the sandbox as soon as it is made, and tells everybody. That it cannot be taken, because of
    /// what is around it, is not for this step alone.
    fn finished(&self, job: &Job, exit: &Exit, left: &dyn Left, scratch: &Scratch) -> Result<()> {
        let took = Duration::from_secs_f64(exit.wall.max(0.0));
        let result = match exit.success() {
            true => self.keep_programs(job, left, scratch, exit),
            false => Err(failure(job, exit)),
        };
        match result {
            Ok(record) => self.board.done(self.workshop, &job.step.id, record, Outcome::Built, took),
            Err(error) if error.kind() == ErrorKind::Environment => return Err(error),
            Err(error) => self.board.failed(self.workshop, &job.step.id, error, took),
        }
        Ok(())
    }

    fn unpack(&self, scratch: &Scratch) -> Result<PathBuf> {
        let (path, source) = self.fetched.as_ref().ok_or_else(|| Error::bug("nothing was downloaded"))?;
        let folder = scratch.folder("archive")?;
        unpack(path, &folder, &format!("{} (from {})", source.sha256, source.from))?;
        Ok(folder.join("tree"))
    }

    fn keep_layer(&self, job: &Job, layer: &Path, cpu: f64) -> Result<()> {
        let tree = tree_digest(layer)?;
        self.workshop.store.replace(layer, &layer_path(&self.workshop.store, &job.assessment.key))?;
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

    fn keep_programs(&self, job: &Job, left: &dyn Left, scratch: &Scratch, exit: &Exit) -> Result<Record> {
        let Work::Program(program) = &job.step.work else { return Err(Error::bug("a step of another kind")) };
        // All at first: a machine that dies meanwhile has the command run once more, on another one.
        let mut files = Vec::new();
        for output in &program.outputs {
            let path = output.path.as_deref().unwrap_or(output.name.as_str());
            let file = left.take(output).map_err(|cause| match cause.kind() {
                ErrorKind::Build => Error::build(format!("{} made no file '{path}'", job.step.id))
                    .because(cause)
                    .hint("`outputs` says which files the command makes, below the source tree"),
                _ => cause,
            })?;
            files.push((output, path, file));
        }
        let folder = scratch.folder(&job.assessment.key.hex())?;
        let mut outputs = BTreeMap::new();
        for (output, path, file) in files {
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
        self.workshop.store.replace(&folder, &self.workshop.store.place(Bucket::Outputs, &job.assessment.key))?;
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
            argv: command.map(|command| command.argv.clone()).unwrap_or_default(),
            environment: command.map(|command| command.env.clone()).unwrap_or_default(),
            mounts: mounts.into_iter().map(|(inside, what)| (inside.to_owned(), what.to_owned())).collect(),
            source: self.fetched.as_ref().map(|(_, source)| source.clone()),
            cpu: made.cpu,
            tree: made.tree,
            outputs: made.outputs,
            ..job.assessment.done(&job.step, made.digest, made.wall)
        };
        self.workshop.store.save_record(&self.workshop.scope(), &record)?;
        Ok(record)
    }
}

fn failure(job: &Job, exit: &Exit) -> Error {
    Error::build(format!("{} failed: {exit}", job.step.id)).hint(shell_hint(job))
}

fn shell_hint(job: &Job) -> String {
    let arch = job.step.arch.map(|arch| arch.to_string()).unwrap_or_default();
    format!("`xbuild shell --arch {arch}` opens a shell in the same place")
}

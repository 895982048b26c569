//! What most verbs start with: the project, its facts, the workshop.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use super::arguments::{BuiltBy, Global};
use super::asked;
use super::dockerfiles::Dockerfiles;
use crate::config::{Project, ProjectOptions, Variables};
use crate::docker::Endpoint;
use crate::domain::{Arch, EngineChoice, ErrorKind, Name, Result, ResultExt, TimeLimit};
use crate::engine::native::sandbox::Stop;
use crate::engine::{Workshop, WorkshopOptions, automatic, host};
use crate::plan::{Builders, Facts, HostTools};
use crate::report::Printer;
use crate::source::{GitFacts, Modes, ProjectGit, hash_tree};
use crate::store::{FileDigests, Store};

/// Carries the global options to the verbs.
pub(super) struct Setup<'a> {
    pub(super) global: &'a Global,
    pub(super) printer: &'a Printer,
}

/// What is wanted of a project's images.
#[derive(Default)]
pub(super) struct ImageWish<'a> {
    /// Only these, or all.
    pub(super) names: &'a [Name],
    /// Package lists are resolved anew.
    pub(super) update: bool,
    /// What names of bases stand for is asked anew.
    pub(super) pull: bool,
    /// The stage to end with.
    pub(super) stage: Option<&'a str>,
    /// Files of tests for all of them.
    pub(super) tests: &'a [PathBuf],
    /// Who carries out their Dockerfiles.
    pub(super) built_by: BuiltBy,
}

/// A project, and what was found out about it.
pub(super) struct Loaded {
    pub(super) project: Project,
    pub(super) facts: Facts,
    pub(super) workshop: Arc<Workshop>,
    pub(super) digests: FileDigests,
    /// Of files of the project, as images have them.
    pub(super) modes: Modes,
}

impl<'a> Setup<'a> {
    pub(super) fn new(global: &'a Global, printer: &'a Printer) -> Setup<'a> {
        Setup { global, printer }
    }

    pub(super) fn options(&self) -> ProjectOptions {
        ProjectOptions {
            folder: self.global.folder.clone(),
            file: self.global.file.clone(),
            set: self.global.set.iter().cloned().collect(),
            environment: std::env::vars_os().collect(),
        }
    }

    /// The project of the command line, for some of its architectures.
    pub(super) fn project(&self, arches: &[Arch]) -> Result<Project> {
        Project::load(&self.options())?.for_arches(arches)
    }

    /// The project if there is one, else a bare toolchain.
    pub(super) fn project_or_toolchain(&self, name: Option<&Name>, arches: &[Arch]) -> Result<Project> {
        let file = self.global.file.clone().unwrap_or_else(|| self.global.folder.join("xbuild.yaml"));
        if name.is_none() && (file.exists() || self.global.file.is_some()) {
            return self.project(arches);
        }
        let fallback: Name = "debian-trixie".parse().or_bug(|| "the default toolchain".into())?;
        let folder = &self.global.folder;
        let folder = folder.canonicalize().or_usage(|| format!("there is no folder {}", folder.display()))?;
        Project::of_toolchain(&folder, name.unwrap_or(&fallback))?.for_arches(arches)
    }

    pub(super) fn store(&self) -> Result<Store> {
        Store::open(&Store::location()?)
    }

    /// Finds out what planning needs to know. The tree is hashed only when something is built from it.
    pub(super) fn load(&self, project: Project, update: bool) -> Result<Loaded> {
        self.find_out(project, update, false, true)
    }

    /// The same for images, with their Dockerfiles; what names of bases stand for may be asked anew.
    pub(super) fn load_images(&self, project: Project, wish: &ImageWish<'_>) -> Result<(Loaded, Dockerfiles)> {
        let mut loaded = self.find_out(project, wish.update, wish.pull, true)?;
        loaded.facts.stage = wish.stage.map(str::to_owned);
        let dockerfiles = Dockerfiles::read(&loaded, wish)?;
        loaded.facts.bases.clone_from(&dockerfiles.external);
        loaded.facts.emulated.clone_from(&dockerfiles.emulated);
        Ok((loaded, dockerfiles))
    }

    /// The same for what needs a builder only, which depends on neither tree nor commit.
    pub(super) fn load_builder(&self, project: Project, update: bool) -> Result<Loaded> {
        self.find_out(project, update, false, false)
    }

    fn find_out(&self, project: Project, update: bool, pull: bool, for_programs: bool) -> Result<Loaded> {
        let needs_tree = for_programs && project.binaries.values().any(|binary| binary.source.is_none());
        let store = self.store()?;
        let program = ProjectGit::new(&project.folder);
        let (digests, tree, git) = std::thread::scope(|scope| {
            let git = for_programs.then(|| scope.spawn(|| GitFacts::read(&program, true)));
            let digests = FileDigests::load(&store, &project.folder);
            let tree = needs_tree.then(|| hash_tree(&program, &digests)).transpose();
            (digests, tree, git.and_then(|git| git.join().ok()).unwrap_or_default())
        });
        let epoch = epoch(&git)?;
        let engine = self.engine(&project)?;
        let host_tools = match engine {
            EngineChoice::Host => host::look(&project)?,
            EngineChoice::Native | EngineChoice::Docker(_) => HostTools::default(),
        };
        let builders = match engine {
            EngineChoice::Native => Builders::Layers,
            EngineChoice::Docker(_) => Builders::Images,
            EngineChoice::Host => Builders::Host(host_tools.clone()),
        };
        let stop = Stop::default();
        let options = WorkshopOptions {
            engine,
            host_tools,
            builders: self.builders(&project)?,
            project: project.folder.clone(),
            git_folders: git.folders.clone(),
            jobs: self.jobs(),
            offline: self.global.offline,
            update,
            pull,
        };
        // Other machines are greeted here, which waits for them.
        let workshop =
            tokio::task::block_in_place(|| Workshop::new(store, self.printer.events(), stop.clone(), options))?;
        let facts = Facts {
            builder_host: workshop.builder_host,
            machines: workshop.machines.clone(),
            tree: tree?.map(|tree| tree.digest),
            variables: variables(&project, &git),
            epoch,
            labels: labels(&git),
            environment: self.environment(&project),
            time_limit: self.global.time_limit.map(TimeLimit::duration),
            ..Facts::new(workshop.host, builders)
        };
        watch_interrupts(stop);
        let modes = Modes::new(program);
        Ok(Loaded { project, facts, workshop: Arc::new(workshop), digests, modes })
    }

    /// What runs commands: as the command line says, else the environment, else the project, else what can.
    ///
    /// # Errors
    /// A usage error for a variable of the environment that names no engine.
    pub(super) fn engine(&self, project: &Project) -> Result<EngineChoice> {
        Ok(asked::engine(self.global)?.or_else(|| project.engine.clone()).unwrap_or_else(automatic))
    }

    /// What commands see of xbuild's own environment; the command line has the last word.
    fn environment(&self, project: &Project) -> BTreeMap<String, String> {
        let passed = project.environment.iter().chain(&self.global.environment);
        passed.filter_map(|passing| passing.resolve(&|name| std::env::var(name).ok())).collect()
    }

    /// Engines that build for some of the project's targets: as the command line says, else the environment, else the
    /// user's contexts that are called so, unless an engine was asked for.
    fn builders(&self, project: &Project) -> Result<BTreeMap<Arch, Vec<Endpoint>>> {
        let mut builders: BTreeMap<Arch, Vec<Endpoint>> = BTreeMap::new();
        let asked = asked::builders(self.global)?;
        for choice in asked.iter().filter(|choice| project.arches.contains(&choice.target)) {
            let endpoint =
                Endpoint::find(Some(&choice.engine)).context(|| format!("the builder for {}", choice.target))?;
            builders.entry(choice.target).or_default().push(endpoint);
        }
        if builders.is_empty() && asked::engine(self.global)?.is_none() {
            for endpoint in Endpoint::contexts()? {
                let named = endpoint.name.strip_prefix("xbuild-linux-").and_then(Arch::find);
                if let Some(target) = named.filter(|target| project.arches.contains(target)) {
                    builders.entry(target).or_default().push(endpoint);
                }
            }
        }
        Ok(builders)
    }

    pub(super) fn jobs(&self) -> usize {
        let all = std::thread::available_parallelism().map_or(1, usize::from);
        self.global.jobs.map_or(all, usize::from)
    }

    /// Writes a result to standard output. A reader that went away is no error.
    pub(super) fn print(&self, text: &str) -> Result<()> {
        self.printer.finish();
        match std::io::stdout().write_all(text.as_bytes()) {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            other => other.or_environment(|| "cannot write the result".into()),
        }
    }

    /// Writes paths, a line each, or as JSON.
    pub(super) fn print_paths(&self, paths: &[impl AsRef<Path>]) -> Result<()> {
        let paths: Vec<String> = paths.iter().map(|path| path.as_ref().display().to_string()).collect();
        if self.global.json {
            let text = serde_json::to_string_pretty(&serde_json::json!({ "version": 1, "paths": paths }));
            return self.print(&(text.or_bug(|| "cannot write the result".into())? + "\n"));
        }
        self.print(&paths.iter().map(|path| format!("{path}\n")).collect::<String>())
    }
}

/// Success, or the code of the failures: of the user's own commands if any of them failed, else of the first.
pub(super) fn exit(failures: &[ErrorKind]) -> ExitCode {
    let worst = failures.iter().find(|kind| **kind == ErrorKind::Build).or(failures.first());
    worst.map_or(ExitCode::SUCCESS, |kind| ExitCode::from(kind.exit_code()))
}

/// `SOURCE_DATE_EPOCH`, else the commit's time, else 1970.
pub(super) fn epoch(git: &GitFacts) -> Result<u64> {
    match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => text.parse().or_usage(|| format!("SOURCE_DATE_EPOCH is '{text}', not seconds since 1970")),
        Err(_) => Ok(git.time.unwrap_or(0)),
    }
}

/// The project's variables, and those of git that it does not set itself.
pub(super) fn variables(project: &Project, git: &GitFacts) -> Variables {
    let mut variables = project.variables.clone();
    for (name, value) in [("version", &git.version), ("revision", &git.revision)] {
        match value {
            _ if variables.has(name) => {}
            Some(value) => variables.set(name, value),
            None => variables.set_missing(name, git.missing.as_deref().unwrap_or("git does not tell")),
        }
    }
    variables
}

fn labels(git: &GitFacts) -> BTreeMap<String, String> {
    [("revision", &git.revision), ("version", &git.version)]
        .into_iter()
        .filter_map(|(name, value)| Some((format!("org.opencontainers.image.{name}"), value.clone()?)))
        .collect()
}

/// The first Ctrl-C or SIGTERM stops the work, the second ends xbuild at once.
fn watch_interrupts(stop: Stop) {
    tokio::spawn(async move {
        let mut seen = 0;
        let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) else {
            return;
        };
        loop {
            tokio::select! {
                result = tokio::signal::ctrl_c() => if result.is_err() { return },
                _ = terminate.recv() => {}
            }
            seen += 1;
            if seen > 1 {
                std::process::exit(130);
            }
            stop.stop();
        }
    });
}

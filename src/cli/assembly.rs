//! Builds the images of a plan, those side by side that do not stand on each other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::arguments::{BuiltBy, ImagesOptions};
use super::bases::Bases;
use super::command_tests::CommandTests;
use super::commands::Commands;
use super::dockerfiles::{Dockerfiles, ImageKey};
use super::engine_images::by_engine;
use super::examine::Examination;
use super::export::{Exportable, asked};
use super::image_inputs::{files, target};
use super::secrets::{Agents, Secrets};
use super::setup::Loaded;
use crate::domain::{Arch, Digest, Error, ErrorKind, Event, ImageName, Outcome, PlainName, Result, ResultExt};
use crate::engine::native::sandbox::Identity;
use crate::engine::{Execution, layer_path, unless_stopped};
use crate::image::{
    self, Base, BaseImage, BuiltImage, Context, Folders, Ignore, LayerCache, Layout, Note, Origin, Ownership,
    Repository, RepositoryRequest, Request, Services, Steps,
};
use crate::plan::{ImageBuild, Plan, ProjectImages, Step, StepId, Work};
use crate::source::{CheckedOut, Checkout, Fetcher, fetch_url};
use crate::store::Bucket;

/// The images of a plan on their way into the layout.
pub(super) struct Assembly<'a> {
    loaded: &'a Loaded,
    execution: &'a Execution,
    dockerfiles: &'a Dockerfiles,
    images: &'a ProjectImages<'a>,
    options: &'a ImagesOptions,
    bases: Bases<'a>,
    layout: Layout,
    cache: LayerCache,
    folders: Folders<'a>,
    runtime: tokio::runtime::Handle,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Those that nobody has begun, in order.
    waiting: Vec<ImageKey>,
    /// Those that are there.
    built: BTreeMap<ImageKey, BuiltImage>,
    /// Those that failed, or were not tried.
    missing: BTreeSet<ImageKey>,
    /// Names of images of which an architecture is missing now.
    gone: BTreeSet<String>,
    failures: Vec<ErrorKind>,
}

impl<'a> Assembly<'a> {
    pub(super) fn new(
        loaded: &'a Loaded,
        execution: &'a Execution,
        dockerfiles: &'a Dockerfiles,
        images: &'a ProjectImages<'a>,
        options: &'a ImagesOptions,
    ) -> Result<Assembly<'a>> {
        let layout = Layout::open(&loaded.project.folder.join("dist/images"))?;
        let store = &loaded.workshop.store;
        let cache = LayerCache::open(&store.bucket(Bucket::Layers))?;
        let cache = cache.with_threads(loaded.workshop.jobs);
        let ownership = if loaded.workshop.identity == Identity::Root { Ownership::Real } else { Ownership::Listed };
        Ok(Assembly {
            loaded,
            execution,
            dockerfiles,
            images,
            options,
            bases: Bases::new(loaded, execution),
            layout,
            cache,
            folders: Folders::new(store, ownership),
            runtime: tokio::runtime::Handle::current(),
            state: Mutex::default(),
            changed: Condvar::new(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who must act on the images that failed.
    pub(super) fn failures(&self) -> Vec<ErrorKind> {
        self.state().failures.clone()
    }

    /// Names of images of which an architecture is missing now.
    pub(super) fn gone(&self) -> BTreeSet<String> {
        self.state().gone.clone()
    }

    /// Builds all images; failures are told and counted.
    pub(super) fn run(&mut self, plan: &Plan) -> Result<()> {
        self.state().waiting.clone_from(&self.dockerfiles.order);
        let steps: BTreeMap<ImageKey, (&Step, &ImageBuild)> = plan
            .steps
            .iter()
            .filter_map(|step| match (&step.work, step.arch) {
                (Work::Image(build), Some(arch)) => Some(((build.image.clone(), arch), (step, build))),
                _ => None,
            })
            .collect();
        // More than there are processors: every other one waits for the disk.
        let workers = (2 * self.loaded.workshop.jobs).min(self.dockerfiles.order.len());
        let this = &*self;
        std::thread::scope(|scope| {
            let work = || -> Result<()> {
                while let Some(key) = this.next() {
                    let result = steps.get(&key).map_or(Ok(()), |(step, build)| this.image(&key, step, build));
                    // Whatever happened: nobody waits for it any longer.
                    let mut state = this.state();
                    if !state.built.contains_key(&key) {
                        state.missing.insert(key);
                    }
                    drop(state);
                    this.changed.notify_all();
                    result?;
                }
                Ok(())
            };
            let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
            threads
                .into_iter()
                .try_for_each(|thread| thread.join().unwrap_or_else(|_| Err(Error::bug("building an image panicked"))))
        })
    }

    /// The next image whose bases are settled; `None` when no more are waiting.
    fn next(&self) -> Option<ImageKey> {
        let mut state = self.state();
        loop {
            if state.waiting.is_empty() || self.loaded.workshop.stop.check().is_err() {
                return None;
            }
            let settled = |key: &ImageKey| state.built.contains_key(key) || state.missing.contains(key);
            let ready = |key: &ImageKey| self.dockerfiles.bases.get(key).into_iter().flatten().all(settled);
            match state.waiting.iter().position(ready) {
                Some(place) => return Some(state.waiting.remove(place)),
                None => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// Builds an image, and says what came of it.
    fn image(&self, key: &ImageKey, step: &Step, build: &ImageBuild) -> Result<()> {
        let started = Instant::now();
        let outcome = match self.waits_for(key, step) {
            Some(reason) => Outcome::Skipped(reason),
            None => match self.assemble(key, step, build) {
                Ok(outcome) => outcome,
                Err(error) => {
                    self.state().failures.push(error.kind());
                    Outcome::Failed(error.with_hints())
                }
            },
        };
        if !matches!(outcome, Outcome::Cached | Outcome::Built) {
            self.withdraw(key.1, build)?;
        }
        let events = &self.loaded.workshop.events;
        events.emit(Event::Finished { step: step.id.to_string(), outcome, took: started.elapsed() });
        Ok(())
    }

    /// Takes the names away that an earlier run has left: an old image must not be taken for a new one.
    fn withdraw(&self, arch: Arch, build: &ImageBuild) -> Result<()> {
        for name in build.names_for(arch) {
            self.layout.remove_name(&name.to_string())?;
        }
        for name in build.index_names() {
            self.layout.remove_name(&name.to_string())?;
            self.state().gone.insert(name.to_string());
        }
        Ok(())
    }

    fn waits_for(&self, key: &ImageKey, step: &Step) -> Option<String> {
        if let Some(id) = step.needs.iter().find(|id| self.execution.done(id).is_none()) {
            return Some(id.to_string());
        }
        let state = self.state();
        let base = self.dockerfiles.bases.get(key).into_iter().flatten().find(|base| state.missing.contains(*base))?;
        Some(format!("image/{}/{}", base.0, base.1))
    }

    fn assemble(&self, key: &ImageKey, step: &Step, build: &ImageBuild) -> Result<Outcome> {
        let arch = key.1;
        let workshop = &self.loaded.workshop;
        let file = self.dockerfiles.parsed.get(key).ok_or_else(|| Error::bug("an image without a Dockerfile"))?;
        let target = target(self.loaded, build, arch, self.options.built_by);
        let ignore = Ignore::of(&build.dockerfile, &build.context)?;
        let undone = |step: &StepId| Err(Error::bug(format!("{step} is not done")));
        let files = files(self.loaded, self.execution, build, &undone)?;
        let digests = &self.loaded.digests;
        let digest = |path: &Path| {
            let metadata = path.symlink_metadata().or_environment(|| format!("cannot read {}", path.display()))?;
            digests.digest(path, &metadata)
        };
        let mode = |path: &Path, is_folder, mode| self.loaded.modes.of(path, is_folder, mode);
        let context = Context { dir: &build.context, files: &files, ignore: &ignore, digest: &digest, mode: &mode };
        let name = step.id.to_string();
        let anew = self.options.no_cache || !build.cached;
        let request = Request {
            file,
            context: &context,
            target: &target,
            steps: if anew { Steps::Anew } else { Steps::Remembered },
            layout: &self.layout,
            cache: &self.cache,
            folders: &self.folders,
            name: &name,
        };
        let emulator = self.emulator(build)?;
        let commands = Commands {
            workshop,
            runtime: &self.runtime,
            emulator: emulator.as_deref(),
            network: build.network && !workshop.offline,
            time: self.loaded.facts.time_limit,
        };
        let (secrets, agents) = (Secrets(&self.options.secret), Agents(&self.options.ssh));
        let services = Services {
            base: &|name, arch| self.base(name, arch),
            run: &|request| commands.run(request),
            fetch: &|url, checksum| self.download(url, checksum, &name),
            repository: &|request| self.repository(request, &agents),
            secret: &|id| secrets.find(id),
            agent: &|id| agents.find(id),
            tell: &|note| match note {
                Note::Warning(text) => workshop.events.emit(Event::Warning { text }),
                Note::Remembered(step) => commands.remembered(step),
            },
        };
        let built = match self.options.built_by {
            BuiltBy::Xbuild => image::build(&request, &services),
            BuiltBy::Engine => by_engine(&commands, build, &request, &services),
        };
        let built = built.map_err(|error| error.in_file(&build.dockerfile))?;
        let examination = Examination {
            loaded: self.loaded,
            layout: &self.layout,
            execution: self.execution,
            build,
            arch,
            tests: self.dockerfiles.tests.get(key).map_or(&[], Vec::as_slice),
            commands: CommandTests {
                commands: &commands,
                folders: &self.folders,
                stage: &built.stage,
                step: &name,
                time: Duration::from_secs(self.options.test_timeout.into()),
            },
        };
        examination.examine(&built, anew)?;
        let written = built.layers.iter().any(|layer| layer.origin == Origin::Written);
        let names = build.names_for(arch);
        let named = self.layout.set_names(names.into_iter().map(|name| (name.to_string(), built.manifest.clone())))?;
        let outcome = if named || written || built.ran { Outcome::Built } else { Outcome::Cached };
        self.state().built.insert(key.clone(), built);
        Ok(outcome)
    }

    /// The image that FROM names: another of the project's for the same architecture, or one from elsewhere.
    fn base(&self, name: &str, arch: Arch) -> Result<Base> {
        if let Some(image) = self.images.find(name, arch)?
            && let Some(built) = self.state().built.get(&(image.clone(), arch))
        {
            if self.options.built_by == BuiltBy::Xbuild {
                return Ok(Base::Stage(built.stage.clone()));
            }
            let image = BaseImage::read(&self.layout, built.manifest.clone(), arch)?;
            return Ok(Base::Image(Box::new(image), self.layout.dir().to_owned()));
        }
        let base = self.bases.find(name, arch).context(|| format!("base image {name}"))?;
        Ok(Base::Image(Box::new(base.image), base.layout.dir().to_owned()))
    }

    /// The program that runs an image's commands, where the machine cannot.
    fn emulator(&self, build: &ImageBuild) -> Result<Option<PathBuf>> {
        let Some(emulator) = &build.emulator else { return Ok(None) };
        let record = self.execution.done(&emulator.step);
        let record = record.ok_or_else(|| Error::bug(format!("{} is not done", emulator.step)))?;
        Ok(Some(layer_path(&self.loaded.workshop.store, &record.key).join(&emulator.path)))
    }

    fn download(&self, url: &str, checksum: Option<Digest>, step: &str) -> Result<(PathBuf, Digest)> {
        let workshop = &self.loaded.workshop;
        let mirror = || Ok(workshop.mirrors()?.main().to_owned());
        let fetcher =
            Fetcher { store: &workshop.store, events: &workshop.events, mirror: &mirror, offline: workshop.offline };
        self.runtime.block_on(unless_stopped(&workshop.stop, fetch_url(&fetcher, url, checksum, step)))
    }

    fn repository(&self, request: &RepositoryRequest<'_>, agents: &Agents<'_>) -> Result<Repository> {
        let workshop = &self.loaded.workshop;
        let checkout = Checkout {
            store: &workshop.store,
            reference: request.reference,
            checksum: request.checksum,
            keep_git: request.keep_git,
            agent: agents.find("default")?,
            offline: workshop.offline,
        };
        checkout.take().map(|CheckedOut { folder, commit }| Repository { folder, commit })
    }

    /// Writes the images that the user asked for in the forms that were asked for.
    pub(super) fn export(&self, plan: &Plan) -> Result<()> {
        if self.options.outputs.is_empty() {
            return Ok(());
        }
        let built = self.exportable(plan);
        let images = built.iter().map(|(build, arch, built)| (*build, *arch, built)).collect();
        let scratch = self.loaded.workshop.store.scratch()?;
        let exportable = Exportable { layout: &self.layout, images, scratch: scratch.path() };
        self.options.outputs.iter().try_for_each(|output| exportable.write(output))
    }

    /// Images that the user asked for and that were built.
    pub(super) fn exportable<'p>(&self, plan: &'p Plan) -> Vec<(&'p ImageBuild, Arch, BuiltImage)> {
        let state = self.state();
        let built = |build: &ImageBuild, arch| state.built.get(&(build.image.clone(), arch)).cloned();
        let asked = asked(plan, &self.options.selection.names).into_iter();
        asked.filter_map(|(build, arch)| Some((build, arch, built(build, arch)?))).collect()
    }

    /// Where the images are.
    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Digests by the names that tell all architectures; none of an image of which an architecture failed.
    pub(super) fn indexes(&self, plan: &Plan) -> Result<BTreeMap<String, String>> {
        let state = self.state();
        let mut indexes = BTreeMap::new();
        let mut names = Vec::new();
        for (image, description) in &self.loaded.project.images {
            let one = |step: &'_ Step| matches!(&step.work, Work::Image(build) if build.image == *image);
            let Some(Step { work: Work::Image(build), .. }) = plan.steps.iter().find(|step| one(step)) else {
                continue;
            };
            let built = state.built.iter().filter(|((name, _), _)| name == image);
            let built: Vec<(Arch, BuiltImage)> = built.map(|((_, arch), built)| (*arch, built.clone())).collect();
            if built.len() < description.arches.len() {
                continue;
            }
            let index = image::index(&self.layout, &built)?;
            let content = format!("{}:{}", build.repository, index.digest.short()).parse::<ImageName>()?;
            let content = build.naming.content_tag.then_some(content);
            for (arch, built) in &built {
                let content = content.iter().flat_map(|name| build.names_of(name, *arch));
                names.extend(content.map(|name| (name.to_string(), built.manifest.clone())));
                // Without an index, an image is known by the names of its architectures.
                if build.naming.plain == PlainName::Amd64 {
                    let digest = built.manifest.digest.to_string();
                    indexes.extend(build.names_for(*arch).iter().map(|name| (name.to_string(), digest.clone())));
                }
            }
            let has_index = build.naming.plain == PlainName::Index;
            for name in build.index_names().iter().chain(content.as_ref().filter(|_| has_index)) {
                names.push((name.to_string(), index.clone()));
                indexes.insert(name.to_string(), index.digest.to_string());
            }
        }
        self.layout.set_names(names)?;
        Ok(indexes)
    }
}

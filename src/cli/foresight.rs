//! What `images` would do with the instructions of Dockerfiles, found out by the code that does it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::arguments::BuiltBy;
use super::bases::Bases;
use super::dockerfiles::{Dockerfiles, ImageKey};
use super::image_inputs::{files, target};
use super::setup::Loaded;
use crate::domain::{Arch, Error, Result, ResultExt, without_password};
use crate::engine::native::sandbox::Identity;
use crate::engine::{Execution, StepResult, survey};
use crate::image::{
    Base, Context, FinishedStage, Folders, ForeseenStage, ForeseenStep, Ignore, LayerCache, Layout, Ownership,
    Repository, RepositoryRequest, Request, Services, StepState, Steps, Unknown, foresee,
};
use crate::plan::{
    BaseName, Goal, ImageBuild, InstructionState, InstructionView, Instructions, Plan, ProjectImages, StageView, Step,
    StepId, Work, plan,
};
use crate::source::{CheckedOut, Checkout};
use crate::store::{Bucket, Scratch, Store};

/// What is known of the images of a plan, without running or making anything.
pub(super) struct Foreseer<'a> {
    loaded: &'a Loaded,
    dockerfiles: &'a Dockerfiles,
    images: ProjectImages<'a>,
    execution: &'a Execution,
    bases: Bases<'a>,
    folders: Folders<'a>,
    layout: Layout,
    cache: LayerCache,
    scratch: Scratch,
    known: BTreeMap<ImageKey, Result<Arc<FinishedStage>, Unknown>>,
}

/// The stages of a plan's images.
///
/// # Errors
/// What is wrong with a Dockerfile or the files that it copies.
pub(super) fn instructions(loaded: &Loaded, dockerfiles: &Dockerfiles, shown: &Plan) -> Result<Instructions> {
    let store = &loaded.workshop.store;
    // Images stand on others that may not be shown.
    let all = plan(&loaded.project, &loaded.facts, &Goal::Images(dockerfiles.names()))?;
    let execution = known(loaded, &all);
    let scratch = store.scratch()?;
    let runs_as_root = loaded.workshop.identity == Identity::Root
        || dockerfiles.runs_commands && loaded.workshop.identity != Identity::Single;
    let ownership = if runs_as_root { Ownership::Real } else { Ownership::Listed };
    let mut foreseer = Foreseer {
        loaded,
        dockerfiles,
        images: ProjectImages::of(&all)?,
        execution: &execution,
        bases: Bases::new(loaded, &execution),
        folders: Folders::new(store, ownership).looking(),
        layout: Layout::open(&scratch.path().join("layout"))?,
        cache: LayerCache::open(&store.bucket(Bucket::Layers))?,
        scratch,
        known: BTreeMap::new(),
    };
    let steps = images(&all);
    let mut needed: BTreeSet<ImageKey> = images(shown).into_keys().collect();
    for key in dockerfiles.order.iter().rev().filter(|key| needed.contains(*key)).cloned().collect::<Vec<_>>() {
        needed.extend(dockerfiles.bases.get(&key).into_iter().flatten().cloned());
    }
    let mut instructions = Instructions::new();
    for key in dockerfiles.order.iter().filter(|key| needed.contains(*key)) {
        let Some((step, build)) = steps.get(key) else { continue };
        instructions.insert(step.id.clone(), foreseer.image(key, step, build)?);
    }
    Ok(instructions)
}

fn images(plan: &Plan) -> BTreeMap<ImageKey, (&Step, &ImageBuild)> {
    let steps = plan.steps.iter().filter_map(|step| match (&step.work, step.arch) {
        (Work::Image(build), Some(arch)) => Some(((build.image.clone(), arch), (step, build))),
        _ => None,
    });
    steps.collect()
}

/// What is done already, as if it had just been done.
fn known(loaded: &Loaded, plan: &Plan) -> Execution {
    let store = &loaded.workshop.store;
    let known = survey(store, &loaded.workshop.scope(), &plan.steps);
    let done = known.into_iter().filter_map(|(id, found)| Some((id, StepResult::Done(Arc::new(found.ok()?.record?)))));
    Execution { results: done.collect(), errors: Vec::new() }
}

impl Foreseer<'_> {
    fn image(&mut self, key: &ImageKey, step: &Step, build: &ImageBuild) -> Result<Vec<StageView>> {
        let arch = key.1;
        let file = self.dockerfiles.parsed.get(key).ok_or_else(|| Error::bug("an image without a Dockerfile"))?;
        let target = target(self.loaded, build, arch, BuiltBy::Xbuild);
        let ignore = Ignore::of(&build.dockerfile, &build.context)?;
        let folder = self.scratch.path().canonicalize().or_environment(|| "cannot find the store".into())?;
        let stand_ins = StandIns { folder: folder.join(step.id.as_str().replace('/', "-")) };
        let files = files(self.loaded, self.execution, build, &|step| stand_ins.make(step))?;
        let digest = |path: &Path| {
            stand_ins.check(path)?;
            let metadata = path.symlink_metadata().or_environment(|| format!("cannot read {}", path.display()))?;
            self.loaded.digests.digest(path, &metadata)
        };
        let mode = |path: &Path, is_folder, mode| self.loaded.modes.of(path, is_folder, mode);
        let context = Context { dir: &build.context, files: &files, ignore: &ignore, digest: &digest, mode: &mode };
        let request = Request {
            file,
            context: &context,
            target: &target,
            steps: if build.cached { Steps::Remembered } else { Steps::Anew },
            layout: &self.layout,
            cache: &self.cache,
            folders: &self.folders,
            name: step.id.as_str(),
        };
        let store = &self.loaded.workshop.store;
        let services = Services {
            base: &|name, arch| self.base(name, arch),
            run: &|_| Err(Error::bug("a plan runs nothing")),
            fetch: &|url, checksum| {
                let there = checksum.map(|digest| (store.place(Bucket::Sources, &digest), digest));
                let unknown = || Unknown(format!("{} is downloaded", without_password(url)));
                there.filter(|(path, _)| path.exists()).ok_or_else(|| unknown().into())
            },
            repository: &|request| repository(store, request),
            secret: &|_| Ok(None),
            agent: &|_| Ok(None),
            tell: &|_| {},
        };
        let foresight = foresee(&request, &services).map_err(|error| error.in_file(&build.dockerfile))?;
        let finished = foresight.finished.map_err(|_| Unknown(format!("{} is built", step.id)));
        self.known.insert(key.clone(), finished);
        Ok(foresight.stages.into_iter().map(|stage| view(stage, build)).collect())
    }

    fn base(&self, name: &str, arch: Arch) -> Result<Base> {
        if let Some(image) = self.images.find(name, arch)? {
            return match self.known.get(&(image.clone(), arch)) {
                Some(Ok(stage)) => Ok(Base::Stage(stage.clone())),
                Some(Err(unknown)) => Err(unknown.clone().into()),
                None => Err(Error::bug(format!("nobody looked at image '{image}'"))),
            };
        }
        let step = BaseName { name: name.to_owned(), arch }.step();
        if self.execution.done(&step).is_none() {
            return Err(Unknown(format!("{step} is there")).into());
        }
        let base = self.bases.find(name, arch)?;
        Ok(Base::Image(Box::new(base.image), base.layout.dir().to_owned()))
    }
}

/// A commit that was fetched before.
fn repository(store: &Store, request: &RepositoryRequest<'_>) -> Result<Repository> {
    let RepositoryRequest { reference, checksum, keep_git } = *request;
    let checkout = Checkout { store, reference, checksum, keep_git, agent: None, offline: true };
    match checkout.take() {
        Ok(CheckedOut { folder, commit }) => Ok(Repository { folder, commit }),
        Err(_) => Err(Unknown(format!("{reference} is fetched")).into()),
    }
}

/// Empty files in place of those that are not made yet: whoever wants to know what is in one learns which step makes it.
struct StandIns {
    folder: PathBuf,
}

impl StandIns {
    fn make(&self, step: &StepId) -> Result<PathBuf> {
        let path = self.folder.join(step.as_str());
        let failed = || format!("cannot write {}", path.display());
        std::fs::create_dir_all(path.parent().unwrap_or(&self.folder)).or_environment(failed)?;
        std::fs::write(&path, "").or_environment(failed)?;
        Ok(path)
    }

    fn check(&self, path: &Path) -> Result<()> {
        match path.strip_prefix(&self.folder) {
            Ok(step) => Err(Unknown(format!("{} is built", step.display())).into()),
            Err(_) => Ok(()),
        }
    }
}

fn view(stage: ForeseenStage, build: &ImageBuild) -> StageView {
    let reason = match build.cached {
        true => "it was not run here with these inputs",
        false => "its image has disable-cache",
    };
    let state = |state| match state {
        StepState::Always => InstructionState::Always,
        StepState::Cached(key) => InstructionState::Cached { key },
        StepState::Runs(key) => InstructionState::Run { key, reason: reason.to_owned() },
        StepState::Unknown(Unknown(until)) => InstructionState::Unknown { until },
    };
    let instruction = |ForeseenStep { line, text, state: known }| InstructionView { line, text, state: state(known) };
    StageView {
        stage: stage.name,
        from: stage.base,
        arch: stage.arch,
        instructions: stage.steps.into_iter().map(instruction).collect(),
    }
}

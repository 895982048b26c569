//! A whole image: its stages side by side, then its layers, configuration and manifest.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::foresight::{ForeseenStage, ForeseenStep, Foresight, Unknown};
use super::rehearsal::rehearse;
use super::request::{Base, Request, Services, Target};
use super::settings::Settings;
use super::stack::{Packing, Stack};
use super::stage::{Digested, FinishedStage, StageBuild, on_build, trigger};
use crate::domain::{Arch, ContentDigest, Digest, Error, Result, ResultExt};
use crate::image::dockerfile::{Graph, PlannedStage, Source, Triggers};
use crate::image::{
    BuiltLayer, Descriptor, Dockerfile, Index, Layout, Manifest, Platform, Runtime, Scope, Step, Word, media_type, time,
};
use crate::store::Scratch;

/// Docker gives this to every image that sets no PATH itself.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// An image in a layout.
#[derive(Debug, Clone)]
pub struct BuiltImage {
    /// Its manifest, with the platform.
    pub manifest: Descriptor,
    /// Its configuration.
    pub config: Digest,
    /// Its layers, those of the base first.
    pub layers: Vec<BuiltLayer>,
    /// Whether a command had to be run for it.
    pub ran: bool,
    /// To start others from.
    pub stage: Arc<FinishedStage>,
}

impl BuiltImage {
    /// The bytes of all its blobs.
    pub fn size(&self, layout: &Layout) -> Result<u64> {
        let manifest: Manifest = layout.read_json(&self.manifest)?;
        Ok(self.manifest.size + manifest.config.size + manifest.layers.iter().map(|layer| layer.size).sum::<u64>())
    }
}

/// The stages that an image of a target needs, as far as the Dockerfile alone tells.
///
/// # Errors
/// FROM lines that do not expand, a stage that is not there; with the place.
pub fn stages(file: &Dockerfile, target: &Target) -> Result<Graph> {
    graph(file, target, &Triggers::new())
}

fn graph(file: &Dockerfile, target: &Target, triggers: &Triggers) -> Result<Graph> {
    let scope = Scope::of_file(file, target.arch, target.build_arch, &target.args)?;
    let expand = |word: &Word| scope.expand(word);
    Ok(file.graph(target.stage.as_deref(), triggers, &expand)?)
}

/// The architecture of a stage, unless it is that of the stage it starts from.
///
/// # Errors
/// A `--platform` that xbuild does not know.
pub fn stage_arch(file: &Dockerfile, target: &Target, stage: &PlannedStage) -> Result<Arch> {
    let Some(platform) = &stage.platform else { return Ok(target.arch) };
    Arch::find(platform).ok_or_else(|| {
        let from = &file.stages[stage.index].from;
        let span = from.platform.as_ref().map_or(from.span, |word| word.span);
        span.error(format!("--platform is {platform}, which is not known"))
            .hint(format!("there are {}", Arch::names()))
            .into()
    })
}

/// What became of a stage.
enum Slot {
    Finished(Arc<FinishedStage>),
    Failed,
    /// Nobody builds it: its result is only looked for.
    Unknown(Unknown),
}

/// Where stages that are built at the same time find each other.
pub(super) struct Stages {
    slots: Mutex<BTreeMap<usize, Slot>>,
    changed: Condvar,
    scratch: Scratch,
}

impl Stages {
    /// A stage, once it is built.
    pub(super) fn finished(&self, index: usize) -> Result<Arc<FinishedStage>> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match slots.get(&index) {
                Some(Slot::Finished(stage)) => return Ok(stage.clone()),
                Some(Slot::Failed) => return Err(Error::build(format!("stage {index} failed"))),
                Some(Slot::Unknown(unknown)) => return Err(unknown.clone().into()),
                None => slots = self.changed.wait(slots).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    fn new(scratch: Scratch) -> Stages {
        Stages { slots: Mutex::default(), changed: Condvar::new(), scratch }
    }

    fn set(&self, index: usize, stage: Slot) {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).insert(index, stage);
        self.changed.notify_all();
    }

    /// A file with this text, for as long as the image is built.
    pub(super) fn text(&self, bytes: &[u8]) -> Result<Digested> {
        let path = self.scratch.path().join(Digest::of(bytes).hex());
        let failed = || format!("cannot write {}", path.display());
        let mut file = tempfile::NamedTempFile::new_in(self.scratch.path()).or_environment(failed)?;
        file.write_all(bytes).or_environment(failed)?;
        file.persist(&path).or_environment(failed)?;
        Ok((path, ContentDigest::of(bytes)))
    }
}

/// Builds an image.
///
/// # Errors
/// What is wrong with the Dockerfile or the files that it copies, with line and column; a command that fails; a layout
/// or a store that cannot be written.
pub fn build(request: &Request<'_>, services: &Services<'_>) -> Result<BuiltImage> {
    let plan = Plan::new(request, services)?;
    plan.rehearse(request, &mut |_, _, _| Ok(()))?;
    let scratch = request.folders.store().scratch()?;
    let stages = Stages::new(scratch);
    let last = plan.graph.stages.last().ok_or_else(|| Error::bug("a Dockerfile without a stage"))?;
    let build = |stage: &PlannedStage| plan.stage(stage, &stages, request, services);
    let errors: Vec<Error> = match plan.graph.stages.as_slice() {
        [only] => build(only).err().into_iter().collect(),
        several => std::thread::scope(|scope| {
            let threads: Vec<_> = several.iter().map(|stage| scope.spawn(|| build(stage))).collect();
            let results = threads.into_iter().map(|thread| thread.join());
            results.filter_map(|result| result.unwrap_or_else(|_| Err(Error::bug("a stage panicked"))).err()).collect()
        }),
    };
    // A stage that only waited for one that failed has nothing to say, and is never the first.
    if let Some(error) = errors.into_iter().next() {
        return Err(error);
    }
    let stage = stages.finished(last.index)?;
    let packing =
        Packing { layout: request.layout, cache: request.cache, folders: request.folders, mtime: request.target.mtime };
    let layers = stage.stack.pack(&packing)?;
    let mut config = stage.config(&time::rfc3339(request.target.created));
    config.rootfs.diff_ids = layers.iter().map(|layer| layer.diff_id).collect();
    let config = request.layout.write_json(media_type::CONFIG, &config)?;
    let digest = config.digest;
    let manifest = Manifest::new(config, layers.iter().map(|layer| layer.descriptor.clone()).collect());
    let mut manifest = request.layout.write_json(media_type::MANIFEST, &manifest)?;
    manifest.platform = Some(Platform::of(request.target.arch));
    Ok(BuiltImage { manifest, config: digest, layers, ran: stage.ran, stage })
}

/// Goes through the instructions of an image as [`build`] would, but only looks up what commands did: nothing runs, is
/// downloaded or is unpacked. Services answer with an [`Unknown`] for what is not there yet, and the folders of the
/// request [only look](super::Folders::looking).
///
/// # Errors
/// What is wrong with the Dockerfile or the files that it copies, with line and column.
pub fn foresee(request: &Request<'_>, services: &Services<'_>) -> Result<Foresight> {
    let plan = Plan::new(request, services)?;
    let stages = Stages::new(request.folders.store().scratch()?);
    let mut foreseen = Vec::new();
    let mut last = Err(Unknown("nothing".into()));
    for planned in &plan.graph.stages {
        let stage = &request.file.stages[planned.index];
        let (arch, steps, finished) = match plan.start(planned, &stages, request, services) {
            Ok((build, triggers)) => {
                let arch = build.arch;
                let (steps, finished) = build.foresee(&triggers, &stage.steps)?;
                (arch, steps, finished)
            }
            Err(error) => {
                let unknown = error.cause::<Unknown>().cloned().ok_or(error)?;
                let steps = stage.steps.iter().map(|step| ForeseenStep::after(step, &unknown)).collect();
                (stage_arch(request.file, request.target, planned)?, steps, Err(unknown))
            }
        };
        last = finished.map(Arc::new);
        stages.set(planned.index, last.clone().map_or_else(Slot::Unknown, Slot::Finished));
        let name = stage.from.name.clone().unwrap_or_else(|| planned.index.to_string());
        let base = match &planned.base {
            Source::Scratch => "scratch".to_owned(),
            Source::Image(name) => name.clone(),
            Source::Stage(index) => {
                request.file.stages[*index].from.name.clone().unwrap_or_else(|| format!("stage {index}"))
            }
        };
        foreseen.push(ForeseenStage { name, base, arch, steps });
    }
    Ok(Foresight { stages: foreseen, finished: last })
}

/// The stages, with what is known of base images before anything is built.
pub(super) struct Plan {
    pub(super) graph: Graph,
    pub(super) bases: BTreeMap<usize, Base>,
    /// Stages whose base images are not there yet.
    unknown: BTreeMap<usize, Unknown>,
    triggers: Triggers,
}

impl Plan {
    /// Finds the base images. Their ONBUILD triggers may need more stages, which may have base images of their own.
    pub(super) fn new(request: &Request<'_>, services: &Services<'_>) -> Result<Plan> {
        let (file, target) = (request.file, request.target);
        let mut plan = Plan {
            graph: graph(file, target, &Triggers::new())?,
            bases: BTreeMap::new(),
            unknown: BTreeMap::new(),
            triggers: Triggers::new(),
        };
        if let Some(last) = plan.graph.stages.last()
            && last.platform.is_some()
            && stage_arch(file, target, last)? != target.arch
        {
            let from = &file.stages[last.index].from;
            let platform = last.platform.as_deref().unwrap_or_default();
            let text = format!("--platform is {platform}, but the image is for {}", target.arch.platform());
            let error = from.platform.as_ref().map_or(from.span, |word| word.span).error(text);
            return Err(error.hint("leave --platform out: the base is taken for the image's platform").into());
        }
        loop {
            let known: BTreeSet<usize> = plan.bases.keys().chain(plan.unknown.keys()).copied().collect();
            for stage in &plan.graph.stages {
                let Source::Image(name) = &stage.base else { continue };
                if known.contains(&stage.index) {
                    continue;
                }
                let from = &file.stages[stage.index].from;
                let arch = stage_arch(file, target, stage)?;
                let base = match (services.base)(name, arch) {
                    Ok(base) => base,
                    Err(error) => {
                        let unknown = error.cause::<Unknown>().cloned();
                        plan.unknown.insert(stage.index, unknown.ok_or_else(|| from.image.span.place(error))?);
                        continue;
                    }
                };
                let texts = match &base {
                    Base::Image(image, _) => &image.config.config.on_build,
                    Base::Stage(stage) => &stage.runtime.on_build,
                };
                let steps = texts.iter().flatten().map(|text| trigger(text, from)).collect::<Result<Vec<Step>>>()?;
                if !steps.is_empty() {
                    plan.triggers.insert(stage.index, steps);
                }
                plan.bases.insert(stage.index, base);
            }
            if plan.bases.len() + plan.unknown.len() == known.len() {
                return Ok(plan);
            }
            plan.graph = graph(file, target, &plan.triggers)?;
        }
    }

    /// Builds one stage, once those that it needs are there, and tells everybody.
    fn stage(
        &self,
        stage: &PlannedStage,
        stages: &Stages,
        request: &Request<'_>,
        services: &Services<'_>,
    ) -> Result<()> {
        let build = || {
            let (build, triggers) = self.start(stage, stages, request, services)?;
            build.build(&triggers, &request.file.stages[stage.index].steps)
        };
        let result = build();
        let slot = |stage: &FinishedStage| Slot::Finished(Arc::new(stage.clone()));
        stages.set(stage.index, result.as_ref().map_or(Slot::Failed, slot));
        result.map(drop)
    }

    /// A stage as it is before its first instruction, once those that it needs are there, and the steps that its base
    /// adds.
    fn start<'a>(
        &self,
        planned: &PlannedStage,
        stages: &'a Stages,
        request: &'a Request<'a>,
        services: &'a Services<'a>,
    ) -> Result<(StageBuild<'a>, Vec<Step>)> {
        let Beginning { base, settings, triggers } =
            self.beginning(planned, request, &|index| stages.finished(index))?;
        let build = StageBuild {
            request,
            services,
            stages,
            index: planned.index,
            arch: base.arch,
            stack: base.stack,
            settings,
            history: base.history,
            created: time::rfc3339(request.target.created),
            ran: base.ran,
        };
        Ok((build, triggers))
    }

    /// Goes through all stages without building anything, and says what the last one's images start with: it has the
    /// layers and the history of its base alone. `look` sees each instruction of a stage with what is in force after it.
    pub(super) fn rehearse(
        &self,
        request: &Request<'_>,
        look: &mut dyn FnMut(&PlannedStage, &Step, &Settings) -> Result<()>,
    ) -> Result<Arc<FinishedStage>> {
        let mut ends: BTreeMap<usize, Arc<FinishedStage>> = BTreeMap::new();
        let mut last = Err(Error::bug("a Dockerfile without a stage"));
        for planned in &self.graph.stages {
            let end = |index| ends.get(&index).cloned().ok_or_else(|| Error::bug("a stage stands on a later one"));
            let Beginning { base, mut settings, triggers } = self.beginning(planned, request, &end)?;
            settings.runtime.on_build = None;
            let steps = triggers.iter().chain(&request.file.stages[planned.index].steps);
            rehearse(&mut settings, steps, &mut |step, settings| look(planned, step, settings))?;
            let Settings { runtime, scope, author, .. } = settings;
            let end = Arc::new(FinishedStage { runtime, scope, author, ..base });
            ends.insert(planned.index, end.clone());
            last = Ok(end);
        }
        last
    }

    /// What a stage starts with; `finished` gives a stage that it stands on.
    fn beginning(
        &self,
        planned: &PlannedStage,
        request: &Request<'_>,
        finished: &dyn Fn(usize) -> Result<Arc<FinishedStage>>,
    ) -> Result<Beginning> {
        let (file, target) = (request.file, request.target);
        let from = &file.stages[planned.index].from;
        let mut triggers = self.triggers.get(&planned.index).cloned().unwrap_or_default();
        let (mut base, needs_labels) = match (&planned.base, self.bases.get(&planned.index)) {
            (Source::Stage(index), _) => {
                let steps = &file.stages[*index].steps;
                triggers = on_build(steps).map(|on_build| trigger(&on_build.text, from)).collect::<Result<_>>()?;
                ((*finished(*index)?).clone(), false)
            }
            (Source::Scratch, _) => (empty(request)?, true),
            (Source::Image(_), Some(Base::Stage(stage))) => {
                // The scope is the file's own, not that of the Dockerfile that the image comes from.
                let scope = Scope::of_file(file, target.arch, target.build_arch, &target.args)?;
                (FinishedStage { scope, ran: false, ..(**stage).clone() }, true)
            }
            (Source::Image(_), Some(Base::Image(image, path))) => {
                let stack = Stack::of_image(image, path);
                let (runtime, history) = (image.config.config.clone(), image.config.history.clone());
                (
                    FinishedStage { stack, runtime, history, author: image.config.author.clone(), ..empty(request)? },
                    true,
                )
            }
            (Source::Image(name), None) => {
                let unknown = self.unknown.get(&planned.index).cloned().map(Error::from);
                return Err(unknown.unwrap_or_else(|| Error::bug(format!("nobody looked for {name}"))));
            }
        };
        let mut settings = Settings::new(base.runtime.clone(), base.scope.clone());
        settings.author.clone_from(&base.author);
        if needs_labels {
            settings.start(PATH, &target.labels);
            base.arch = stage_arch(file, target, planned)?;
        }
        Ok(Beginning { base, settings, triggers })
    }
}

/// What a stage starts with.
struct Beginning {
    base: FinishedStage,
    settings: Settings,
    /// The instructions of ONBUILD.
    triggers: Vec<Step>,
}

/// What a stage from scratch starts with.
fn empty(request: &Request<'_>) -> Result<FinishedStage> {
    let target = request.target;
    let scope = Scope::of_file(request.file, target.arch, target.build_arch, &target.args)?;
    Ok(FinishedStage {
        arch: target.arch,
        stack: Stack::default(),
        // What Docker says where nothing else does.
        runtime: Runtime { working_dir: "/".to_owned(), ..Runtime::default() },
        scope,
        author: None,
        history: Vec::new(),
        ran: false,
    })
}

/// Writes the index of one image for several architectures; it has no name yet.
///
/// # Errors
/// A layout that cannot be written.
pub fn index(layout: &Layout, images: &[(Arch, BuiltImage)]) -> Result<Descriptor> {
    let mut images: Vec<&(Arch, BuiltImage)> = images.iter().collect();
    images.sort_by_key(|(arch, _)| *arch);
    let entries = images.into_iter().map(|(arch, image)| Descriptor {
        platform: Some(Platform::of(*arch)),
        annotations: BTreeMap::new(),
        ..image.manifest.clone()
    });
    layout.write_json(media_type::INDEX, &Index::new(entries.collect()))
}

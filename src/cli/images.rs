//! `xbuild images`

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use super::arguments::Selection;
use super::build::{build, publish};
use super::setup::{Loaded, Setup, exit};
use crate::domain::{Arch, Error, ErrorKind, Event, Name, Outcome, Result, ResultExt};
use crate::engine::{Execution, StepResult};
use crate::image::{
    self, BaseImage, BuiltImage, Context, Dockerfile, Ignore, ImageName, LayerCache, Layout, Origin, SuffixStyle,
    Target,
};
use crate::plan::{Goal, ImageBuild, Plan, Step, Work, plan};
use crate::store::Bucket;

/// Files in layers carry no date: a commit that changes no file then changes no layer.
const FILE_TIME: u64 = 0;

pub(super) async fn run(setup: &Setup<'_>, options: &Selection) -> Result<ExitCode> {
    let project = setup.project(&options.arch.arches)?;
    let loaded = setup.load(project, options.update)?;
    let names = with_bases(&loaded, &options.names)?;
    let plan = plan(&loaded.project, &loaded.facts, &Goal::Images(names.clone()))?;
    let built = build(&loaded, &plan).await?;
    let mut assembly = Assembly::new(&loaded, &built.execution)?;
    for name in &names {
        assembly.image(name, &plan)?;
    }
    let indexes = assembly.indexes()?;
    let failures = [built.failures(), assembly.failures].concat();
    publish(&loaded, &plan, &built.execution, &indexes, &assembly.gone)?;
    loaded.digests.save(&loaded.workshop.store)?;
    setup.printer.summary();
    print_names(setup, &loaded.project.folder.join("dist/images"), &indexes)?;
    Ok(exit(&failures))
}

/// The wanted images and those that they are built on, a base before what stands on it.
fn with_bases(loaded: &Loaded, wanted: &[Name]) -> Result<Vec<Name>> {
    let images = &loaded.project.images;
    if images.is_empty() {
        return Err(Error::usage("the project has no images").hint("describe one under `images:` in its file"));
    }
    let wanted: Vec<&Name> = if wanted.is_empty() { images.keys().collect() } else { wanted.iter().collect() };
    let mut order = Vec::new();
    for name in wanted {
        let mut chain = vec![name.clone()];
        while let Some(image) = images.get(chain[0].as_str()) {
            let Some(base) = from(&image.dockerfile)?.filter(|base| images.contains_key(base.as_str())) else { break };
            if chain.contains(&base) {
                return Err(Error::usage(format!("image '{base}' is built on itself")));
            }
            chain.insert(0, base);
        }
        for name in chain {
            if !order.contains(&name) {
                order.push(name);
            }
        }
    }
    Ok(order)
}

/// The name after FROM, as far as it is plain.
fn from(dockerfile: &Path) -> Result<Option<Name>> {
    let file = parse(dockerfile)?;
    Ok(file.stages.last().and_then(|stage| stage.from.image.text.parse().ok()))
}

fn parse(path: &Path) -> Result<Dockerfile> {
    let text = std::fs::read_to_string(path).or_usage(|| format!("cannot read {}", path.display()))?;
    Dockerfile::parse(&text).map_err(|error| error.in_file(path))
}

/// Assembles images, each after its base.
struct Assembly<'a> {
    loaded: &'a Loaded,
    execution: &'a Execution,
    layout: Layout,
    cache: LayerCache,
    built: BTreeMap<(Name, Arch), BuiltImage>,
    names: BTreeMap<Name, Vec<String>>,
    /// Names of images of which an architecture is missing now.
    gone: BTreeSet<String>,
    failures: Vec<ErrorKind>,
}

impl<'a> Assembly<'a> {
    fn new(loaded: &'a Loaded, execution: &'a Execution) -> Result<Assembly<'a>> {
        let layout = Layout::open(&loaded.project.folder.join("dist/images"))?;
        let cache = LayerCache::open(&loaded.workshop.store.bucket(Bucket::Layers))?;
        let cache = cache.with_threads(loaded.workshop.jobs);
        let (built, names, gone) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Ok(Assembly { loaded, execution, layout, cache, built, names, gone, failures: Vec::new() })
    }

    /// Assembles one image for every architecture; failures are told and counted.
    fn image(&mut self, name: &Name, plan: &Plan) -> Result<()> {
        for step in &plan.steps {
            let Work::Image(build) = &step.work else { continue };
            if build.image != *name {
                continue;
            }
            let started = Instant::now();
            let outcome = match self.waits_for(step) {
                Some(reason) => Outcome::Skipped(reason),
                None => match self.assemble(step, build) {
                    Ok(outcome) => outcome,
                    Err(error) => {
                        self.failures.push(error.kind());
                        Outcome::Failed(error.with_hints())
                    }
                },
            };
            if !matches!(outcome, Outcome::Cached | Outcome::Built) {
                self.withdraw(step, build)?;
            }
            let events = &self.loaded.workshop.events;
            events.emit(Event::Finished { step: step.id.to_string(), outcome, took: started.elapsed() });
        }
        Ok(())
    }

    /// Takes the names away that an earlier run has left: an old image must not be taken for a new one.
    fn withdraw(&mut self, step: &Step, build: &ImageBuild) -> Result<()> {
        for text in &build.names {
            let name: ImageName = text.parse().or_usage(|| format!("image '{}'", build.image))?;
            if let Some(arch) = step.arch {
                self.layout.remove_name(&name.for_arch(arch, SuffixStyle::NameSuffix).to_string())?;
            }
            self.layout.remove_name(text)?;
            self.gone.insert(text.clone());
        }
        Ok(())
    }

    fn waits_for(&self, step: &Step) -> Option<String> {
        let done = |id| matches!(self.execution.results.get(id), Some(StepResult::Done(_)));
        step.needs.iter().find(|id| !done(*id)).map(ToString::to_string)
    }

    fn assemble(&mut self, step: &Step, build: &ImageBuild) -> Result<Outcome> {
        let arch = step.arch.ok_or_else(|| Error::bug("an image without an architecture"))?;
        let file = parse(&build.dockerfile)?;
        let folder = build.dockerfile.parent().unwrap_or(Path::new("/"));
        let mut labels = build.labels.clone();
        labels.entry("org.opencontainers.image.created".into()).or_insert_with(|| image::rfc3339(build.created));
        let target = Target {
            arch,
            build_arch: self.loaded.facts.host,
            args: build.args.clone(),
            labels,
            created: build.created,
            mtime: FILE_TIME,
        };
        let base = match image::base_name(&file, &target).context(|| build.dockerfile.display().to_string())? {
            None => None,
            Some(name) => Some(self.base(&name, arch)?),
        };
        let ignore = match std::fs::read_to_string(folder.join(".dockerignore")) {
            Ok(text) => Ignore::parse(&text).context(|| folder.join(".dockerignore").display().to_string())?,
            Err(_) => Ignore::default(),
        };
        let files = self.files(build)?;
        let digests = &self.loaded.digests;
        let digest = |path: &Path| {
            let metadata = path.symlink_metadata().or_environment(|| format!("cannot read {}", path.display()))?;
            digests.digest(path, &metadata)
        };
        let context = Context { dir: folder, files: &files, ignore: &ignore, digest: &digest };
        let built = image::assemble(&file, &context, &target, base.as_ref(), &self.layout, &self.cache)
            .context(|| build.dockerfile.display().to_string())?;
        let written = built.layers.iter().any(|layer| layer.origin == Origin::Written);
        for name in &build.names {
            let name: ImageName = name.parse().or_usage(|| format!("image '{}'", build.image))?;
            let name = name.for_arch(arch, SuffixStyle::NameSuffix);
            self.layout.set_name(&name.to_string(), built.manifest.clone())?;
        }
        self.names.insert(build.image.clone(), build.names.clone());
        self.built.insert((build.image.clone(), arch), built);
        Ok(if written { Outcome::Built } else { Outcome::Cached })
    }

    /// The image that FROM names: another of the project's, for the same architecture.
    fn base(&self, name: &str, arch: Arch) -> Result<BaseImage> {
        let built = name.parse::<Name>().ok().and_then(|name| self.built.get(&(name, arch)));
        match built {
            Some(built) => BaseImage::read(&self.layout, built.manifest.clone(), arch),
            None => Err(Error::usage(format!("there is no image '{name}' for {arch} to build on"))
                .hint("FROM names `scratch` or another image of the project, by its key; registries come later")),
        }
    }

    /// Files of the context that stand elsewhere. Programs come from the step of the image's own architecture.
    fn files(&self, build: &ImageBuild) -> Result<BTreeMap<PathBuf, PathBuf>> {
        let mut files: BTreeMap<PathBuf, PathBuf> =
            build.files.iter().map(|(inside, path)| (inside.into(), path.clone())).collect();
        for (inside, program) in &build.programs {
            let Some(StepResult::Done(record)) = self.execution.results.get(&program.step) else {
                return Err(Error::bug(format!("{} is not done", program.step)));
            };
            let folder = self.loaded.workshop.store.place(Bucket::Outputs, &record.key);
            let path = folder.join(program.output.as_str());
            let metadata = path.symlink_metadata().or_environment(|| format!("cannot read {}", path.display()))?;
            if let Some(output) = record.outputs.get(program.output.as_str()) {
                self.loaded.digests.remember(&path, &metadata, output.digest);
            }
            files.insert(inside.into(), path);
        }
        Ok(files)
    }

    /// One index for each name, of the architectures that are there. None for an image of which one failed.
    fn indexes(&self) -> Result<BTreeMap<String, String>> {
        let mut indexes = BTreeMap::new();
        for (image, names) in &self.names {
            let built: Vec<(Arch, BuiltImage)> = self
                .built
                .iter()
                .filter(|((name, _), _)| name == image)
                .map(|((_, arch), built)| (*arch, built.clone()))
                .collect();
            if built.len() < self.loaded.project.images[image.as_str()].arches.len() {
                continue;
            }
            for name in names {
                let descriptor = image::index(&self.layout, name, &built)?;
                indexes.insert(name.clone(), descriptor.digest.to_string());
            }
        }
        Ok(indexes)
    }
}

fn print_names(setup: &Setup<'_>, layout: &Path, indexes: &BTreeMap<String, String>) -> Result<()> {
    if setup.global.json {
        let value = serde_json::json!({ "version": 1, "layout": layout, "images": indexes });
        let text = serde_json::to_string_pretty(&value).or_bug(|| "cannot write the result".into())?;
        return setup.print(&(text + "\n"));
    }
    setup.print(&indexes.iter().map(|(name, digest)| format!("{name}@{digest}\n")).collect::<String>())
}

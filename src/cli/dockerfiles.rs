//! The Dockerfiles of a plan's images: expanded, parsed, and in an order in which bases come first.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::arguments::BuiltBy;
use super::image_inputs::build_arch;
use super::misspelt::doubt;
use super::setup::{ImageWish, Loaded};
use super::test_files::TestFile;
use crate::config::{Expanded, Expansion};
use crate::domain::{Arch, Error, Name, Result, ResultExt};
use crate::image::{Dockerfile, Instruction, ParseError, Scope, Source, Span, Stage};
use crate::plan::{BaseName, Facts, Goal, ImageBuild, Plan, ProjectImages, Work, plan};

/// An image of one architecture.
pub(super) type ImageKey = (Name, Arch);

/// The Dockerfiles of some images and of those that they are built on.
#[derive(Default)]
pub(super) struct Dockerfiles {
    /// The images, a base before what stands on it.
    pub(super) order: Vec<ImageKey>,
    /// Their Dockerfiles.
    pub(super) parsed: BTreeMap<ImageKey, Dockerfile>,
    /// The project's images that each of them takes something from.
    pub(super) bases: BTreeMap<ImageKey, BTreeSet<ImageKey>>,
    /// The images from elsewhere that each of them takes something from.
    pub(super) external: BTreeMap<ImageKey, BTreeSet<BaseName>>,
    /// What is said of those among them that cannot be had.
    pub(super) doubts: BTreeMap<BaseName, String>,
    /// Those that run commands of another architecture than the machine's.
    pub(super) emulated: BTreeSet<ImageKey>,
    /// What each of them is tested by.
    pub(super) tests: BTreeMap<ImageKey, Vec<TestFile>>,
    /// Whether one of them runs commands, be it as a test.
    pub(super) runs_commands: bool,
}

impl Dockerfiles {
    /// Those of the wanted images, or of all, and of what they stand on.
    ///
    /// # Errors
    /// A usage error: for a name that there is not, what is wrong with a template, a Dockerfile or a file of tests, an
    /// image that is built on itself.
    pub(super) fn read(loaded: &Loaded, wish: &ImageWish<'_>) -> Result<Dockerfiles> {
        let project = &loaded.project;
        if project.images.is_empty() {
            return Err(Error::usage("the project has no images").hint("describe one under `images:` in its file"));
        }
        // Also to object to names that there are not.
        let some = match wish.names {
            [] => None,
            names => Some(plan(project, &loaded.facts, &Goal::Images(names.to_vec()))?),
        };
        let all = plan(project, &loaded.facts, &Goal::Images(Vec::new()))?;
        check_shared(loaded, &all)?;
        let builds = builds(&all);
        let mut walk = Walk {
            images: ProjectImages::of(&all)?,
            builds: &builds,
            facts: &loaded.facts,
            wish,
            found: Dockerfiles::default(),
        };
        for key in self::builds(some.as_ref().unwrap_or(&all)).into_keys() {
            walk.visit(&key, &mut Vec::new())?;
        }
        Ok(walk.found)
    }

    /// Names of the images, each once, in their order.
    pub(super) fn names(&self) -> Vec<Name> {
        let mut names: Vec<Name> = Vec::new();
        for (name, _) in &self.order {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }
}

/// The Dockerfile of an image as text.
pub(super) fn expand(build: &ImageBuild) -> Result<Expanded> {
    let text = read(build)?;
    build.expansion.expand(&build.dockerfile.display().to_string(), &text)
}

fn read(build: &ImageBuild) -> Result<String> {
    fs::read_to_string(&build.dockerfile).or_usage(|| format!("cannot read {}", build.dockerfile.display()))
}

/// The images of a plan.
pub(super) fn builds(plan: &Plan) -> BTreeMap<ImageKey, &ImageBuild> {
    let mut found = BTreeMap::new();
    for step in &plan.steps {
        if let (Some(arch), Work::Image(build)) = (step.arch, &step.work) {
            found.insert((build.image.clone(), arch), build);
        }
    }
    found
}

/// A placeholder of the whole project must occur in one of its templates.
fn check_shared(loaded: &Loaded, plan: &Plan) -> Result<()> {
    let mut missing: BTreeSet<&str> = loaded.project.placeholders.iter().map(String::as_str).collect();
    for build in builds(plan).into_values() {
        if let (false, Expansion::Literal(substitution)) = (missing.is_empty(), &build.expansion) {
            // A template that is not there is another error, of those who want it.
            let text = fs::read_to_string(&build.dockerfile).unwrap_or_default();
            substitution.occurring(&text).into_iter().for_each(|name| _ = missing.remove(name));
        }
    }
    match missing.first() {
        None => Ok(()),
        Some(name) => Err(Error::usage(format!("the placeholder '{name}' occurs in no template of the project"))
            .hint("take it out of the project's `substitute`")),
    }
}

struct Walk<'a> {
    images: ProjectImages<'a>,
    builds: &'a BTreeMap<ImageKey, &'a ImageBuild>,
    facts: &'a Facts,
    wish: &'a ImageWish<'a>,
    found: Dockerfiles,
}

impl Walk<'_> {
    /// Visits what an image stands on, then itself; `above` are those that led here.
    fn visit(&mut self, key: &ImageKey, above: &mut Vec<ImageKey>) -> Result<()> {
        if let Some(start) = above.iter().position(|known| known == key) {
            let mut chain: Vec<&str> = above[start..].iter().map(|(name, _)| name.as_str()).collect();
            chain.push(key.0.as_str());
            let error = Error::usage(format!("image '{}' is built on itself", key.0));
            return Err(error.hint(format!("each of these stands on the next: {}", chain.join(" <- "))));
        }
        if self.found.parsed.contains_key(key) {
            return Ok(());
        }
        let Some(build) = self.builds.get(key).copied() else {
            return Err(Error::bug(format!("image {} for {} is not in the plan", key.0, key.1)));
        };
        let expanded = expand(build).context(|| format!("image '{}'", key.0))?;
        let place = |span: Span| {
            let (line, column) = expanded.origins.find(span.line, span.column);
            Span { line, column }
        };
        let in_file = |error: ParseError| error.in_file(&build.dockerfile);
        let file = Dockerfile::parse_expanded(&expanded.text, &place).map_err(in_file)?;
        let (mut bases, mut external) = (BTreeSet::new(), BTreeSet::new());
        let build_arch = build_arch(self.facts, key.1, self.wish.built_by);
        let references = references(&file, build, key.1, build_arch).map_err(in_file)?;
        for (span, name, arch) in references.images {
            let place = || format!("{}:{}:{}", build.dockerfile.display(), span.line, span.column);
            match self.images.find(&name, arch).context(place)? {
                Some(image) => _ = bases.insert((image.clone(), arch)),
                None => {
                    check_placeholders(build, span, &name)?;
                    let stages = file.stages.iter().filter_map(|stage| stage.from.name.as_deref());
                    let others = stages.chain(self.builds.keys().map(|(image, _)| image.as_str()));
                    let base = BaseName { name, arch };
                    if let Some(doubt) = doubt(&place(), &base.name, others) {
                        self.found.doubts.insert(base.clone(), doubt);
                    }
                    external.insert(base);
                }
            }
        }
        let tests =
            build.tests.iter().chain(self.wish.tests).map(|path| TestFile::read(path)).collect::<Result<Vec<_>>>()?;
        // What an engine runs is no business of this machine's.
        let mut runs = if self.wish.built_by == BuiltBy::Xbuild { references.runs } else { BTreeSet::new() };
        if tests.iter().any(TestFile::runs_commands) {
            runs.insert(key.1);
        }
        if runs.iter().any(|arch| *arch != self.facts.host) {
            self.found.emulated.insert(key.clone());
        }
        self.found.runs_commands |= !runs.is_empty();
        self.found.tests.insert(key.clone(), tests);
        self.found.external.insert(key.clone(), external);
        above.push(key.clone());
        for base in &bases {
            self.visit(base, above)?;
        }
        above.pop();
        self.found.order.push(key.clone());
        self.found.parsed.insert(key.clone(), file);
        self.found.bases.insert(key.clone(), bases);
        Ok(())
    }
}

/// What a Dockerfile takes from elsewhere.
struct References {
    /// The images that it names, for which architecture it wants each, and where.
    images: Vec<(Span, String, Arch)>,
    /// The architectures that it runs commands of.
    runs: BTreeSet<Arch>,
}

fn references(file: &Dockerfile, build: &ImageBuild, arch: Arch, build_arch: Arch) -> Result<References, ParseError> {
    let scope = Scope::of_file(file, arch, build_arch, &build.args)?;
    // What a base's ONBUILD takes files from is that image's, which came before it.
    let graph = file.graph(build.target.as_deref(), &BTreeMap::new(), &|word| scope.expand(word))?;
    let mut found = References { images: Vec::new(), runs: BTreeSet::new() };
    let mut arches: BTreeMap<usize, Arch> = BTreeMap::new();
    for stage in graph.stages {
        let Stage { from, steps } = &file.stages[stage.index];
        let platform = match (&stage.base, stage.platform.as_deref().and_then(Arch::find)) {
            (Source::Stage(parent), _) => arches.get(parent).copied().unwrap_or(arch),
            (_, platform) => platform.unwrap_or(arch),
        };
        arches.insert(stage.index, platform);
        // A trigger runs in other images, but there may be one among the stages after this.
        if steps.iter().any(|step| matches!(step.instruction, Instruction::Run(_) | Instruction::OnBuild(_))) {
            found.runs.insert(platform);
        }
        if let Source::Image(name) = stage.base {
            found.images.push((from.image.span, name, platform));
        }
        for (span, source) in stage.uses {
            if let Source::Image(name) = source {
                found.images.push((span, name, arch));
            }
        }
    }
    Ok(found)
}

/// A name has no capitals but in its host and its tag: others are a placeholder that nothing was put in for.
fn check_placeholders(build: &ImageBuild, span: Span, name: &str) -> Result<()> {
    let Expansion::Literal(substitution) = &build.expansion else { return Ok(()) };
    let name = name.split('@').next().unwrap_or_default();
    let repository = name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).map_or(name, |(name, _)| name);
    let Some(start) = repository.find(|c: char| c.is_ascii_uppercase()) else { return Ok(()) };
    let part = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let unknown = &repository[start..];
    let unknown = &unknown[..unknown.find(|c| !part(c)).unwrap_or(unknown.len())];
    let error = span.error(format!("nothing is put in for '{unknown}'"));
    let error = match substitution.nearest(unknown) {
        Some(near) => error.hint(format!("did you mean '{near}'?")),
        None => error.hint(format!("an image's name has no capitals: give {unknown} a value in `substitute`")),
    };
    Err(error.in_file(&build.dockerfile))
}

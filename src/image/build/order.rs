//! A whole image as an order to the builder of an engine: everything that it needs to build what xbuild would.
//!
//! Names after FROM, and everything that a Dockerfile starts with, are decided here as for xbuild's own builds. The builder
//! sees its Dockerfile beside a folder with the context, so that no COPY takes it along.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use super::image::{Plan, stage_arch};
use super::request::{Base, Note, Request, Services};
use super::rewritten::{Changes, Part};
use super::settings::Settings;
use super::stage::{FinishedStage, is_url};
use super::wanted::Wanted;
use crate::domain::{Arch, ContentDigest, Digest, Error, GitReference, Result, ResultExt, without_password};
use crate::image::dockerfile::{Graph, PlannedStage};
use crate::image::layer::{Content, Entries, Entry, Stamp, identity, write_tar};
use crate::image::{
    BaseImage, Copy, CopyKind, CopySource, Dockerfile, Instruction, Run, RunMount, Scope, Source, Span, Step,
};

/// The folder of the context in the archive.
const CONTEXT: &str = "context";

/// Goes up when the same order would be carried out in another way.
const RULES: u32 = 1;

/// Arguments that builders know by themselves.
const AUTOMATIC: [&str; 9] = [
    "TARGETPLATFORM",
    "TARGETOS",
    "TARGETARCH",
    "TARGETVARIANT",
    "BUILDPLATFORM",
    "BUILDOS",
    "BUILDARCH",
    "BUILDVARIANT",
    "TARGETSTAGE",
];

/// An image that an order starts from or copies from.
#[derive(Debug, Clone)]
pub struct OrderedBase {
    /// The image.
    pub image: BaseImage,
    /// The folder of the layout that has its blobs.
    pub layout: PathBuf,
}

/// Something that not every builder can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// Where it stands.
    pub span: Span,
    /// As in `COPY --chmod`.
    pub what: String,
}

/// What an engine's builder needs to build an image.
#[derive(Debug)]
pub struct Order {
    /// The Dockerfile, which ends with the stage that is wanted.
    parts: Vec<Part>,
    /// What instructions take from the context.
    files: Entries,
    mtime: u64,
    /// Whom the image is for.
    pub arch: Arch,
    /// The images that it starts from or copies from, by the digests of their manifests.
    pub bases: BTreeMap<Digest, OrderedBase>,
    /// Values for the arguments that the Dockerfile declares.
    pub args: BTreeMap<String, String>,
    /// What the first of Docker's builders cannot do, in the order of the file.
    pub demands: Vec<Demand>,
    /// Where a stage starts from nothing.
    pub scratch: Option<Span>,
    /// Where something is downloaded.
    pub download: Option<Span>,
    /// Whether the same order makes the same image: not where something is downloaded that may change.
    pub lasting: bool,
    /// Stands for everything in it.
    pub key: Digest,
    /// What the image starts with.
    pub(super) stage: Arc<FinishedStage>,
}

/// Everything that the layers depend on. What else is in the configuration follows from the Dockerfile, and its labels and
/// times are no reason to run anything again.
#[derive(Serialize)]
struct Key<'a> {
    rules: u32,
    arch: Arch,
    parts: &'a [Part],
    files: Digest,
    mtime: u64,
    args: &'a BTreeMap<String, String>,
    network: bool,
}

impl Order {
    /// The name of the Dockerfile in the archive.
    pub const DOCKERFILE: &str = "Dockerfile";

    /// The Dockerfile, with names for the images that it starts from or copies from.
    pub fn dockerfile(&self, names: &dyn Fn(&Digest) -> String) -> String {
        let text = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Base(digest) => names(digest),
        };
        self.parts.iter().map(text).collect()
    }

    /// Writes the Dockerfile and the context as an archive.
    ///
    /// # Errors
    /// A file that cannot be read, or is no longer what it was; an archive that cannot be written.
    pub fn pack(&self, dockerfile: &Path, writer: impl Write) -> Result<()> {
        let failed = || format!("cannot read {}", dockerfile.display());
        let digest = ContentDigest::of(&fs::read(dockerfile).or_environment(failed)?);
        let stamp = Stamp::of(&fs::metadata(dockerfile).or_environment(failed)?);
        let file = Entry::new(Content::File { source: dockerfile.to_owned(), digest, stamp }, 0o644, (0, 0));
        let folder = Entry::new(Content::Directory, 0o755, (0, 0));
        let mut entries = Entries::from([(Order::DOCKERFILE.into(), file), (CONTEXT.into(), folder)]);
        entries.extend(self.files.iter().map(|(name, entry)| (Path::new(CONTEXT).join(name), entry.clone())));
        write_tar(&entries, self.mtime, writer)
    }
}

/// Makes the order for an image, from the Dockerfile as text too; `network` says whether its commands see one.
///
/// # Errors
/// What is wrong with the Dockerfile or the files that it copies, and what no engine's builder can do without a session;
/// with line and column.
pub fn order(text: &str, network: bool, request: &Request<'_>, services: &Services<'_>) -> Result<Order> {
    let plan = Plan::new(request, services)?;
    let mut needs = Needs {
        request,
        services,
        wanted: Wanted::new(request.context),
        bases: BTreeMap::new(),
        names: BTreeMap::new(),
        demands: Vec::new(),
        lasting: true,
        addresses: BTreeSet::new(),
    };
    for (planned, base) in plan.graph.stages.iter().filter_map(|stage| Some((stage, plan.bases.get(&stage.index)?))) {
        if let Source::Image(name) = &planned.base {
            needs.keep(name, stage_arch(request.file, request.target, planned)?, base)?;
        }
    }
    let stage = plan.rehearse(request, &mut |planned, step, settings| needs.step(planned, step, settings))?;
    // Places in the text itself, and not in the template that it was made of.
    let file = Dockerfile::parse(text)?;
    let parts = needs.changes(&file, &plan.graph)?.apply(text, &file, &plan.graph)?;
    let scratch = plan.graph.stages.iter().find(|stage| stage.base == Source::Scratch);
    let scratch = scratch.map(|stage| request.file.stages[stage.index].from.image.span);
    let (files, mtime, arch) = (needs.wanted.finish(), request.target.mtime, request.target.arch);
    let args = arguments(request)?;
    let (rules, content) = (RULES, identity(&files));
    let key = Digest::of_json(&Key { rules, arch, parts: &parts, files: content, mtime, args: &args, network });
    let Needs { bases, demands, lasting, addresses, .. } = needs;
    let download = addresses.first().copied();
    Ok(Order { parts, files, mtime, arch, bases, args, demands, scratch, download, lasting, key, stage })
}

/// Values for the arguments that are declared; the builder is told of no others.
fn arguments(request: &Request<'_>) -> Result<BTreeMap<String, String>> {
    let (file, target) = (request.file, request.target);
    let scope = Scope::of_file(file, target.arch, target.build_arch, &target.args)?;
    let inside = file.stages.iter().flat_map(|stage| &stage.steps).filter_map(|step| match &step.instruction {
        Instruction::Arg(pairs) => Some(pairs),
        _ => None,
    });
    let declared: Vec<_> = inside.flatten().chain(&file.arguments).collect();
    let has = |name: &str| declared.iter().any(|pair| pair.name.text == name);
    let mut args: BTreeMap<String, String> =
        target.args.iter().filter(|(name, _)| has(name)).map(|(name, value)| (name.clone(), value.clone())).collect();
    for name in AUTOMATIC.into_iter().filter(|name| has(name)) {
        let has_default = declared.iter().any(|pair| pair.name.text == name && pair.value.is_some());
        if let Some(value) = scope.get(name).filter(|_| !has_default) {
            args.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        }
    }
    Ok(args)
}

/// What the instructions of an image need.
struct Needs<'a> {
    request: &'a Request<'a>,
    services: &'a Services<'a>,
    wanted: Wanted<'a>,
    bases: BTreeMap<Digest, OrderedBase>,
    /// Digests of manifests, by the names that the Dockerfile uses.
    names: BTreeMap<(String, Arch), Digest>,
    demands: Vec<Demand>,
    lasting: bool,
    /// Where sources of ADD stand that are no files of the context, by the places that errors tell.
    addresses: BTreeSet<Span>,
}

impl Needs<'_> {
    fn keep(&mut self, name: &str, arch: Arch, base: &Base) -> Result<Digest> {
        let Base::Image(image, layout) = base else {
            return Err(Error::bug(format!("{name} is no image of a layout")));
        };
        let digest = image.descriptor.digest;
        self.names.insert((name.to_owned(), arch), digest);
        self.bases.entry(digest).or_insert_with(|| OrderedBase { image: (**image).clone(), layout: layout.clone() });
        Ok(digest)
    }

    /// The image of a name after `--from` or `from=`.
    fn image(&mut self, name: &str) -> Result<Digest> {
        let arch = self.request.target.arch;
        match self.names.get(&(name.to_owned(), arch)) {
            Some(digest) => Ok(*digest),
            None => {
                let base = (self.services.base)(name, arch)?;
                self.keep(name, arch, &base)
            }
        }
    }

    fn demand(&mut self, span: Span, what: &str) {
        self.demands.push(Demand { span, what: what.to_owned() });
    }

    fn step(&mut self, planned: &PlannedStage, step: &Step, settings: &Settings) -> Result<()> {
        // The triggers of images are in no text that could be rewritten.
        let written = self.request.file.stages[planned.index].steps.iter().any(|own| std::ptr::eq(own, step));
        let takes = match &step.instruction {
            Instruction::Copy(copy) => copy.from.is_none(),
            Instruction::Run(run) => run.mounts.iter().any(|mount| mount.from().is_none()),
            _ => return Ok(()),
        };
        if !written && takes {
            let error =
                step.span.error("an ONBUILD takes files from the context, which an engine's builder has elsewhere");
            return Err(error.hint("`--built-by xbuild` knows where").into());
        }
        if !written {
            return self.trigger(step.span, &step.instruction, planned.index);
        }
        match &step.instruction {
            Instruction::Copy(copy) => self.copy(step.span, copy, settings).map_err(|error| step.span.place(error)),
            Instruction::Run(run) => self.run(step.span, run, settings).map_err(|error| step.span.place(error)),
            _ => Ok(()),
        }
    }

    /// An instruction whose text is somewhere else must not name images: nobody can tell it what they are called.
    fn trigger(&self, span: Span, instruction: &Instruction, stage: usize) -> Result<()> {
        for word in instruction.sources() {
            if let Source::Image(name) = self.request.file.source(stage, word)? {
                let text =
                    format!("an ONBUILD takes files from the image {name}, which an engine's builder cannot find");
                return Err(span.error(text).hint("name a stage for it, or build with `--built-by xbuild`").into());
            }
        }
        Ok(())
    }

    fn copy(&mut self, span: Span, copy: &Copy, settings: &Settings) -> Result<()> {
        let keyword = copy.kind.keyword();
        for (given, option) in [
            (copy.chmod.is_some(), "--chmod"),
            (copy.link, "--link"),
            (copy.parents, "--parents"),
            (!copy.excludes.is_empty(), "--exclude"),
            (copy.checksum.is_some(), "--checksum"),
            (copy.keep_git_dir, "--keep-git-dir"),
            (copy.unpack.is_some(), "--unpack"),
        ] {
            if given {
                self.demand(span, &format!("{keyword} {option}"));
            }
        }
        for source in &copy.sources {
            match source {
                CopySource::Heredoc(heredoc) => self.demand(heredoc.span, "a here-document"),
                CopySource::Path(word) if copy.from.is_none() => {
                    let text = settings.expand(word)?;
                    if copy.kind == CopyKind::Add && self.address(copy, word.span, &text)? {
                        self.addresses.insert(word.span);
                    } else if copy.parents {
                        self.wanted.source_with_parents(&text)?;
                    } else {
                        self.wanted.source(&text)?;
                    }
                }
                CopySource::Path(_) => {}
            }
        }
        Ok(())
    }

    /// Whether a source of ADD is downloaded. The builder does that itself.
    fn address(&mut self, copy: &Copy, span: Span, text: &str) -> Result<bool> {
        let repository = GitReference::parse(text).map_err(|error| span.place(error))?;
        if repository.is_none() && !is_url(text) {
            return Ok(false);
        }
        if text.starts_with("git@") || text.starts_with("ssh://") {
            let error = span.error("an engine's builder has no SSH agent here");
            return Err(error.hint("`--built-by xbuild` has one").into());
        }
        if repository.is_some() {
            self.demand(span, "ADD of a git repository");
        }
        if copy.checksum.is_none() {
            self.lasting = false;
            let (name, text) = (self.request.name, without_password(text));
            let text = format!("{name}: {text} is not pinned, so the engine is asked in every run");
            (self.services.tell)(Note::Warning(text));
        }
        Ok(true)
    }

    fn run(&mut self, span: Span, run: &Run, settings: &Settings) -> Result<()> {
        if let Some(heredoc) = run.heredocs.first() {
            self.demand(heredoc.span, "a here-document");
        }
        if run.network.is_some() {
            self.demand(span, "RUN --network");
        }
        for flag in &run.mounts {
            self.demand(flag.span, "RUN --mount");
            match flag.resolve(&|word| settings.scope.expand(word))? {
                RunMount::Bind { from: None, source, .. } => self.wanted.source(&source)?,
                RunMount::Secret { .. } => return Err(no_session(flag.span, "secrets")),
                RunMount::Ssh { .. } => return Err(no_session(flag.span, "SSH agents")),
                RunMount::Bind { .. } | RunMount::Cache { .. } | RunMount::Tmpfs { .. } => {}
            }
        }
        Ok(())
    }

    /// What must stand otherwise in the text for the builder. Both files have the same instructions: those of the request
    /// know the places that errors tell, these their places in the text.
    fn changes(&mut self, file: &Dockerfile, graph: &Graph) -> Result<Changes> {
        let mut changes = Changes::default();
        let told = self.request.file;
        for planned in &graph.stages {
            let (stage, told) = (&file.stages[planned.index], &told.stages[planned.index]);
            if let (Some(word), Some(platform)) = (&stage.from.platform, &planned.platform) {
                changes.replace(word.span, &word.text, Part::Text(platform.clone()));
            }
            if let Source::Image(name) = &planned.base {
                let arch = stage_arch(self.request.file, self.request.target, planned)?;
                let digest = self.names.get(&(name.clone(), arch));
                let digest = *digest.ok_or_else(|| Error::bug(format!("nobody looked for {name}")))?;
                changes.replace(stage.from.image.span, &stage.from.image.text, Part::Base(digest));
            }
            for (step, told) in stage.steps.iter().zip(&told.steps) {
                for word in step.instruction.sources() {
                    if let Source::Image(name) = file.source(planned.index, word)? {
                        let digest = self.image(&name).map_err(|error| told.span.place(error))?;
                        changes.replace(word.span, &word.text, Part::Base(digest));
                    }
                }
                match (&step.instruction, &told.instruction) {
                    (Instruction::Copy(copy), Instruction::Copy(told)) => self.sources(copy, told, &mut changes)?,
                    (Instruction::Run(run), _) => mounts(run, &mut changes),
                    _ => {}
                }
            }
        }
        Ok(changes)
    }

    /// Sources of the context are in its folder.
    fn sources(&self, copy: &Copy, told: &Copy, changes: &mut Changes) -> Result<()> {
        if copy.from.is_some() {
            return Ok(());
        }
        let inside = |text: &str| match copy.parents && !text.contains("/./") {
            // What is before this is left out of the names in the image.
            true => format!("{CONTEXT}/./"),
            false => format!("{CONTEXT}/"),
        };
        let words: Vec<_> = copy.sources.iter().zip(&told.sources).collect();
        let mut array = Vec::new();
        for (source, told) in &words {
            let (CopySource::Path(word), CopySource::Path(told)) = (source, told) else { continue };
            let is_address = self.addresses.contains(&told.span);
            let before = if is_address { String::new() } else { inside(&word.text) };
            array.push(format!("{before}{}", word.text));
            if word.span != copy.destination.span && !is_address {
                changes.insert(word.span, &before);
            }
        }
        // The words of an array all stand where it begins.
        let is_array = words
            .iter()
            .any(|(source, _)| matches!(source, CopySource::Path(word) if word.span == copy.destination.span));
        if is_array {
            array.push(copy.destination.text.clone());
            changes.replace_array(copy.destination.span, &array)?;
        }
        Ok(())
    }
}

/// Sources of the context are in its folder, and so is the context itself, which is mounted where no source is named.
fn mounts(run: &Run, changes: &mut Changes) {
    for flag in run.mounts.iter().filter(|flag| flag.from().is_none()) {
        let named =
            |names: &[&str]| flag.options.iter().rev().find(|option| names.contains(&option.name.text.as_str()));
        let kind = named(&["type"]).and_then(|option| option.value.as_ref()).map_or("bind", |kind| kind.text.as_str());
        if !kind.eq_ignore_ascii_case("bind") {
            continue;
        }
        match named(&["source", "src"]).and_then(|option| option.value.as_ref()) {
            Some(source) => changes.insert(source.span, &format!("{CONTEXT}/")),
            None => changes.insert(flag.span, &format!("source={CONTEXT},")),
        }
    }
}

fn no_session(span: Span, what: &str) -> Error {
    let error = span.error(format!("an engine's builder is given no {what}"));
    error.hint("`--built-by xbuild` runs this line with them").into()
}

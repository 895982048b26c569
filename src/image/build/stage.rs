//! One stage: its instructions from the first to the last.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::copy::{self, Copier, CopyRequest, Writer};
use super::files::Files;
use super::history;
use super::image::Stages;
use super::rehearsal::chmod;
use super::request::{Base, Note, Request, Services};
use super::settings::Settings;
use super::stack::Stack;
use super::users;
use super::view::View;
use crate::domain::{Arch, Error, GitReference, Result, without_password};
use crate::image::dockerfile::{Copy, CopyKind, Heredoc, Instruction, OnBuild, Source, Step, Word};
use crate::image::{CopySource, History, Ignore, ImageConfig, Runtime, Scope};

/// A stage that is built: what others start from or copy from.
#[derive(Debug, Clone)]
pub struct FinishedStage {
    pub(super) arch: Arch,
    pub(super) stack: Stack,
    pub(super) runtime: Runtime,
    pub(super) scope: Scope,
    pub(super) author: Option<String>,
    pub(super) history: Vec<History>,
    /// Commands ran in it or in a stage that it stands on.
    pub(super) ran: bool,
}

impl FinishedStage {
    /// Its configuration, but for the digests of its layers.
    pub(super) fn config(&self, created: &str) -> ImageConfig {
        let mut config = ImageConfig::scratch(self.arch);
        config.created = Some(created.to_owned());
        config.author.clone_from(&self.author);
        config.config = self.runtime.clone();
        config.history.clone_from(&self.history);
        config
    }
}

/// A stage under construction.
pub(super) struct StageBuild<'a> {
    pub(super) request: &'a Request<'a>,
    pub(super) services: &'a Services<'a>,
    /// The stages before it.
    pub(super) stages: &'a Stages,
    /// Its place in the file.
    pub(super) index: usize,
    pub(super) arch: Arch,
    pub(super) stack: Stack,
    pub(super) settings: Settings,
    pub(super) history: Vec<History>,
    pub(super) created: String,
    /// A command had to be run.
    pub(super) ran: bool,
}

impl StageBuild<'_> {
    /// Does the instructions of ONBUILD, and then the stage's own.
    pub(super) fn build(mut self, triggers: &[Step], steps: &[Step]) -> Result<FinishedStage> {
        self.settings.runtime.on_build = None;
        for step in triggers.iter().chain(steps) {
            self.step(step)?;
        }
        Ok(self.finish())
    }

    /// The stage as it is now.
    pub(super) fn finish(self) -> FinishedStage {
        let Settings { runtime, scope, author, .. } = self.settings;
        let (stack, history) = (self.stack, self.history);
        FinishedStage { arch: self.arch, stack, runtime, scope, author, history, ran: self.ran }
    }

    /// Carries out one instruction.
    pub(super) fn step(&mut self, step: &Step) -> Result<()> {
        let layers = self.stack.len();
        self.settings.apply(&step.instruction)?;
        match &step.instruction {
            Instruction::Run(run) => self.run(step, run)?,
            Instruction::Copy(instruction) => self.copy(instruction).map_err(|error| step.span.place(error))?,
            Instruction::WorkDir(_) => self.workdir().map_err(|error| step.span.place(error))?,
            _ => {}
        }
        let Some(created_by) = history::text(&step.instruction, &self.settings)? else { return Ok(()) };
        self.history.push(History {
            created: Some(self.created.clone()),
            created_by: Some(created_by),
            empty_layer: self.stack.len() == layers,
            ..History::default()
        });
        Ok(())
    }

    /// What people call the stage.
    pub(super) fn name(&self) -> String {
        let from = &self.request.file.stages[self.index].from;
        from.name.clone().unwrap_or_else(|| self.index.to_string())
    }

    /// A layer with the folder, even if it is there already; the root needs none.
    fn workdir(&mut self) -> Result<()> {
        if self.settings.runtime.working_dir == "/" {
            return Ok(());
        }
        let folders = self.request.folders;
        let mut view = self.stack.take_view(folders)?;
        let owner = self.owner(&view, &self.settings.runtime.user)?;
        let entries = copy::make_folder(&self.settings.runtime.working_dir, owner, &mut view)?;
        self.stack.push_viewed(entries, view);
        Ok(())
    }

    /// The owner that a text names; one that the image does not know is told of.
    fn owner(&self, view: &View, text: &str) -> Result<copy::Owner> {
        users::owner(view, text, &mut |name| {
            let text = format!("{}: the image does not know '{name}': root is taken", self.request.name);
            (self.services.tell)(Note::Warning(text));
        })
    }

    /// The files of a stage or an image; `None` for those of the context.
    pub(super) fn source(&self, from: Option<&str>) -> Result<Option<Arc<View>>> {
        let Some(from) = from else { return Ok(None) };
        let span = self.request.file.stages[self.index].from.span;
        let word = Word { span, text: from.to_owned() };
        let folders = self.request.folders;
        Ok(Some(match self.request.file.source(self.index, &word)? {
            Source::Scratch => Arc::new(View::default()),
            Source::Stage(index) => self.stages.finished(index)?.stack.view(folders)?,
            Source::Image(name) => match (self.services.base)(&name, self.request.target.arch)? {
                Base::Stage(stage) => stage.stack.view(folders)?,
                Base::Image(image, layout) => Stack::of_image(&image, &layout).view(folders)?,
            },
        }))
    }

    fn copy(&mut self, instruction: &Copy) -> Result<()> {
        let tree = self.source(instruction.from.as_ref().map(|word| word.text.as_str()))?;
        let mut view = self.stack.take_view(self.request.folders)?;
        let request = self.copy_request(instruction, &view)?;
        // With --link, nothing of what is below the layer may decide what is in it.
        let mut alone = View::default();
        let mut writer = Writer::new(if instruction.link { &mut alone } else { &mut view });
        let mut copier = Copier { request: &request, writer: &mut writer };
        let files: &dyn Files = match &tree {
            Some(view) => &**view,
            None => self.request.context,
        };
        let unpacks = instruction.unpack.unwrap_or(instruction.kind == CopyKind::Add);
        for source in &instruction.sources {
            match source {
                CopySource::Heredoc(heredoc) => self.heredoc(&mut copier, heredoc)?,
                CopySource::Path(word) => {
                    let text = self.settings.expand(word)?;
                    let repository = match instruction.kind {
                        CopyKind::Add => GitReference::parse(&text).map_err(|error| word.span.place(error))?,
                        CopyKind::Copy => None,
                    };
                    if let Some(reference) = repository {
                        self.repository(&mut copier, instruction, word, &reference)?;
                    } else if is_url(&text) {
                        self.download(&mut copier, instruction, word, &text)?;
                    } else if unpacks {
                        self.unpacking(&mut copier, files, &text)?;
                    } else {
                        copier.source(files, &text)?;
                    }
                }
            }
        }
        let entries = writer.finish();
        if instruction.link {
            view.apply(&entries);
        }
        self.stack.push_viewed(entries, view);
        Ok(())
    }

    fn copy_request(&self, instruction: &Copy, view: &View) -> Result<CopyRequest> {
        let owner = match &instruction.chown {
            Some(word) => Some(self.owner(view, &self.settings.expand(word)?)?),
            None => None,
        };
        let excludes: Vec<&str> = instruction.excludes.iter().map(|word| word.text.as_str()).collect();
        let rules = if excludes.is_empty() { None } else { Some(Ignore::parse(&excludes.join("\n"))?) };
        let typed = self.settings.expand(&instruction.destination)?;
        Ok(CopyRequest {
            destination: copy::destination(&self.settings.runtime.working_dir, &typed),
            owner,
            mode: chmod(instruction, &self.settings)?,
            parents: instruction.parents,
            excludes: rules,
        })
    }

    fn heredoc(&self, copier: &mut Copier<'_, '_>, heredoc: &Heredoc) -> Result<()> {
        let text = self.settings.scope.expand_heredoc(heredoc)?;
        let file = self.stages.text(text.as_bytes())?;
        copier.file(&file, Path::new(&heredoc.name), 0o644)
    }

    fn download(&self, copier: &mut Copier<'_, '_>, instruction: &Copy, word: &Word, url: &str) -> Result<()> {
        if instruction.kind == CopyKind::Copy {
            return Err(word.span.error("COPY takes no URL").hint("ADD does").into());
        }
        let checksum = instruction.checksum.as_ref().map(|word| {
            let text = self.settings.expand(word)?;
            text.parse().map_err(|error| word.span.error(format!("{error}")))
        });
        let checksum = checksum.transpose()?;
        let (path, digest) = (self.services.fetch)(url, checksum).map_err(|error| word.span.place(error))?;
        if checksum.is_none() {
            let (name, url) = (self.request.name, without_password(url));
            let text = format!("{name}: {url} has the digest {digest}; pin it with --checksum={digest}");
            (self.services.tell)(Note::Warning(text));
        }
        if instruction.unpack == Some(true) && super::add::is_archive(&path)? {
            let content = (self.request.context.digest)(&path)?;
            return super::add::unpack(copier, self.request.folders, &path, content);
        }
        let path_of_url = url.split(['?', '#']).next().unwrap_or(url);
        let name = path_of_url.splitn(4, '/').nth(3).and_then(|path| path.rsplit('/').next()).unwrap_or_default();
        let name = if name.is_empty() { "__unnamed__" } else { name };
        let content = (self.request.context.digest)(&path)?;
        copier.file(&(path, content), Path::new(name), 0o600)
    }

    /// ADD of what is in a tree: archives are unpacked, all else is copied.
    fn unpacking(&self, copier: &mut Copier<'_, '_>, files: &dyn Files, source: &str) -> Result<()> {
        if copier.request.parents {
            return copier.source(files, source);
        }
        for name in super::files::matches(files, source)? {
            let found = copier.find(files, &name, source)?;
            match super::add::archive(files, &found)? {
                Some((path, digest)) => super::add::unpack(copier, self.request.folders, &path, digest)?,
                None => copier.copy(files, &name, &found, None)?,
            }
        }
        Ok(())
    }
}

pub(super) fn is_url(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

/// The instruction of an ONBUILD as a step at the place of the FROM that it comes with.
pub(super) fn trigger(trigger: &str, from: &crate::image::From) -> Result<Step> {
    let step = Step::parse_trigger(trigger).map_err(|error| {
        let error = Error::usage(format!("the ONBUILD '{trigger}' of the base image: {}", error.message));
        from.span.place(error)
    })?;
    Ok(Step { span: from.span, ..step })
}

/// The texts of ONBUILD among steps.
pub(super) fn on_build(steps: &[Step]) -> impl Iterator<Item = &OnBuild> {
    steps.iter().filter_map(|step| match &step.instruction {
        Instruction::OnBuild(trigger) => Some(trigger),
        _ => None,
    })
}

/// A file with its digest.
pub(super) type Digested = (PathBuf, crate::domain::ContentDigest);

//! From a project and the facts of the machine to a plan.

use std::collections::BTreeMap;

use super::builders::{Builders, Parts};
use super::environment::{Builder, OUTPUT, SOURCE, SSH_AGENT, go_build, prefix, shell};
use super::facts::{BaseName, Facts};
use super::host_tools::{MissingTools, ToolNeeds};
use super::image::{Makers, image_build};
use super::needs::Needs;
use super::step::{
    ArchiveLayer, BaseBuild, Command, EmulatorFile, LibraryBuild, OutputFile, PackageLayer, Plan, Preparation,
    ProgramBuild, ProgramSource, Step, StepId, Work,
};
use crate::config::{BaseSource, Binary, Component, ImageSource, LibraryChoice, Origin, Project, Variables};
use crate::domain::{Arch, Digest, DockerAccess, Error, Name, Result, ResultExt};

/// What is wanted; empty lists mean everything.
#[derive(Debug, Clone)]
pub enum Goal {
    /// The builders of all programs.
    Toolchain,
    /// One builder, with everything that the project's programs for that architecture need.
    Builder(Arch),
    /// Programs.
    Binaries(Vec<Name>),
    /// Programs, and what runs them here.
    Tests(Vec<Name>),
    /// Images, and the programs in them.
    Images(Vec<Name>),
}

/// Plans everything that a goal takes.
///
/// # Errors
/// A usage error for names that do not exist and templates that do not expand; an environment error for tools that the
/// machine lacks, where it has to have them itself.
pub fn plan(project: &Project, facts: &Facts, goal: &Goal) -> Result<Plan> {
    let mut planner = Planner::new(project, facts);
    match goal {
        Goal::Toolchain => planner.builders()?,
        Goal::Builder(arch) => _ = planner.whole_builder(*arch)?,
        Goal::Binaries(names) => planner.binaries(&selected(names, &project.binaries, "binary")?)?,
        Goal::Tests(names) => {
            planner.binaries(&selected(names, &project.binaries, "binary")?)?;
            planner.emulator()?;
        }
        Goal::Images(names) => planner.images(&selected(names, &project.images, "image")?)?,
    }
    planner.all_tools_found()?;
    Ok(planner.plan)
}

/// The command that tries a program on an architecture.
///
/// # Errors
/// A usage error for a template that does not expand.
pub fn test_command(project: &Project, facts: &Facts, binary: &Binary, arch: Arch, text: &str) -> Result<Command> {
    let builder = Builder {
        toolchain: &project.toolchain,
        components: &binary.components,
        host: facts.host_of(arch),
        target: arch,
        epoch: facts.epoch,
    };
    let variables = facts.variables.clone().with_arch(arch);
    let mut env = builder.test_environment()?;
    env.extend(facts.environment.clone());
    for (name, value) in &binary.env {
        env.insert(name.clone(), variables.expand(value)?);
    }
    let command = shell(&variables.expand(text)?, env, false);
    Ok(Command { time_limit: facts.time_limit(binary), ..command })
}

/// A command in the builder of an architecture.
#[derive(Debug, Clone)]
pub struct BuilderCommand {
    /// What runs.
    pub command: Command,
    /// Layers of the compilers, lowest first.
    pub root: Vec<StepId>,
    /// Layers of libraries, above those.
    pub libraries: Vec<StepId>,
}

/// A command in the builder that [`Goal::Builder`] makes.
///
/// # Errors
/// A usage error for a template that does not expand.
pub fn builder_command(
    project: &Project,
    facts: &Facts,
    arch: Arch,
    argv: Vec<String>,
    network: bool,
) -> Result<BuilderCommand> {
    let mut planner = Planner::new(project, facts);
    let Parts { root, libraries } = planner.whole_builder(arch)?;
    let components: Vec<Name> = project.toolchain.components.keys().cloned().collect();
    let (host, epoch) = (facts.host_of(arch), facts.epoch);
    let builder = Builder { toolchain: &project.toolchain, components: &components, host, target: arch, epoch };
    let mut env = builder.environment()?;
    env.extend(facts.environment.clone());
    Ok(BuilderCommand {
        command: Command { argv, env, cwd: SOURCE.into(), network, time_limit: None },
        root,
        libraries,
    })
}

/// Stands for libraries, by recipe and archive, in the letters of a C macro.
fn identity(libraries: &[LibraryChoice]) -> String {
    let facts: Vec<_> = libraries.iter().map(|l| (&l.name, &l.version, l.source.sha256, &l.recipe.build)).collect();
    Digest::of_json(&facts).short()
}

fn selected<'a, T>(names: &'a [Name], all: &'a BTreeMap<Name, T>, what: &str) -> Result<Vec<&'a Name>> {
    if let Some(name) = names.iter().find(|name| !all.contains_key(*name)) {
        let known: Vec<&str> = all.keys().map(Name::as_str).collect();
        return Err(Error::usage(format!("the project has no {what} '{name}'")).hint(if known.is_empty() {
            "it has none".into()
        } else {
            format!("it has {}", known.join(", "))
        }));
    }
    if names.is_empty() { Ok(all.keys().collect()) } else { Ok(names.iter().collect()) }
}

pub(super) struct Planner<'a> {
    pub(super) project: &'a Project,
    pub(super) facts: &'a Facts,
    pub(super) plan: Plan,
    /// Of the machine's own, where it has to have them.
    pub(super) missing: MissingTools,
}

impl<'a> Planner<'a> {
    pub(super) fn new(project: &'a Project, facts: &'a Facts) -> Planner<'a> {
        Planner { project, facts, plan: Plan::default(), missing: MissingTools::new() }
    }
}

impl Planner<'_> {
    /// Adds a step, unless it is there.
    pub(super) fn add(
        &mut self,
        id: StepId,
        arch: Option<Arch>,
        needs: Vec<StepId>,
        inputs: &[(&str, String)],
        work: Work,
    ) -> StepId {
        if !self.plan.steps.iter().any(|step| step.id == id) {
            let inputs = inputs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
            self.plan.steps.push(Step { id: id.clone(), arch, needs, inputs, work });
        }
        id
    }

    fn packages(&mut self, part: &str, arch: Option<Arch>, names: Vec<String>, keep: Vec<String>) -> StepId {
        let suite = self.project.toolchain.base.bootstrap.suite.clone();
        let below = (part != "base" && keep.is_empty()).then(|| self.base());
        let needs = below.iter().cloned().collect();
        let layer = PackageLayer { suite, names, below, keep };
        let inputs = [("definition", Digest::of_json(&(&layer, self.facts.host)).to_string())];
        let id = StepId::new(&["packages", self.project.toolchain_name.as_str(), part]);
        self.add(id, arch, needs, &inputs, Work::Packages(layer))
    }

    pub(super) fn base(&mut self) -> StepId {
        self.packages("base", None, self.project.toolchain.packages.clone(), Vec::new())
    }

    pub(super) fn target(&mut self, arch: Arch) -> Result<StepId> {
        let names = self.project.toolchain.target_packages(self.facts.host, arch)?;
        Ok(self.packages(arch.name(), Some(arch), names, Vec::new()))
    }

    pub(super) fn component(&mut self, name: &Name) -> Result<StepId> {
        self.project.check_component(name)?;
        match &self.project.toolchain.components[name] {
            Component { archive: None, packages, .. } => {
                Ok(self.packages(name.as_str(), None, packages.clone(), Vec::new()))
            }
            Component { archive: Some(archive), .. } => {
                let host = self.facts.host;
                let source = archive.hosts.get(&host).cloned().ok_or_else(|| {
                    Error::usage(format!("component '{name}' has no archive for a host of architecture {host}"))
                })?;
                let inputs = [("archive", source.sha256.to_string()), ("into", archive.into.clone())];
                let work = Work::Archive(ArchiveLayer { source, into: archive.into.clone() });
                let id = StepId::new(&["archive", self.project.toolchain_name.as_str(), name.as_str()]);
                Ok(self.add(id, None, Vec::new(), &inputs, work))
            }
        }
    }

    /// What runs programs of the project's other architectures.
    fn emulator(&mut self) -> Result<()> {
        let foreign = self.project.arches.iter().any(|arch| *arch != self.facts.host);
        match &self.facts.builders {
            // Whatever runs such programs there is the machine's business.
            Builders::Host(_) => Ok(()),
            Builders::Layers | Builders::Images if foreign => self.emulators().map(|_| ()),
            Builders::Layers | Builders::Images => Ok(()),
        }
    }

    /// An image that is none of the project's.
    fn external(&mut self, base: &BaseName) -> Result<StepId> {
        let source = self.project.base(&base.name)?;
        let (mut files, mut owners, mut emulator) = (BTreeMap::new(), BTreeMap::new(), None);
        if let BaseSource::Bootstrap(root) = &source {
            let debian = self.project.catalogue.debian()?;
            files = debian.files(root)?;
            owners = debian.owners;
            if base.arch != self.facts.host {
                let path = Variables::of_arch(base.arch).expand(&self.project.toolchain.emulator.program)?;
                emulator = Some(EmulatorFile { step: self.emulators()?, path });
            }
        }
        let needs = emulator.iter().map(|emulator| emulator.step.clone()).collect();
        // An image is what its digest says, wherever it comes from; that is an input of its own, once it is known.
        let root = match &source {
            BaseSource::Bootstrap(root) => Some(root),
            BaseSource::Layout { .. } | BaseSource::Registry { .. } => None,
        };
        let inputs = [("definition", Digest::of_json(&(root, base.arch, &files, &owners)).to_string())];
        let work = Work::Base(BaseBuild { image: base.name.clone(), source, files, owners, emulator });
        Ok(self.add(base.step(), Some(base.arch), needs, &inputs, work))
    }

    /// All of them, so that the next project's architectures need no other layer; the host's too, for images.
    fn emulators(&mut self) -> Result<StepId> {
        let toolchain = &self.project.toolchain;
        let program = |arch: &Arch| Variables::of_arch(*arch).expand(&toolchain.emulator.program);
        let keep = toolchain.arches.iter().map(program).collect::<Result<_>>()?;
        Ok(self.packages("emulators", None, toolchain.emulator.packages.clone(), keep))
    }

    pub(super) fn library(&mut self, library: &LibraryChoice, arch: Arch) -> Result<StepId> {
        let mut root = match &self.facts.builders {
            Builders::Host(_) => Vec::new(),
            Builders::Layers | Builders::Images => vec![self.base(), self.target(arch)?],
        };
        for text in &library.recipe.libs {
            let needed = self.project.library(text)?;
            if needed.name == library.name {
                return Err(Error::usage(format!("library '{}' needs itself", library.name)));
            }
            root.push(self.library(&needed, arch)?);
        }
        let builder = self.builder(&[], arch);
        let mut env = builder.environment()?;
        env.insert("DESTDIR".into(), OUTPUT.into());
        // An archive's own dates tell when it was made; this one only has to be the same everywhere.
        env.insert("SOURCE_DATE_EPOCH".into(), "0".into());
        let command = shell(&library.recipe.build, env, false);
        let inputs = [
            ("recipe", Digest::of_json(&(&command, &library.recipe.installs)).to_string()),
            ("source", library.source.sha256.to_string()),
        ];
        let installs = library.recipe.installs.iter().map(|path| format!("{}/{path}", prefix(arch))).collect();
        let work =
            Work::Library(LibraryBuild { root: root.clone(), source: library.source.clone(), command, installs });
        let id = StepId::new(&["library", &format!("{}@{}", library.name, library.version), arch.name()]);
        let id = self.add(id, Some(arch), root, &inputs, work);
        self.stand_on(&id, &ToolNeeds::of_library(arch, &library.recipe.programs));
        Ok(id)
    }

    fn builder<'a>(&'a self, components: &'a [Name], target: Arch) -> Builder<'a> {
        let (host, epoch) = (self.facts.host_of(target), self.facts.epoch);
        Builder { toolchain: &self.project.toolchain, components, host, target, epoch }
    }

    /// The builders of all programs; one with everything that they need, where there are no programs yet.
    fn builders(&mut self) -> Result<()> {
        let project = self.project;
        for arch in &project.arches {
            for binary in project.binaries.values().filter(|binary| binary.arches.contains(arch)) {
                self.parts(Some(*arch), &binary.components, &binary.libraries)?;
            }
            if project.binaries.is_empty() {
                self.whole_builder(*arch)?;
            }
        }
        Ok(())
    }

    /// A builder with everything that one of the project's programs needs.
    fn whole_builder(&mut self, arch: Arch) -> Result<Parts> {
        let Needs { components, libraries } = Needs::of(self.project)?;
        if !self.facts.machines.contains_key(&arch) {
            self.take_tools(&ToolNeeds::of_builder(arch));
        }
        self.parts(Some(arch), &components, &libraries)
    }

    fn binaries(&mut self, names: &[&Name]) -> Result<()> {
        let project = self.project;
        for arch in &project.arches {
            for name in names {
                let binary = &project.binaries[*name];
                if binary.arches.contains(arch) {
                    self.binary(name, binary, *arch).context(|| format!("binary '{name}'"))?;
                }
            }
        }
        Ok(())
    }

    fn binary(&mut self, name: &Name, binary: &Binary, arch: Arch) -> Result<StepId> {
        let Parts { root, libraries } = self.parts(Some(arch), &binary.components, &binary.libraries)?;
        let variables = self.facts.variables.clone().with_arch(arch);
        let builder = self.builder(&binary.components, arch);
        let mut env = builder.environment()?;
        if binary.source.is_some() {
            // What comes from elsewhere does not change with the project's commits.
            env.insert("SOURCE_DATE_EPOCH".into(), "0".into());
        }
        if !binary.libraries.is_empty() {
            // Go's build cache knows compilers and flags, but not headers; so the libraries are told by a flag.
            env.insert("CGO_CPPFLAGS".into(), format!("-DXBUILD_LIBRARIES={}", identity(&binary.libraries)));
        }
        env.extend(self.facts.environment.clone());
        if let Some(access) = binary.docker {
            self.check_docker(access, arch)?;
            env.insert("DOCKER_HOST".into(), format!("unix://{}", DockerAccess::SOCKET));
        }
        if binary.ssh {
            env.insert("SSH_AUTH_SOCK".into(), SSH_AGENT.into());
        }
        for (variable, value) in &binary.env {
            env.insert(variable.clone(), variables.expand(value)?);
        }
        if binary.network {
            env.remove("GOPROXY");
        }
        let (command, outputs, shares_tree) = match &binary.origin {
            Origin::Go(go) => {
                if !go.cgo {
                    env.insert("CGO_ENABLED".into(), "0".into());
                }
                let argv = go_build(name, go, &variables)?;
                let cwd = if go.dir == "." { SOURCE.to_owned() } else { format!("{SOURCE}/{}", go.dir) };
                let command = Command { argv, env, cwd, network: binary.network, time_limit: None };
                (command, vec![OutputFile { name: name.clone(), path: None }], true)
            }
            Origin::Command { command, outputs } => {
                let outputs =
                    outputs.iter().map(|(name, path)| OutputFile { name: name.clone(), path: Some(path.clone()) });
                (shell(&variables.expand(command)?, env, binary.network), outputs.collect(), false)
            }
        };
        let command = Command { time_limit: self.facts.time_limit(binary), ..command };
        let tools = self.tools_of_program(binary, arch, &command.env);
        let preparation = match &binary.source {
            None => self.preparation()?,
            Some(_) => None,
        };
        let source = binary.source.clone().map_or(ProgramSource::Tree, ProgramSource::Archive);
        let mut inputs = vec![
            ("command", Digest::of_json(&(&command, &outputs)).to_string()),
            ("verification", Digest::of_json(&(binary.statically_linked, binary.glibc)).to_string()),
            match &source {
                ProgramSource::Tree => self.tree()?,
                ProgramSource::Archive(archive) => ("source", archive.sha256.to_string()),
            },
        ];
        inputs.extend(binary.docker.map(|access| ("docker", access.to_string())));
        inputs.extend(binary.ssh.then(|| ("ssh", "the caller's agent".to_owned())));
        let work = Work::Program(ProgramBuild {
            root: root.clone(),
            libraries: libraries.clone(),
            source,
            preparation: preparation.clone(),
            command,
            outputs,
            statically_linked: binary.statically_linked,
            glibc: binary.glibc,
            docker: binary.docker,
            ssh: binary.ssh,
            // What an engine or an agent does for one command is no business of another's.
            shares_tree: shares_tree && binary.docker.is_none() && !binary.ssh,
        });
        let id = StepId::new(&["binary", name.as_str(), arch.name()]);
        let needs = root.into_iter().chain(libraries).chain(preparation).collect();
        let id = self.add(id, Some(arch), needs, &inputs, work);
        // What is built elsewhere takes other tools.
        if !self.facts.machines.contains_key(&arch) {
            self.stand_on(&id, &tools);
        }
        Ok(id)
    }

    /// The input that stands for the project's tree.
    fn tree(&self) -> Result<(&'static str, String)> {
        let digest = self.facts.tree.ok_or_else(|| Error::bug("the tree was not hashed"))?;
        Ok(("source tree", digest.to_string()))
    }

    /// What the project's `prepare` makes of the tree, once for all programs: it sees every component that one of them
    /// has, and no target.
    fn preparation(&mut self) -> Result<Option<StepId>> {
        let project = self.project;
        let Some(text) = &project.prepare else { return Ok(None) };
        let mut components: Vec<Name> = Vec::new();
        for binary in project.binaries.values().filter(|binary| binary.source.is_none()) {
            components.extend(
                binary.components.iter().filter(|name| !components.contains(name)).cloned().collect::<Vec<_>>(),
            );
        }
        let Parts { root, .. } = self.parts(None, &components, &[])?;
        let (host, epoch) = (self.facts.builder_host, self.facts.epoch);
        let builder = Builder { toolchain: &project.toolchain, components: &components, host, target: host, epoch };
        let mut env = builder.native_environment();
        env.extend(self.facts.environment.clone());
        let command = shell(&self.facts.variables.expand(text)?, env, false);
        let command = Command { time_limit: self.facts.time_limit, ..command };
        let inputs = [("command", Digest::of_json(&command).to_string()), self.tree()?];
        let work = Work::Preparation(Preparation { root: root.clone(), command });
        let id = self.add(StepId::new(&["preparation"]), None, root, &inputs, work);
        let tools = self.tools_of_components(&components);
        self.stand_on(&id, &tools);
        Ok(Some(id))
    }

    fn images(&mut self, names: &[&Name]) -> Result<()> {
        let project = self.project;
        for arch in &project.arches {
            for name in names {
                if project.images[*name].arches.contains(arch) {
                    self.image(name, *arch).context(|| format!("image '{name}'"))?;
                }
            }
        }
        Ok(())
    }

    fn image(&mut self, key: &Name, arch: Arch) -> Result<()> {
        let project = self.project;
        let mut makers = Makers::default();
        for source in project.images[key].files.values() {
            match source {
                ImageSource::Program(output) => {
                    makers.programs.insert(output.clone(), self.maker(output, arch)?);
                }
                ImageSource::Emulator => makers.emulators = Some(self.emulators()?),
                ImageSource::Path(_) => {}
            }
        }
        let mut bases = Vec::new();
        for base in self.facts.bases.get(&(key.clone(), arch)).into_iter().flatten() {
            bases.push(self.external(base).context(|| format!("base '{}'", base.name))?);
        }
        let emulator = match self.facts.emulated.contains(&(key.clone(), arch)) {
            true => {
                let path = Variables::of_arch(arch).expand(&project.toolchain.emulator.program)?;
                Some(EmulatorFile { step: self.emulators()?, path })
            }
            false => None,
        };
        let mut build = image_build(project, self.facts, key, arch, &makers)?;
        let mut needs: Vec<StepId> = makers.programs.into_values().chain(makers.emulators).collect();
        let emulators = emulator.iter().map(|emulator| emulator.step.clone());
        let emulators: Vec<StepId> = emulators.filter(|step| !needs.contains(step)).collect();
        needs.extend(emulators);
        needs.extend(bases.iter().cloned());
        (build.bases, build.emulator) = (bases, emulator);
        let id = StepId::new(&["image", key.as_str(), arch.name()]);
        self.add(id, Some(arch), needs, &[], Work::Image(build));
        Ok(())
    }

    /// The step that makes a program for an image.
    fn maker(&mut self, output: &Name, arch: Arch) -> Result<StepId> {
        let project = self.project;
        let makes = |(name, binary): &(&Name, &Binary)| binary.output_names(name).contains(&output);
        let found = project.binaries.iter().find(makes);
        let (name, binary) = found.ok_or_else(|| Error::bug(format!("nothing makes '{output}'")))?;
        if !binary.arches.contains(&arch) {
            return Err(Error::usage(format!("binary '{name}' is not built for {arch}"))
                .hint("give the image the same `arches` as its programs"));
        }
        self.binary(name, binary, arch).context(|| format!("binary '{name}'"))
    }
}

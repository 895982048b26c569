//! A project as resolved: every name found, every default filled in.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::base::{BaseSource, Registries, RootFilesystem};
use super::choice::{choose, relative};
use super::given::{declared, given};
use super::image::{Image, Surroundings, resolve_all};
use super::project_file::{BinaryFile, GoFile};
use super::yaml;
use super::{Catalogue, Passing, ProjectFile, Recipe, SourceArchive, Toolchain, Variables};
use crate::domain::{
    Arch, DockerAccess, EngineChoice, Error, GlibcVersion, ImageReference, Name, Result, ResultExt, TimeLimit,
};

/// What the command line says about a project.
#[derive(Debug, Clone, Default)]
pub struct ProjectOptions {
    /// The project's folder.
    pub folder: PathBuf,
    /// Its file, when it is not `xbuild.yaml` in the folder.
    pub file: Option<PathBuf>,
    /// Values of variables, which win over all others; they must be declared.
    pub set: BTreeMap<String, String>,
    /// xbuild's own environment: `XBUILD_<NAME>` of it wins over the file's value for a variable.
    pub environment: BTreeMap<OsString, OsString>,
}

/// A project that is ready to be planned.
#[derive(Debug, Clone)]
pub struct Project {
    /// Its name.
    pub name: Name,
    /// Its folder, canonical.
    pub folder: PathBuf,
    /// The toolchain's name.
    pub toolchain_name: Name,
    /// The toolchain.
    pub toolchain: Toolchain,
    /// What runs commands, if the project says so.
    pub engine: Option<EngineChoice>,
    /// Where recipes come from.
    pub catalogue: Catalogue,
    /// Architectures to build for, in the table's order.
    pub arches: Vec<Arch>,
    /// Names for templates, without those of git.
    pub variables: Variables,
    /// What commands see of xbuild's own environment.
    pub environment: Vec<Passing>,
    /// Runs before the programs of the project's own tree.
    pub prepare: Option<String>,
    /// Programs.
    pub binaries: BTreeMap<Name, Binary>,
    /// Placeholders that all templates of images share.
    pub placeholders: Vec<String>,
    /// Images.
    pub images: BTreeMap<Name, Image>,
    /// Images that others start from, by their names in full.
    bases: BTreeMap<ImageReference, BaseSource>,
    registries: Registries,
}

/// One program, or several from one command.
#[derive(Debug, Clone)]
pub struct Binary {
    /// How it is made.
    pub origin: Origin,
    /// An upstream archive instead of the project's tree.
    pub source: Option<SourceArchive>,
    /// Libraries to link with.
    pub libraries: Vec<LibraryChoice>,
    /// Components of the toolchain.
    pub components: Vec<Name>,
    /// What linkage is demanded.
    pub statically_linked: Option<bool>,
    /// The highest C library version that is allowed.
    pub glibc: Option<GlibcVersion>,
    /// Further environment variables; templates.
    pub env: BTreeMap<String, String>,
    /// Whether the command may use the network.
    pub network: bool,
    /// How long the command, or the test, may run.
    pub time_limit: Option<TimeLimit>,
    /// Whose Docker engine the command may use.
    pub docker: Option<DockerAccess>,
    /// Whether the command may use the caller's SSH agent.
    pub ssh: bool,
    /// Architectures, in the table's order.
    pub arches: Vec<Arch>,
    /// A shell command that tries the program.
    pub test: Option<String>,
}

/// How a program is made.
#[derive(Debug, Clone)]
pub enum Origin {
    /// By `go build`.
    Go(GoBuild),
    /// By a shell command; files of the tree by their names in `dist/<arch>/`.
    Command {
        /// A template.
        command: String,
        /// Paths in the tree.
        outputs: BTreeMap<Name, String>,
    },
}

/// One call of `go build`.
#[derive(Debug, Clone)]
pub struct GoBuild {
    /// As in `./cmd/router`.
    pub package: String,
    /// Where `go` runs, below the project.
    pub dir: String,
    /// Build tags.
    pub tags: Vec<String>,
    /// Linker flags; templates.
    pub ldflags: Vec<String>,
    /// Linked with no shared libraries.
    pub statically_linked: bool,
    /// Whether C code is built.
    pub cgo: bool,
}

/// A library in one version.
#[derive(Debug, Clone, Serialize)]
pub struct LibraryChoice {
    /// The recipe's name.
    pub name: Name,
    /// Its version.
    pub version: Name,
    /// The archive of that version.
    pub source: SourceArchive,
    /// How to build it.
    pub recipe: Recipe,
}

impl Project {
    /// Reads and resolves a project.
    ///
    /// # Errors
    /// A usage error that names the file and what is wrong with it.
    pub fn load(options: &ProjectOptions) -> Result<Project> {
        let folder = &options.folder;
        let folder = folder.canonicalize().or_usage(|| format!("there is no folder {}", folder.display()))?;
        let path = options.file.clone().unwrap_or_else(|| folder.join("xbuild.yaml"));
        if !path.exists() {
            return Err(no_file(options, &folder, &path));
        }
        let name = path.display().to_string();
        let file = ProjectFile::parse(&name, &yaml::read(&path)?)?;
        let variables = declared(&file.vars).context(|| name.clone())?;
        let variables = given(variables, &options.environment, &options.set)?;
        resolve(file, folder, variables).context(|| name)
    }

    /// A project that has nothing to build: for preparing a toolchain where there is no project file.
    ///
    /// # Errors
    /// A usage error when there is no such toolchain.
    pub fn of_toolchain(folder: &Path, toolchain: &Name) -> Result<Project> {
        let text = format!("{{version: 1, name: {toolchain}, toolchain: {toolchain}}}");
        resolve(ProjectFile::parse("toolchain", &text)?, folder.to_owned(), Variables::default())
    }

    /// A library by `name` or `name@version`.
    ///
    /// # Errors
    /// A usage error that lists what there is.
    pub fn library(&self, text: &str) -> Result<LibraryChoice> {
        library(&self.catalogue, text)
    }

    /// Where the image of a name comes from that is none of the project's: as the project says, else packages where a
    /// toolchain says that its base is that image, else a registry.
    ///
    /// # Errors
    /// A usage error for what is no image's name.
    pub fn base(&self, name: &str) -> Result<BaseSource> {
        let wanted: ImageReference = name.parse()?;
        if let Some(source) = self.bases.get(&wanted) {
            return Ok(source.clone());
        }
        for toolchain in self.catalogue.toolchains() {
            let base = self.catalogue.toolchain(&toolchain)?.base;
            if base.image.parse::<ImageReference>()? == wanted {
                return Ok(BaseSource::Bootstrap(RootFilesystem::of_suite(base.bootstrap.suite)));
            }
        }
        self.registries.source(name)
    }

    /// A component of the toolchain by name.
    ///
    /// # Errors
    /// A usage error that lists what there is.
    pub fn check_component(&self, name: &Name) -> Result<()> {
        check_component(&self.toolchain, name)
    }
}

/// The error for a project without its file.
fn no_file(options: &ProjectOptions, folder: &Path, path: &Path) -> Error {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let error = Error::usage(format!("there is no project file {}", whole.display()));
    match &options.file {
        None => error.hint("name the project's folder with -C DIR, or its file with -f FILE"),
        Some(file) if folder.join(file).exists() => {
            let text = format!("-f is relative to the current folder: -f {}", options.folder.join(file).display());
            error.hint(text)
        }
        Some(_) => error.hint("-f is relative to the current folder; without it the file is xbuild.yaml in -C DIR"),
    }
}

fn resolve(file: ProjectFile, folder: PathBuf, variables: Variables) -> Result<Project> {
    let catalogue = Catalogue::of_project(&folder);
    let toolchain = catalogue.toolchain(&file.toolchain).context(|| "toolchain".into())?;
    let arches = if file.arches.is_empty() { toolchain.arches.clone() } else { file.arches.clone() };
    let owner = || format!("toolchain {}", file.toolchain);
    let arches = choose(&arches, &toolchain.arches, owner).context(|| "arches".into())?;
    let mut binaries = BTreeMap::new();
    for (name, binary) in file.binaries {
        let resolved = resolve_binary(&name, binary, &file.go, &catalogue, &toolchain, &arches)?;
        binaries.insert(name, resolved);
    }
    let mut outputs: BTreeMap<&Name, &Name> = BTreeMap::new();
    for (name, binary) in &binaries {
        for output in binary.output_names(name) {
            if let Some(other) = outputs.insert(output, name) {
                return Err(Error::usage(format!("binaries '{other}' and '{name}' both make '{output}'")));
            }
        }
    }
    let around = Surroundings {
        project: &file.name,
        folder: &folder,
        outputs: outputs.into_keys().collect(),
        arches: &arches,
        naming: file.naming,
        substitute: &file.substitute,
    };
    let images = resolve_all(file.images, &around)?;
    let registries = Registries::new(file.registries);
    let mut bases = BTreeMap::new();
    for (name, base) in file.bases {
        let resolved = base.resolve(&folder, &registries).context(|| format!("base '{name}'"))?;
        let full: ImageReference = name.parse().context(|| "bases".into())?;
        if bases.insert(full.clone(), resolved).is_some() {
            return Err(Error::usage(format!("bases: '{full}' stands twice")));
        }
    }
    Ok(Project {
        bases,
        registries,
        name: file.name,
        engine: file.engine,
        folder,
        toolchain_name: file.toolchain,
        toolchain,
        catalogue,
        arches,
        variables,
        environment: file.environment,
        prepare: file.prepare,
        binaries,
        placeholders: file.substitute.into_keys().collect(),
        images,
    })
}

impl Binary {
    /// Names of the files that it makes in `dist/<arch>/`; `own` is its key in the project.
    pub fn output_names<'a>(&'a self, own: &'a Name) -> Vec<&'a Name> {
        match &self.origin {
            Origin::Go(_) => vec![own],
            Origin::Command { outputs, .. } => outputs.keys().collect(),
        }
    }
}

fn resolve_binary(
    name: &Name,
    file: BinaryFile,
    defaults: &GoFile,
    catalogue: &Catalogue,
    toolchain: &Toolchain,
    project_arches: &[Arch],
) -> Result<Binary> {
    let whole = || format!("binaries.{name}");
    let key = |part: &str| format!("binaries.{name}.{part}");
    let mut env = file.env;
    let mut components = file.components;
    let (origin, linkage) = match (file.go, file.command) {
        (Some(go), None) => {
            if !file.outputs.is_empty() {
                let text = format!("'outputs' goes with 'command'; a Go program is '{name}'");
                return Err(Error::usage(text)).context(whole);
            }
            add_component(&mut components, "go");
            for (variable, value) in defaults.env.iter().chain(&go.env) {
                env.insert(variable.clone(), value.clone());
            }
            let build = resolve_go(go, defaults).context(|| key("go"))?;
            let linkage = build.statically_linked.then_some(true);
            (Origin::Go(build), linkage)
        }
        (None, Some(command)) => {
            let mut outputs = file.outputs;
            if outputs.is_empty() {
                outputs.insert(name.clone(), name.to_string());
            }
            outputs.values().try_for_each(|path| relative(path)).context(|| key("outputs"))?;
            (Origin::Command { command, outputs }, None)
        }
        (Some(_), Some(_)) => return Err(Error::usage("it has both 'go' and 'command'")).context(whole),
        (None, None) => {
            let error = Error::usage("it has neither 'go' nor 'command'")
                .hint("`go: { package: ./cmd/x }` builds a Go program, `command: make x` anything else");
            return Err(error).context(whole);
        }
    };
    if file.docker.is_some() {
        add_component(&mut components, "docker");
    }
    if file.ssh {
        add_component(&mut components, "ssh");
    }
    let check = |component: &Name| check_component(toolchain, component);
    components.iter().try_for_each(check).context(|| key("components"))?;
    let libraries = file.libs.iter().map(|text| library(catalogue, text)).collect::<Result<_>>();
    Ok(Binary {
        origin,
        source: file.source,
        libraries: libraries.context(|| key("libs"))?,
        components,
        statically_linked: file.statically_linked.or(linkage),
        glibc: file.glibc,
        env,
        network: file.network,
        time_limit: file.time_limit,
        docker: file.docker,
        ssh: file.ssh,
        arches: choose(&file.arches, project_arches, || "project".into()).context(|| key("arches"))?,
        test: file.test,
    })
}

/// What a program needs by its nature, whether its components name it or not.
fn add_component(components: &mut Vec<Name>, name: &str) {
    let component: Name = name.parse().expect("a legal name");
    if !components.contains(&component) {
        components.push(component);
    }
}

fn resolve_go(go: GoFile, defaults: &GoFile) -> Result<GoBuild> {
    let dir = go.dir.or_else(|| defaults.dir.clone()).unwrap_or_else(|| ".".into());
    relative(&dir)?;
    let package = go.package.or_else(|| defaults.package.clone()).unwrap_or_else(|| ".".into());
    if package.starts_with('-') {
        return Err(Error::usage(format!("'{package}' is not a package")));
    }
    Ok(GoBuild {
        package,
        dir,
        tags: go.tags.or_else(|| defaults.tags.clone()).unwrap_or_default(),
        ldflags: go.ldflags.or_else(|| defaults.ldflags.clone()).unwrap_or_default(),
        statically_linked: go.statically_linked.or(defaults.statically_linked).unwrap_or(false),
        cgo: go.cgo.or(defaults.cgo).unwrap_or(true),
    })
}

fn library(catalogue: &Catalogue, text: &str) -> Result<LibraryChoice> {
    let (name, version) = match text.split_once('@') {
        Some((name, version)) => (name, Some(version)),
        None => (text, None),
    };
    let name: Name = name.parse().or_usage(|| format!("'{text}' is no library"))?;
    let recipe = catalogue.recipe(&name)?;
    let (version, source) = recipe.version(version).context(|| format!("library '{name}'"))?;
    let (version, source) = (version.clone(), source.clone());
    Ok(LibraryChoice { name, version, source, recipe })
}

fn check_component(toolchain: &Toolchain, name: &Name) -> Result<()> {
    if toolchain.components.contains_key(name) {
        return Ok(());
    }
    let known: Vec<&str> = toolchain.components.keys().map(Name::as_str).collect();
    Err(Error::usage(format!("the toolchain has no component '{name}'")).hint(format!("it has {}", known.join(", "))))
}

impl Project {
    /// Narrows the project to some architectures.
    ///
    /// # Errors
    /// A usage error for one that the project does not have.
    pub fn for_arches(mut self, wanted: &[Arch]) -> Result<Project> {
        self.arches = choose(wanted, &self.arches, || format!("project '{}'", self.name))?;
        let keep = |arches: &mut Vec<Arch>| arches.retain(|arch| self.arches.contains(arch));
        self.binaries.values_mut().for_each(|binary| keep(&mut binary.arches));
        self.images.values_mut().for_each(|image| keep(&mut image.arches));
        Ok(self)
    }
}

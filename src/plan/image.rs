//! From an image of a project to what is to be assembled for one architecture.

use std::collections::BTreeMap;

use super::facts::Facts;
use super::step::{EmulatorFile, ImageBuild, Program, StepId};
use crate::config::{
    Expansion, Image, ImageSource, PerArch, Project, Substitution, Template, Variables, below, relative,
};
use crate::domain::{Arch, Error, ImageName, Name, Result, ResultExt};

/// The steps that an image takes files from.
#[derive(Debug, Default)]
pub(super) struct Makers {
    /// By what they make.
    pub(super) programs: BTreeMap<Name, StepId>,
    /// The layer with the emulators, if it is wanted.
    pub(super) emulators: Option<StepId>,
}

/// An image of one architecture.
pub(super) fn image_build(
    project: &Project,
    facts: &Facts,
    key: &Name,
    arch: Arch,
    makers: &Makers,
) -> Result<ImageBuild> {
    let image = &project.images[key];
    let variables = facts.variables.clone().with_arch(arch);
    let expand = |map: &BTreeMap<String, PerArch>| values(map, &variables, arch);
    let name = variables.expand(&image.name).context(|| "name".into())?;
    let tags = image.tags.iter().map(|tag| variables.expand(tag).context(|| "tags".into()));
    let names = names(&name, &tags.collect::<Result<Vec<_>>>()?)?;
    let mut labels = facts.labels.clone();
    labels.entry("org.opencontainers.image.title".into()).or_insert_with(|| key.to_string());
    for (label, value) in &image.labels {
        labels.insert(label.clone(), variables.expand(value).context(|| format!("labels: {label}"))?);
    }
    let mut build = ImageBuild {
        image: key.clone(),
        repository: name,
        names,
        naming: image.naming,
        dockerfile: image.dockerfile.clone(),
        expansion: expansion(image, &variables, arch)?,
        context: image.context.clone(),
        target: facts.stage.clone().or_else(|| image.target.clone()),
        bases: Vec::new(),
        emulator: None,
        programs: BTreeMap::new(),
        emulators: BTreeMap::new(),
        files: BTreeMap::new(),
        args: expand(&image.args).context(|| "args".into())?,
        labels,
        tests: Vec::new(),
        network: image.network,
        cached: image.cached,
        created: facts.epoch,
    };
    for (inside, source) in &image.files {
        let failed = || format!("files: {inside}");
        let inside = variables.expand(inside).context(failed)?;
        relative(&inside).context(failed)?;
        match source {
            ImageSource::Program(output) => {
                let nothing = || Error::bug(format!("nothing makes '{output}'"));
                let step = makers.programs.get(output).cloned().ok_or_else(nothing)?;
                build.programs.insert(inside, Program { step, output: output.clone() });
            }
            ImageSource::Emulator => {
                let path = Variables::of_arch(arch).expand(&project.toolchain.emulator.program)?;
                let step = makers.emulators.clone().ok_or_else(|| Error::bug("no layer has the emulators"))?;
                build.emulators.insert(inside, EmulatorFile { step, path });
            }
            ImageSource::Path(text) => {
                let text = variables.expand(text).context(failed)?;
                build.files.insert(inside, below(&project.folder, &image.folder, &text).context(failed)?);
            }
        }
    }
    for test in &image.tests {
        let text = variables.expand(test).context(|| "tests".into())?;
        build.tests.push(below(&project.folder, &image.folder, &text).context(|| format!("tests: {test}"))?);
    }
    Ok(build)
}

/// The name with each tag; with none, there are only content tags.
fn names(name: &str, tags: &[String]) -> Result<Vec<ImageName>> {
    name.parse::<ImageName>()?;
    if name.rsplit('/').next().is_some_and(|last| last.contains(':')) {
        return Err(Error::usage(format!("the name '{name}' has a tag")).hint("tags stand in `tags:`"));
    }
    tags.iter().map(|tag| format!("{name}:{tag}").parse()).collect()
}

fn values(map: &BTreeMap<String, PerArch>, variables: &Variables, arch: Arch) -> Result<BTreeMap<String, String>> {
    let value = |(name, value): (&String, &PerArch)| {
        // One of the project's for all templates may be meant for other architectures.
        let text = value.get(arch)?;
        Some(variables.expand(text).context(|| name.clone()).map(|text| (name.clone(), text)))
    };
    map.iter().filter_map(value).collect()
}

fn expansion(image: &Image, variables: &Variables, arch: Arch) -> Result<Expansion> {
    Ok(match &image.template {
        Template::None => Expansion::None,
        Template::Literal { shared, own } => {
            let failed = || "substitute".to_owned();
            let shared = values(shared, variables, arch).context(failed)?;
            let own = values(own, variables, arch).context(failed)?;
            Expansion::Literal(Substitution::new(arch, shared, own)?)
        }
        Template::Language { variables: own } => {
            let mut all = variables.clone();
            for (name, value) in values(own, variables, arch).context(|| "vars".into())? {
                all.set(&name, &value);
            }
            Expansion::Language { variables: all }
        }
    })
}

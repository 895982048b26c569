//! Builders, as steps: a stack of layers for the native engine, an image for others, none for the machine itself.

use std::collections::BTreeMap;

use super::dockerfile::{COMMON, render_builders};
use super::facts::Facts;
use super::host_tools::HostTools;
use super::planner::{Goal, Planner, plan};
use super::step::{BuilderImage, Step, StepId, Work};
use crate::config::{LibraryChoice, Project};
use crate::domain::{Arch, Digest, DockerAccess, Error, Name, Result};

/// What builders are.
#[derive(Debug, Clone)]
pub enum Builders {
    /// Layers of the store, one on the other.
    Layers,
    /// Images of a container engine.
    Images,
    /// Nothing: the machine has these tools itself. Only libraries are layers of the store.
    Host(HostTools),
}

/// The builders of a goal as images, whatever they are for the engine that makes them.
///
/// # Errors
/// As for [`plan`].
pub fn builder_images(project: &Project, facts: &Facts, goal: &Goal) -> Result<Vec<Step>> {
    let facts = Facts { builders: Builders::Images, ..facts.clone() };
    let steps = plan(project, &facts, goal)?.steps;
    Ok(steps.into_iter().filter(|step| matches!(step.work, Work::Builder(_))).collect())
}

/// What a builder consists of.
#[derive(Debug, Clone, Default)]
pub(super) struct Parts {
    /// Base, components and compilers, lowest first; or the one image.
    pub(super) root: Vec<StepId>,
    /// Libraries, above those.
    pub(super) libraries: Vec<StepId>,
}

impl Planner<'_> {
    /// The builder for a target; without one, what all targets share.
    pub(super) fn parts(
        &mut self,
        target: Option<Arch>,
        components: &[Name],
        libraries: &[LibraryChoice],
    ) -> Result<Parts> {
        match self.facts.builders_for(target) {
            Builders::Layers => self.layers(target, components, libraries),
            Builders::Host(_) => {
                let needs = self.tools_of_components(components);
                self.take_tools(&needs);
                Ok(Parts { root: Vec::new(), libraries: self.libraries(target, libraries)? })
            }
            Builders::Images => {
                Ok(Parts { root: vec![self.image_of(target, components, libraries)?], libraries: Vec::new() })
            }
        }
    }

    /// Refuses an engine that the builder for a target cannot have: told before anything is made for it.
    pub(super) fn check_docker(&self, access: DockerAccess, target: Arch) -> Result<()> {
        match (access, self.facts.builders_for(Some(target))) {
            (DockerAccess::Own, Builders::Layers | Builders::Host(_)) => {
                Err(Error::usage("`docker: own` starts a daemon, which only a container can hold")
                    .hint("`--engine docker` builds in containers")
                    .hint("`docker: host` uses the machine's engine instead"))
            }
            (DockerAccess::Host, _) | (DockerAccess::Own, Builders::Images) => Ok(()),
        }
    }

    fn layers(&mut self, target: Option<Arch>, components: &[Name], libraries: &[LibraryChoice]) -> Result<Parts> {
        let mut root = vec![self.base()];
        // Compilers first: what is built with them alone need not wait for the rest.
        let compilers = target.map(|target| self.target(target)).transpose()?;
        for component in components {
            root.push(self.component(component)?);
        }
        root.extend(compilers);
        Ok(Parts { root, libraries: self.libraries(target, libraries)? })
    }

    fn libraries(&mut self, target: Option<Arch>, libraries: &[LibraryChoice]) -> Result<Vec<StepId>> {
        let Some(target) = target else { return Ok(Vec::new()) };
        libraries.iter().map(|library| self.library(library, target)).collect()
    }

    fn image_of(&mut self, target: Option<Arch>, components: &[Name], libraries: &[LibraryChoice]) -> Result<StepId> {
        let project = self.project;
        let targets: Vec<Arch> = target.into_iter().collect();
        let host = target.map_or(self.facts.builder_host, |target| self.facts.host_of(target));
        let dockerfile = render_builders(project, host, &targets, components, libraries)?;
        let bare = render_builders(project, host, &targets, components, &[])?;
        let stage = target.map_or(COMMON, Arch::name);
        let machines = BTreeMap::new();
        let facts = Facts { host, builder_host: host, builders: Builders::Layers, machines, ..self.facts.clone() };
        let mut layers = Planner::new(project, &facts);
        let parts = layers.layers(target, components, libraries)?;
        let stack = [parts.root, parts.libraries].concat();
        let with: Vec<String> = components.iter().map(Name::to_string).chain(libraries.iter().map(label)).collect();
        let id = StepId::new(&[
            "builder",
            project.toolchain_name.as_str(),
            &[stage.to_owned()].into_iter().chain(with).collect::<Vec<_>>().join("+"),
        ]);
        let inputs = [("dockerfile", Digest::of(dockerfile.as_bytes()).to_string())];
        let base = project.toolchain.base.image.clone();
        let image = BuilderImage {
            dockerfile,
            stage: stage.to_owned(),
            base,
            compilers: Digest::of(bare.as_bytes()),
            layers: layers.plan.steps,
            stack,
        };
        Ok(self.add(id, target, Vec::new(), &inputs, Work::Builder(image)))
    }
}

/// As in `libpcap@1.10.5`.
pub(super) fn label(library: &LibraryChoice) -> String {
    format!("{}@{}", library.name, library.version)
}

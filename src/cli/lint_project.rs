//! What `xbuild lint` looks at without being told: the Dockerfiles of the project's images, as their templates expand.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::dockerfiles::{self, builds};
use super::setup::{Setup, variables};
use crate::config::{BaseSource, Project};
use crate::domain::{Arch, Error, Result, ResultExt};
use crate::lint::{Finding, Shellcheck, check_dockerfile};
use crate::plan::{Builders, Facts, Goal, Plan, ProjectImages, plan};
use crate::source::{GitFacts, ProjectGit};

/// A project's images, without what they are filled with.
pub(super) struct ProjectDockerfiles {
    project: Project,
    plan: Plan,
}

impl ProjectDockerfiles {
    /// Needs neither a store nor an engine: no program is planned.
    ///
    /// # Errors
    /// A usage error: what is wrong with the project, or that it has no images.
    pub(super) fn of_project(setup: &Setup<'_>) -> Result<ProjectDockerfiles> {
        let mut project = setup.project(&[])?;
        if project.images.is_empty() {
            return Err(Error::usage("the project has no images").hint("name files: xbuild lint Dockerfile"));
        }
        project.images.values_mut().for_each(|image| image.files.clear());
        let variables = variables(&project, &GitFacts::read(&ProjectGit::new(&project.folder), true));
        let facts = Facts { variables, ..Facts::new(Arch::host()?, Builders::Layers) };
        let plan = plan(&project, &facts, &Goal::Images(Vec::new()))?;
        Ok(ProjectDockerfiles { project, plan })
    }

    /// The Dockerfiles and templates, each once.
    pub(super) fn files(&self) -> BTreeSet<PathBuf> {
        builds(&self.plan).into_values().map(|build| build.dockerfile.clone()).collect()
    }

    /// What is found in anything that a Dockerfile or template becomes, at its place in the file. What one architecture
    /// has in common with another is told once.
    ///
    /// # Errors
    /// What is wrong with a template; a shellcheck that does not work.
    pub(super) fn check(&self, path: &Path, shellcheck: Option<&Shellcheck>) -> Result<Vec<Finding>> {
        let images = ProjectImages::of(&self.plan)?;
        let (mut findings, mut seen, mut places) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        for ((name, arch), build) in builds(&self.plan) {
            if build.dockerfile != path {
                continue;
            }
            let expanded = dockerfiles::expand(build).context(|| format!("image '{name}'"))?;
            if seen.contains(&expanded.text) {
                continue;
            }
            // An image of the project that is not meant for this architecture is one all the same.
            let own = |image: &str| !matches!(images.find(image, arch), Ok(None)) || self.makes(image);
            let mut of_text = check_dockerfile(&expanded.text, shellcheck, &own)?;
            for finding in &mut of_text {
                (finding.line, finding.column) = expanded.origins.find(finding.line, finding.column);
            }
            let place = |finding: &Finding| (finding.line, finding.column, finding.code.clone());
            let new: Vec<_> = of_text.into_iter().filter(|finding| !places.contains(&place(finding))).collect();
            places.extend(new.iter().map(place));
            findings.extend(new);
            seen.insert(expanded.text);
        }
        findings.sort();
        findings.dedup();
        Ok(findings)
    }

    /// Whether the project has a folder or packages for a base: nobody else's tag changes it.
    fn makes(&self, image: &str) -> bool {
        matches!(self.project.base(image), Ok(BaseSource::Layout { .. } | BaseSource::Bootstrap(_)))
    }
}

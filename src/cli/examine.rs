//! What is looked at before an image gets its names: do its programs start in it, and does it pass its tests?

use std::path::PathBuf;

use super::setup::Loaded;
use crate::config::StructureSpec;
use crate::domain::{Arch, Digest, Error, Result, ResultExt};
use crate::engine::{Execution, StepResult};
use crate::image::{BuiltImage, Content, Layout, MergedImage};
use crate::plan::ImageBuild;
use crate::verify::{Facts, Linkage, Subject};
use crate::{fit, structure};

/// An image that has no name yet.
pub(super) struct Examination<'a> {
    pub(super) loaded: &'a Loaded,
    pub(super) layout: &'a Layout,
    pub(super) execution: &'a Execution,
    pub(super) build: &'a ImageBuild,
    pub(super) arch: Arch,
}

impl Examination<'_> {
    /// Unpacks the image only if there is something to look at: static programs fit everywhere.
    ///
    /// # Errors
    /// A build error that names all that is wrong.
    pub(super) fn examine(&self, built: &BuiltImage, tests: &[PathBuf]) -> Result<()> {
        let programs: Vec<(Digest, Facts)> = self.programs()?;
        let tests: Vec<&PathBuf> = self.build.tests.iter().chain(tests).collect();
        if programs.is_empty() && tests.is_empty() {
            return Ok(());
        }
        let scratch = self.loaded.workshop.store.scratch()?;
        let image = MergedImage::read(self.layout, &built.manifest, scratch.path())?;
        let mut wrong = Vec::new();
        for (path, entry) in &image.entries {
            let Content::File { digest, .. } = &entry.content else { continue };
            let Some((_, facts)) = programs.iter().find(|(program, _)| program == digest) else { continue };
            let missing = fit::missing(facts, path, self.arch, &image);
            wrong.extend(missing.into_iter().map(|text| format!("/{} cannot start: {text}", path.display())));
        }
        if !wrong.is_empty() {
            let text = format!("the image does not fit its programs:\n{}", wrong.join("\n"));
            return Err(Error::build(text).hint("link the program statically, or choose another base"));
        }
        for test in tests {
            let spec = StructureSpec::read(test)?;
            let verdicts = structure::check(&spec, &image).context(|| test.display().to_string())?;
            for verdict in verdicts {
                wrong.extend(
                    verdict.failures.iter().map(|text| format!("{}: {}: {text}", test.display(), verdict.name)),
                );
            }
        }
        match wrong.is_empty() {
            true => Ok(()),
            false => Err(Error::build(format!("the image does not pass its tests:\n{}", wrong.join("\n")))),
        }
    }

    /// The programs of `files:` that need something, by the digest of their bytes.
    fn programs(&self) -> Result<Vec<(Digest, Facts)>> {
        let mut programs = Vec::new();
        for program in self.build.programs.values() {
            let Some(StepResult::Done(record)) = self.execution.results.get(&program.step) else { continue };
            let Some(output) = record.outputs.get(program.output.as_str()) else { continue };
            let Some(facts) = output.facts.clone() else { continue };
            let subject: Subject = serde_json::from_value(facts).or_bug(|| format!("facts of {}", program.output))?;
            if let Subject::Program(facts) = subject
                && (facts.linkage != Some(Linkage::Static) || facts.arch != Some(self.arch))
            {
                programs.push((output.digest, facts));
            }
        }
        Ok(programs)
    }
}

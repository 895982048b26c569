//! What is looked at before an image gets its names: do its programs start in it, and does it pass its tests?

use serde::Serialize;

use super::command_tests::CommandTests;
use super::setup::Loaded;
use super::test_files::TestFile;
use crate::domain::{Arch, ContentDigest, Digest, Error, Result, ResultExt};
use crate::engine::Execution;
use crate::image::{BuiltImage, Content, Layout, MergedImage};
use crate::plan::ImageBuild;
use crate::store::Bucket;
use crate::structure::{CommandPlan, Verdict};
use crate::verify::{Facts, Linkage, Subject};
use crate::{fit, structure};

/// Goes up when an image that has passed might not pass again.
const RULES: u32 = 1;

/// An image that has no name yet.
pub(super) struct Examination<'a> {
    pub(super) loaded: &'a Loaded,
    pub(super) layout: &'a Layout,
    pub(super) execution: &'a Execution,
    pub(super) build: &'a ImageBuild,
    pub(super) arch: Arch,
    pub(super) tests: &'a [TestFile],
    pub(super) commands: CommandTests<'a>,
}

/// Everything that an examination depends on.
#[derive(Serialize)]
struct Key<'a> {
    rules: u32,
    arch: Arch,
    image: Digest,
    programs: Vec<ContentDigest>,
    tests: Vec<Digest>,
    /// Of whoever runs xbuild, as far as tests hand them on.
    variables: Vec<(&'a str, Option<String>)>,
}

/// A variable of whoever runs xbuild.
fn own(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

impl Examination<'_> {
    fn key(&self, built: &BuiltImage, programs: &[(ContentDigest, Facts)]) -> Digest {
        let names = self.tests.iter().flat_map(|test| &test.spec.container_run_options.env_vars);
        Digest::of_json(&Key {
            rules: RULES,
            arch: self.arch,
            image: built.manifest.digest,
            programs: programs.iter().map(|(digest, _)| *digest).collect(),
            tests: self.tests.iter().map(|test| test.digest).collect(),
            variables: names.map(|name| (name.as_str(), own(name))).collect(),
        })
    }

    /// Looks at everything, and remembers that it was in order: unless `anew`, an image with the same contents that has
    /// passed the same tests has passed.
    ///
    /// # Errors
    /// A build error that names all that is wrong.
    pub(super) fn examine(&self, built: &BuiltImage, anew: bool) -> Result<()> {
        let programs = self.programs()?;
        // Static programs fit everywhere.
        if programs.is_empty() && self.tests.is_empty() {
            return Ok(());
        }
        let store = &self.loaded.workshop.store;
        let key = self.key(built, &programs);
        if !anew && store.read_json::<bool>(Bucket::Examinations, &key) == Some(true) {
            return Ok(());
        }
        let looks_at_files = |test: &TestFile| structure::looks_at_files(&test.spec);
        let merged = if !programs.is_empty() || self.tests.iter().any(looks_at_files) {
            let scratch = store.scratch()?;
            let image = MergedImage::read(self.layout, &built.manifest, scratch.path())?;
            self.check_programs(&programs, &image)?;
            Some((image, scratch))
        } else {
            None
        };
        let mut wrong = Vec::new();
        for test in self.tests {
            let file = test.path.display();
            let mut verdicts = match &merged {
                Some((image, _)) => structure::check(&test.spec, image).context(|| file.to_string())?,
                None => Vec::new(),
            };
            verdicts.extend(self.run_commands(test)?);
            for Verdict { name, failures } in verdicts {
                wrong.extend(failures.iter().map(|text| format!("{file}: {name}: {text}")));
            }
        }
        if !wrong.is_empty() {
            return Err(Error::build(format!("the image does not pass its tests:\n{}", wrong.join("\n"))));
        }
        store.save_json(Bucket::Examinations, &key, &true)
    }

    fn check_programs(&self, programs: &[(ContentDigest, Facts)], image: &MergedImage) -> Result<()> {
        let mut wrong = Vec::new();
        for (path, entry) in &image.entries {
            let Content::File { digest, .. } = &entry.content else { continue };
            let Some((_, facts)) = programs.iter().find(|(program, _)| program == digest) else { continue };
            let missing = fit::missing(facts, path, self.arch, image);
            wrong.extend(missing.into_iter().map(|text| format!("/{} cannot start: {text}", path.display())));
        }
        if wrong.is_empty() {
            return Ok(());
        }
        let text = format!("the image does not fit its programs:\n{}", wrong.join("\n"));
        Err(Error::build(text).hint("link the program statically, or choose another base"))
    }

    fn run_commands(&self, test: &TestFile) -> Result<Vec<Verdict>> {
        let plans = CommandPlan::all(&test.spec, self.commands.stage.runtime(), &own);
        let check = |plan: &CommandPlan<'_>| {
            self.commands.check(plan).context(|| format!("{}: {}", test.path.display(), plan.name()))
        };
        plans.iter().map(check).collect()
    }

    /// The programs of `files:` that need something, by the digest of their bytes.
    fn programs(&self) -> Result<Vec<(ContentDigest, Facts)>> {
        let store = &self.loaded.workshop.store;
        let mut programs = Vec::new();
        for program in self.build.programs.values() {
            let Some(record) = self.execution.done(&program.step) else { continue };
            let Some(output) = record.outputs.get(program.output.as_str()) else { continue };
            let Some(facts) = output.facts.clone() else { continue };
            let subject: Subject = serde_json::from_value(facts).or_bug(|| format!("facts of {}", program.output))?;
            if let Subject::Program(facts) = subject
                && (facts.linkage != Some(Linkage::Static) || facts.arch != Some(self.arch))
            {
                let path = store.place(Bucket::Outputs, &record.key).join(program.output.as_str());
                let metadata = path.symlink_metadata().or_environment(|| format!("cannot read {}", path.display()))?;
                programs.push((self.loaded.digests.digest(&path, &metadata)?, facts));
            }
        }
        Ok(programs)
    }
}

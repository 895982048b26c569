//! What was asked of a program, and the comparison with what it is.

use std::path::Path;

use super::facts::{Facts, Linkage};
use super::glibc_need::GlibcNeed;
use super::mismatch::Mismatch;
use crate::domain::Arch;
use crate::domain::GlibcVersion;

/// What was asked of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectations {
    /// The architecture that it must be for.
    pub arch: Arch,
    /// Whether it must be linked statically; either will do where this is `None`.
    pub statically_linked: Option<bool>,
    /// The highest version of the GNU C library that it may need.
    pub glibc: Option<GlibcVersion>,
    /// Absolute directories that are there while it is built and not where it runs.
    pub builder_directories: Vec<String>,
}

impl Expectations {
    /// The expectation of an architecture, and of nothing else.
    pub fn new(arch: Arch) -> Expectations {
        Expectations { arch, statically_linked: None, glibc: None, builder_directories: Vec::new() }
    }

    fn only_in_builder(&self, path: &str) -> bool {
        // Debian's cross libraries live in /usr/<triple>; its native ones, in /usr/lib/<triple>.
        let cross = Arch::ALL.map(|arch| format!("/usr/{}", arch.triple()));
        self.builder_directories.iter().chain(&cross).any(|directory| Path::new(path).starts_with(directory))
    }
}

/// All that is not as it was asked for; empty when all is well.
pub fn check(facts: &Facts, expectations: &Expectations) -> Vec<Mismatch> {
    let mut mismatches = Vec::new();
    if facts.arch != Some(expectations.arch) {
        mismatches.push(Mismatch::Arch { found: facts.machine_name(), wanted: expectations.arch });
    }
    match (expectations.statically_linked, facts.linkage) {
        (Some(true), Some(Linkage::Dynamic)) => mismatches.push(Mismatch::Dynamic { needed: facts.needed.clone() }),
        (Some(false), Some(Linkage::Static)) => mismatches.push(Mismatch::Static),
        _ => {}
    }
    if let Some(ceiling) = expectations.glibc {
        let above: Vec<GlibcNeed> = facts.glibc.iter().filter(|need| need.version > ceiling).cloned().collect();
        if !above.is_empty() {
            mismatches.push(Mismatch::Glibc { above, ceiling });
        }
    }
    if let Some(path) = facts.interpreter.as_ref().filter(|path| expectations.only_in_builder(path)) {
        mismatches.push(Mismatch::Interpreter { path: path.clone() });
    }
    for directory in &facts.rpath {
        let directory = directory.clone();
        if expectations.only_in_builder(&directory) {
            mismatches.push(Mismatch::BuilderRpath { directory });
        } else if !directory.starts_with(['/', '$']) {
            mismatches.push(Mismatch::RelativeRpath { directory });
        }
    }
    mismatches
}

//! Files of structure tests, read before anything is built.

use std::path::{Path, PathBuf};

use crate::config::StructureSpec;
use crate::domain::{Digest, Result, ResultExt};
use crate::structure;

/// A file of structure tests.
pub(super) struct TestFile {
    pub(super) path: PathBuf,
    /// Of its bytes.
    pub(super) digest: Digest,
    pub(super) spec: StructureSpec,
}

impl TestFile {
    /// Reads a file.
    ///
    /// # Errors
    /// A usage error: what is wrong with it.
    pub(super) fn read(path: &Path) -> Result<TestFile> {
        let text = std::fs::read_to_string(path).or_usage(|| format!("cannot read {}", path.display()))?;
        let spec = StructureSpec::parse(&path.display().to_string(), &text)?;
        structure::validate(&spec).context(|| path.display().to_string())?;
        Ok(TestFile { path: path.to_owned(), digest: Digest::of(&text), spec })
    }

    /// Whether it has commands to run.
    pub(super) fn runs_commands(&self) -> bool {
        !self.spec.command_tests.is_empty()
    }
}

//! ADD of git repositories: the files of one commit.

use std::collections::BTreeMap;
use std::path::Path;

use super::Context;
use super::copy::Copier;
use super::files::{Files, Found};
use super::request::{Note, RepositoryRequest};
use super::stage::StageBuild;
use crate::domain::{Error, GitReference, Result};
use crate::image::Ignore;
use crate::image::dockerfile::{Copy, Word};

impl StageBuild<'_> {
    /// Copies the files of a repository, or of a folder in it.
    pub(super) fn repository(
        &self,
        copier: &mut Copier<'_, '_>,
        instruction: &Copy,
        word: &Word,
        reference: &GitReference,
    ) -> Result<()> {
        let checksum = instruction.checksum.as_ref().map(|word| {
            let text = self.settings.expand(word)?;
            if text.len() < 7 || text.len() > 64 || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
                let error = word.span.error(format!("'{text}' is no commit"));
                return Err(error.hint("the checksum of a git repository is the hash of its commit, in hexadecimal"));
            }
            Ok(text)
        });
        let checksum = checksum.transpose()?;
        let request =
            RepositoryRequest { reference, checksum: checksum.as_deref(), keep_git: instruction.keep_git_dir };
        let repository = (self.services.repository)(&request).map_err(|error| word.span.place(error))?;
        let commit = &repository.commit;
        if reference.commit().is_none() && checksum.is_none() {
            let text =
                format!("{}: {reference} is the commit {commit}; pin it with --checksum={commit}", self.request.name);
            (self.services.tell)(Note::Warning(text));
        }
        let files = Context {
            dir: &repository.folder,
            files: &BTreeMap::new(),
            ignore: &Ignore::default(),
            digest: self.request.context.digest,
            mode: &|_, _, mode| mode,
        };
        let found = files.resolve(Path::new(&reference.folder))?.filter(Found::is_folder).ok_or_else(|| {
            let text = format!("{reference} has no folder '{}' in the commit {commit}", reference.folder);
            word.span.place(Error::usage(text))
        })?;
        copier.copy(&files, Path::new(&reference.folder), &found, None)
    }
}

//! What is in files.

use std::fs;
use std::path::Path;

use super::{Verdict, regex};
use crate::config::FileContentTest;
use crate::domain::{Result, ResultExt};
use crate::image::MergedImage;

/// Bytes of a file that are looked at; more is no text.
const LARGEST: u64 = 64 << 20;

pub(super) fn check(test: &FileContentTest, image: &MergedImage) -> Result<Verdict> {
    let mut verdict = Verdict::new(&test.name);
    let path = &test.path;
    let Some(source) = image.file(Path::new(path)) else {
        verdict.expect(false, || format!("{path} is no file of the image"));
        return Ok(verdict);
    };
    let failed = || format!("cannot read {}", source.display());
    let size = source.metadata().or_environment(failed)?.len();
    if size > LARGEST {
        verdict.expect(false, || format!("{path} has {size} bytes: too many to look at"));
        return Ok(verdict);
    }
    let bytes = fs::read(source).or_environment(failed)?;
    for text in &test.expected_contents {
        let matches = regex(text)?.is_match(&bytes);
        verdict.expect(matches, || format!("{path} has nothing that matches '{text}'"));
    }
    for text in &test.excluded_contents {
        let matches = regex(text)?.is_match(&bytes);
        verdict.expect(!matches, || format!("{path} has what matches '{text}'"));
    }
    Ok(verdict)
}

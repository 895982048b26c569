//! Tests of what an image is like: its files and its configuration, and what commands in it say.
//!
//! ```text
//! StructureSpec + MergedImage        ->  check        ->  Verdicts
//! StructureSpec + Runtime            ->  CommandPlan  ->  Verdict, by whoever can run commands
//! ```

mod command;
mod content;
mod existence;
mod metadata;
mod variables;
mod verdict;

#[cfg(test)]
mod tests;

use regex::bytes::{Regex, RegexBuilder};

use crate::config::StructureSpec;
use crate::domain::{Error, Result};
use crate::image::MergedImage;

pub use command::{CommandPlan, End, Ran};
pub use verdict::Verdict;

/// Whether a file's tests look at the image's own files and configuration, and not only at what commands say.
pub fn looks_at_files(spec: &StructureSpec) -> bool {
    !spec.file_existence_tests.is_empty() || !spec.file_content_tests.is_empty() || spec.metadata_test.is_some()
}

/// Objects to tests that could not be carried out, before there is an image.
///
/// # Errors
/// A regular expression that is none.
pub fn validate(spec: &StructureSpec) -> Result<()> {
    let contents = spec.file_content_tests.iter().flat_map(|test| [&test.expected_contents, &test.excluded_contents]);
    let commands = spec
        .command_tests
        .iter()
        .flat_map(|test| [&test.expected_output, &test.excluded_output, &test.expected_error, &test.excluded_error]);
    let metadata = spec.metadata_test.iter().flat_map(|test| test.env_vars.iter().chain(&test.labels));
    let values = metadata.filter(|wanted| wanted.is_regex).map(|wanted| &wanted.value);
    contents.chain(commands).flatten().chain(values).try_for_each(|text| regex(text).map(drop))
}

/// Tests an image by those of a file's tests that start nothing, in their order.
///
/// # Errors
/// A regular expression that is none.
pub fn check(spec: &StructureSpec, image: &MergedImage) -> Result<Vec<Verdict>> {
    let mut verdicts = Vec::new();
    for test in &spec.file_existence_tests {
        verdicts.push(existence::check(test, image));
    }
    for test in &spec.file_content_tests {
        verdicts.push(content::check(test, image)?);
    }
    if let Some(test) = &spec.metadata_test {
        verdicts.push(metadata::check(test, &image.config.config)?);
    }
    Ok(verdicts)
}

/// A regular expression; `^` and `$` are the ends of the whole text unless it says `(?m)`, as container-structure-test
/// has it.
fn regex(text: &str) -> Result<Regex> {
    let built = RegexBuilder::new(text).size_limit(1 << 20).build();
    built.map_err(|cause| Error::usage(format!("the regular expression '{text}'")).because(cause))
}

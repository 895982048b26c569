//! Tests of what an image is like: its files and its configuration, without starting anything.
//!
//! ```text
//! StructureSpec + MergedImage  ->  check  ->  Verdicts
//! ```

mod content;
mod existence;
mod metadata;
mod verdict;

#[cfg(test)]
mod tests;

use regex::bytes::{Regex, RegexBuilder};

use crate::config::StructureSpec;
use crate::domain::{Error, Result};
use crate::image::MergedImage;

pub use verdict::Verdict;

/// Tests an image by all of a file's tests, in their order.
///
/// # Errors
/// A regular expression that is none; tests that start commands, which are not supported yet.
pub fn check(spec: &StructureSpec, image: &MergedImage) -> Result<Vec<Verdict>> {
    if let Some(test) = spec.command_tests.first() {
        return Err(Error::usage(format!("the test '{}' starts a command, which is not supported yet", test.name)));
    }
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

/// A regular expression, which looks at each line by itself as container-structure-test has it.
fn regex(text: &str) -> Result<Regex> {
    let built = RegexBuilder::new(text).multi_line(true).size_limit(1 << 20).build();
    built.map_err(|cause| Error::usage(format!("the regular expression '{text}'")).because(cause))
}

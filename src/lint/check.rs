//! A whole file, by all rules.

use super::permits::Permits;
use super::shellcheck::Shellcheck;
use super::{Finding, rules};
use crate::domain::Result;
use crate::image::{Dockerfile, ParseError};

/// Checks a Dockerfile; its shell lines too where there is a shellcheck. `own` tells the images that are made here: rules for
/// those of others do not hold for them.
///
/// # Errors
/// A shellcheck that does not work. What is no Dockerfile is a finding of its own, `DL1000`.
pub fn check_dockerfile(
    text: &str,
    shellcheck: Option<&Shellcheck>,
    own: &dyn Fn(&str) -> bool,
) -> Result<Vec<Finding>> {
    let file = match Dockerfile::parse(text) {
        Ok(file) => file,
        Err(ParseError { line, column, message, .. }) => {
            let (code, level) = ("DL1000".to_owned(), super::Level::Error);
            return Ok(vec![Finding { line, column, code, level, message }]);
        }
    };
    let mut findings = rules::check(&file, own);
    if let Some(shellcheck) = shellcheck {
        findings.extend(shellcheck.check_file(&file)?);
    }
    let permits = Permits::read(text);
    let mut starts: Vec<usize> = file.arguments.iter().map(|pair| pair.name.span.line).collect();
    for stage in &file.stages {
        starts.push(stage.from.span.line);
        starts.extend(stage.steps.iter().map(|step| step.span.line));
    }
    let start = |finding: &Finding| starts.iter().copied().filter(|start| *start <= finding.line).max();
    findings.retain(|finding| !permits.allow(start(finding).unwrap_or(finding.line), finding));
    findings.sort();
    findings.dedup();
    Ok(findings)
}

/// Checks a shell script.
///
/// # Errors
/// A shellcheck that does not work.
pub fn check_script(text: &str, shellcheck: &Shellcheck) -> Result<Vec<Finding>> {
    shellcheck.check_script(text)
}

//! `xbuild verify`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::arguments::VerifyOptions;
use super::setup::{Setup, exit};
use crate::domain::{Arch, Error, Result, ResultExt};
use crate::verify::{Subject, describe};

pub(super) fn run(setup: &Setup<'_>, options: &VerifyOptions) -> Result<ExitCode> {
    let files = if options.files.is_empty() { in_dist(&setup.global.folder)? } else { options.files.clone() };
    let mut values = Vec::new();
    let mut text = String::new();
    let mut failures = Vec::new();
    for path in &files {
        let subject = match read(path) {
            Ok(subject) => subject,
            // The others have facts all the same.
            Err(error) => {
                failures.push(error);
                continue;
            }
        };
        text += &format!("{}\n", path.display());
        match &subject {
            Subject::Program(facts) => {
                for (label, value) in describe(facts) {
                    text += &format!("  {label:<12} {value}\n");
                }
            }
            Subject::Script { interpreter, .. } => text += &format!("  {:<12} {interpreter}\n", "script for"),
        }
        values.push(serde_json::json!({ "file": path.display().to_string(), "facts": subject }));
    }
    if setup.global.json {
        let value = serde_json::json!({ "version": 1, "files": values });
        text = serde_json::to_string_pretty(&value).or_bug(|| "cannot write the facts".into())? + "\n";
    }
    setup.print(&text)?;
    failures.iter().for_each(|error| setup.printer.error(error));
    Ok(exit(&failures.iter().map(Error::kind).collect::<Vec<_>>()))
}

fn read(path: &Path) -> Result<Subject> {
    let bytes = std::fs::read(path).or_usage(|| format!("cannot read {}", path.display()))?;
    Subject::read(&bytes).map_err(|cause| Error::usage(format!("{} {cause}", path.display())))
}

fn in_dist(project: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for arch in Arch::ALL {
        let folder = project.join("dist").join(arch.name());
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            files.push(entry.path());
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(Error::usage(format!("there are no programs in {}", project.join("dist").display()))
            .hint("name files, or run `xbuild binaries` first"));
    }
    Ok(files)
}

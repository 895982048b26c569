//! `xbuild lint`

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::arguments::LintOptions;
use super::lint_project::ProjectDockerfiles;
use super::setup::Setup;
use crate::domain::{Error, ErrorKind, Result, ResultExt};
use crate::lint::{Finding, Shellcheck, check_dockerfile, check_script};

pub(super) fn run(setup: &Setup<'_>, options: &LintOptions) -> Result<ExitCode> {
    // Files that are named are taken as they are.
    let project = options.files.is_empty().then(|| ProjectDockerfiles::of_project(setup)).transpose()?;
    let files = match &project {
        Some(project) => with_scripts(project.files())?,
        None => options.files.clone(),
    };
    let shellcheck = Shellcheck::find();
    let (mut values, mut text, mut failed) = (Vec::new(), String::new(), false);
    for path in &files {
        let content = fs::read_to_string(path).or_usage(|| format!("cannot read {}", path.display()))?;
        let findings = match (is_script(path, &content), &shellcheck, &project) {
            (true, Some(shellcheck), _) => check_script(&content, shellcheck)?,
            (true, None, Some(_)) => continue,
            (true, None, None) => {
                return Err(Error::environment(format!("cannot check {}: there is no shellcheck", path.display()))
                    .hint("apt-get install shellcheck"));
            }
            (false, shellcheck, Some(project)) => project.check(path, shellcheck.as_ref())?,
            (false, shellcheck, None) => check_dockerfile(&content, shellcheck.as_ref(), &|_| false)?,
        };
        for finding in findings.iter().filter(|finding| !options.ignore.contains(&finding.code)) {
            let Finding { line, column, code, level, message } = finding;
            text += &format!("{}:{line}:{column}: {level} {code}: {message}\n", path.display());
            values.push(serde_json::json!({
                "file": path.display().to_string(), "line": line, "column": column, "code": code, "level": level,
                "message": message,
            }));
            failed |= options.fail_on.level().is_some_and(|worst| *level <= worst);
        }
    }
    if setup.global.json {
        let value = serde_json::json!({ "version": 1, "findings": values });
        text = serde_json::to_string_pretty(&value).or_bug(|| "cannot write the findings".into())? + "\n";
    }
    setup.print(&text)?;
    Ok(ExitCode::from(if failed { ErrorKind::Build.exit_code() } else { 0 }))
}

fn is_script(path: &Path, content: &str) -> bool {
    let first = content.lines().next().unwrap_or_default();
    let shell = first.strip_prefix("#!").is_some_and(|rest| rest.trim_end().ends_with("sh"));
    shell || path.extension().is_some_and(|extension| extension == "sh" || extension == "bash")
}

/// Dockerfiles, and the scripts that stand beside them.
fn with_scripts(dockerfiles: BTreeSet<PathBuf>) -> Result<Vec<PathBuf>> {
    let mut files = dockerfiles.clone();
    for dockerfile in &dockerfiles {
        let folder = dockerfile.parent().unwrap_or(Path::new("."));
        let entries = fs::read_dir(folder).or_usage(|| format!("cannot read {}", folder.display()))?;
        let paths = entries.flatten().map(|entry| entry.path());
        files.extend(paths.filter(|path| path.extension().is_some_and(|extension| extension == "sh")));
    }
    Ok(files.into_iter().collect())
}

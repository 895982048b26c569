//! COPY and ADD.

use crate::image::{Copy, CopyKind, CopySource, Dockerfile, Instruction, Span};
use crate::lint::{Finding, Level};

/// Endings of what ADD is for: it unpacks these.
const ARCHIVES: [&str; 10] = [".tar", ".tgz", ".gz", ".bz2", ".xz", ".lzma", ".tbz2", ".txz", ".zst", ".tzst"];

fn absolute(path: &str) -> bool {
    let path = path.trim_matches(['"', '\'']);
    path.starts_with('/') || path.starts_with('$') || path.chars().nth(1) == Some(':')
}

pub(super) fn check(file: &Dockerfile, index: usize) -> Vec<Finding> {
    let stage = &file.stages[index];
    let mut findings = Vec::new();
    let from_stage = file.stages[..index].iter().any(|other| {
        let named = |name: &String| name.eq_ignore_ascii_case(&stage.from.image.text);
        other.from.name.as_ref().is_some_and(named)
    });
    // A stage before may have set it.
    let mut workdir = from_stage;
    for step in &stage.steps {
        match &step.instruction {
            Instruction::WorkDir(_) => workdir = true,
            Instruction::Copy(copy) => findings.extend(check_copy(file, index, copy, step.span, workdir)),
            _ => {}
        }
    }
    findings
}

fn check_copy(file: &Dockerfile, index: usize, copy: &Copy, span: Span, workdir: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    let destination = &copy.destination;
    if !workdir && !absolute(&destination.text) {
        let text = format!("'{}' is relative, and no WORKDIR says to what", destination.text);
        findings.push(Finding::new(destination.span, Level::Warning, "DL3045", text));
    }
    let ends = destination.text.trim_matches(['"', '\'']).ends_with(['/', '\\']) || destination.text == ".";
    if copy.sources.len() > 1 && !ends && !destination.text.contains('$') {
        let text = format!("several files go into a folder: write '{}/'", destination.text);
        findings.push(Finding::new(destination.span, Level::Error, "DL3021", text));
    }
    if copy.kind == CopyKind::Add {
        let path = |source: &CopySource| match source {
            CopySource::Path(word) => Some(word.text.trim_matches(['"', '\'']).to_owned()),
            CopySource::Heredoc(_) => None,
        };
        let is_for_add = |path: &str| {
            path.contains("://")
                || path.starts_with("git@")
                || ARCHIVES.iter().any(|ending| path.ends_with(ending))
                || path.contains('$')
        };
        if copy.sources.iter().filter_map(path).all(|path| !is_for_add(&path)) {
            findings.push(Finding::new(span, Level::Error, "DL3020", "use COPY: nothing here is a URL or an archive"));
        }
    }
    if let Some(from) = &copy.from {
        let own = file.stages[index].from.name.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(&from.text));
        let number = from.text.parse().is_ok_and(|number: usize| number < index);
        let named = |stage: &crate::image::Stage| {
            stage.from.name.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(&from.text))
        };
        let image = from.text.contains(['/', ':', '@', '$']);
        if own {
            findings.push(Finding::new(from.span, Level::Error, "DL3023", "a stage cannot copy from itself"));
        } else if !number && !image && !file.stages[..index].iter().any(named) {
            let text = format!("no stage before this one is called '{}'", from.text);
            findings.push(Finding::new(from.span, Level::Warning, "DL3022", text));
        }
    }
    findings
}

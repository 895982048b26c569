//! The rules, by what they look at.

mod bases;
mod copies;
mod packages;
mod runs;
mod settings;

use super::Finding;
use crate::image::Dockerfile;

/// Everything that the rules find; `own` tells the images that are made here.
pub(super) fn check(file: &Dockerfile, own: &dyn Fn(&str) -> bool) -> Vec<Finding> {
    let mut findings = bases::check(file, own);
    for (index, stage) in file.stages.iter().enumerate() {
        findings.extend(copies::check(file, index));
        findings.extend(settings::check(stage, index + 1 == file.stages.len()));
        findings.extend(runs::check(stage));
        findings.extend(packages::check(stage, kept(file, index)));
    }
    findings
}

/// Whether a stage's files are in the image: it is the last, or another that is starts from it.
fn kept(file: &Dockerfile, index: usize) -> bool {
    if index + 1 == file.stages.len() {
        return true;
    }
    let Some(name) = &file.stages[index].from.name else { return false };
    let later = file.stages.iter().enumerate().skip(index + 1);
    later.filter(|(_, stage)| stage.from.image.text.eq_ignore_ascii_case(name)).any(|(other, _)| kept(file, other))
}

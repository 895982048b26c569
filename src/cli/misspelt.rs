//! Bases that cannot be had, and may be meant for a stage of the Dockerfile or an image of the project.

use std::collections::BTreeSet;

use super::dockerfiles::Dockerfiles;
use super::setup::Loaded;
use crate::config::nearest;
use crate::domain::{Error, Event};
use crate::engine::Execution;

/// What is said of a base that cannot be had, if nothing in its name tells that it is a registry's image.
pub(super) fn doubt<'a>(place: &str, name: &str, others: impl Iterator<Item = &'a str>) -> Option<String> {
    if name.contains(['/', ':', '@']) {
        return None;
    }
    let text = format!("{place}: no stage of the Dockerfile and no image of the project is called '{name}'");
    Some(match nearest(name, others) {
        Some(near) => Error::usage(text).hint(format!("did you mean '{near}'?")).with_hints(),
        None => text,
    })
}

/// Warns of the names of bases that failed, each once.
pub(super) fn warn(loaded: &Loaded, dockerfiles: &Dockerfiles, execution: &Execution) {
    let failed = |step: &_| execution.errors.iter().any(|(known, _)| known == step);
    let doubts = dockerfiles.doubts.iter().filter(|(base, _)| failed(&base.step()));
    for text in doubts.map(|(_, text)| text).collect::<BTreeSet<_>>() {
        loaded.workshop.events.emit(Event::Warning { text: text.clone() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_name_may_be_meant_for_something_near() {
        let said = |name| doubt("D:1:6", name, ["base", "builder"].into_iter());
        let start = "D:1:6: no stage of the Dockerfile and no image of the project is called";
        assert_eq!(said("bsae"), Some(format!("{start} 'bsae'\nhint: did you mean 'base'?")));
        assert_eq!(said("alpine"), Some(format!("{start} 'alpine'")));
        for name in ["bsae:1", "me/bsae", "bsae@sha256:0"] {
            assert_eq!(said(name), None);
        }
    }
}

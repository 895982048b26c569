//! All probes, in the order in which they are read.

use std::path::PathBuf;

use super::finding::NATIVE;
use super::{
    Finding, State, apt, compilers, docker, emulation, git, identity, machine, sandbox, store, user_namespaces,
};
use crate::domain::Result;

/// Looks at everything; a store that has no place is a finding too. Takes a second or two, and leaves nothing behind; must
/// be called from the `xbuild` program itself, because sandboxes are made by running it again.
pub fn examine(store: Result<PathBuf>) -> Vec<Finding> {
    // Daemons may take their time to answer, so they are asked first.
    let engines = std::thread::spawn(docker::probe);
    let mut findings = vec![machine::version(), machine::kernel(), machine::processors(), machine::memory()];
    let namespaces = user_namespaces::probe();
    let ids = identity::probe(&namespaces);
    let [place, room] = match &store {
        Ok(store) => store::probe(store),
        Err(error) => store::nowhere(error),
    };
    // Nothing is tried in a store that is missing.
    let store = store.unwrap_or_default();
    let sandbox = sandbox::probe(&store, &[&namespaces, &ids, &place]);
    let emulation = emulation::probe(&store, &sandbox);
    findings.extend([namespaces, ids, place, room, sandbox, emulation]);
    findings.extend([apt::tools(), apt::mirror(), git::probe()]);
    findings.extend(engines.join().unwrap_or_default());
    findings.extend(compilers::probe());
    findings
}

/// Whether the native engine works here at all.
pub fn native_works(findings: &[Finding]) -> bool {
    !findings.iter().any(|finding| finding.needed_for == NATIVE && finding.state == State::Missing)
}

#[cfg(test)]
mod tests {
    use super::super::finding::DOCKER;
    use super::*;

    #[test]
    fn the_native_engine_does_without_docker() {
        let docker = Finding::missing("docker", DOCKER, "no daemon");
        let limited = Finding::limited("user ids", NATIVE, "one id");
        assert!(native_works(&[docker.clone(), limited]));
        assert!(!native_works(&[docker, Finding::missing("sandbox", NATIVE, "no overlay")]));
    }
}

//! Whether a whole sandbox works: overlay root, kernel file systems, devices, a program in it.

use std::path::Path;

use super::Finding;
use super::finding::NATIVE;
use super::refusal::Settings;
use super::trial::{Trial, program};
use crate::domain::{Error, Result};

const NAME: &str = "sandbox";

/// `bases` are what it stands on.
pub(super) fn probe(store: &Path, bases: &[&Finding]) -> Finding {
    if let Some(finding) = bases.iter().find_map(|base| Finding::without(NAME, NATIVE, base)) {
        return finding;
    }
    let error = match attempt(store) {
        Ok(program) => return Finding::works(NAME, NATIVE, format!("ran {program} on an overlay in the store")),
        Err(error) => error,
    };
    // The same on another file system tells a store that cannot hold overlays from a kernel that cannot mount them.
    let other = ["/dev/shm", "/var/tmp", "/tmp"].into_iter().find(|place| attempt(Path::new(place)).is_ok());
    let finding = Finding::missing(NAME, NATIVE, error.to_string());
    match other {
        Some(place) => finding.mend(format!(
            "set XBUILD_STORE to a folder of yours on ext4, xfs or btrfs (a sandbox does work in {place})"
        )),
        None => finding.mend(mend(&error)),
    }
}

fn attempt(store: &Path) -> Result<String> {
    let program = program()?.display().to_string();
    Trial::new(store)?.run(Vec::new(), &[&program])?;
    Ok(program)
}

fn mend(error: &Error) -> String {
    Settings::read().mend().unwrap_or_else(|| match error.hints().as_slice() {
        [] => "use Docker (`--engine docker`)".into(),
        hints => hints.join("; "),
    })
}

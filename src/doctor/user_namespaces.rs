//! Whether this user may make user namespaces.

use super::Finding;
use super::finding::NATIVE;
use super::refusal::Settings;
use super::trial::namespaces_only;
use crate::engine::native::sandbox::{Identity, Stop, run};

pub(super) fn probe() -> Finding {
    const NAME: &str = "user namespaces";
    // Whether there are more ids is another question.
    let identity = if nix::unistd::Uid::effective().is_root() { Identity::Root } else { Identity::Single };
    match run(&namespaces_only(identity), &Stop::default(), &mut |_, _| ()) {
        Ok(_) => Finding::works(NAME, NATIVE, "a new one was made and took its id map"),
        Err(error) => {
            let finding = Finding::missing(NAME, NATIVE, error.to_string());
            match Settings::read().mend() {
                Some(mend) => finding.mend(mend),
                None => finding.mend("use Docker (`--engine docker`), or ask who runs this machine to allow them"),
            }
        }
    }
}

//! Runs the scripts of unpacked packages.

use std::collections::BTreeMap;

use super::sandbox::{self, Command, Exit, Limits, Spec};
use crate::domain::{Event, Result, Stream};
use crate::engine::Workshop;
use crate::plan::StepId;

/// Runs a script of [`configure_script`](crate::debian::configure_script) in a root that has the packages in its upper
/// layer, and tells its output under the step's name. How it ended is for the caller to judge.
///
/// # Errors
/// When the sandbox cannot be made, or was stopped.
pub(crate) fn configure(workshop: &Workshop, step: &StepId, mut spec: Spec, script: &str) -> Result<Exit> {
    let env = BTreeMap::from([("PATH".to_owned(), "/usr/sbin:/usr/bin:/sbin:/bin".to_owned())]);
    let argv = vec!["/bin/sh".to_owned(), "-c".to_owned(), script.to_owned()];
    spec.commands.push(Command { argv, env, cwd: "/".into(), user: None, limits: Limits::default() });
    let mut output = |stream: Stream, bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        workshop.events.emit(Event::Output { step: step.to_string(), stream, text });
    };
    sandbox::run_one(&spec, &workshop.stop, &mut output)
}

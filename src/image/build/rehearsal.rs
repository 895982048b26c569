//! Everything that can be wrong with a stage's instructions but the files and commands: found before anything is built.

use super::settings::Settings;
use crate::domain::Result;
use crate::image::{Copy, FileMode, Instruction, ParseError, Run, Step};

/// Applies what instructions say of the image, one after the other, and checks the options of the others. `look` sees each
/// with what is in force after it.
///
/// # Errors
/// The first thing that is wrong, with its place.
pub(super) fn rehearse<'a>(
    settings: &mut Settings,
    steps: impl Iterator<Item = &'a Step>,
    look: &mut dyn FnMut(&Step, &Settings) -> Result<()>,
) -> Result<()> {
    for step in steps {
        settings.apply(&step.instruction)?;
        match &step.instruction {
            Instruction::Run(run) => check_run(run, settings)?,
            Instruction::Copy(instruction) => check_copy(instruction, settings)?,
            _ => {}
        }
        look(step, settings)?;
    }
    Ok(())
}

fn check_run(run: &Run, settings: &Settings) -> Result<(), ParseError> {
    network(run, settings)?;
    run.mounts.iter().try_for_each(|flag| flag.resolve(&|word| settings.scope.expand(word)).map(drop))
}

fn check_copy(instruction: &Copy, settings: &Settings) -> Result<(), ParseError> {
    chmod(instruction, settings)?;
    settings.expand(&instruction.destination).map(drop)
}

/// Whether a command sees the machine's network; what it asks for must be something that there is.
pub(super) fn network(run: &Run, settings: &Settings) -> Result<bool, ParseError> {
    if let Some(word) = &run.security
        && settings.expand(word)? != "sandbox"
    {
        let error = word.span.error("--security=insecure is not supported: commands run in a user namespace");
        return Err(error.hint("most of what needs it works without, as root of the namespace"));
    }
    let Some(word) = &run.network else { return Ok(true) };
    match settings.expand(word)?.as_str() {
        "default" | "host" => Ok(true),
        "none" => Ok(false),
        other => Err(word.span.error(format!("there is no network '{other}'")).hint("default, none or host")),
    }
}

/// The mode that `--chmod` asks for.
pub(super) fn chmod(instruction: &Copy, settings: &Settings) -> Result<Option<FileMode>, ParseError> {
    let Some(word) = &instruction.chmod else { return Ok(None) };
    let mode = FileMode::parse(&settings.expand(word)?);
    mode.map(Some).map_err(|error| word.span.error(error).hint("as in --chmod=755 or --chmod=u+x"))
}

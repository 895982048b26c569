//! What the user asks for in engines: by an option, else by a variable, which is read only where an engine is chosen.

use std::str::FromStr;

use super::arguments::Global;
use crate::domain::{BuilderChoice, EngineChoice, Error, Result, ResultExt};

/// `--engine`, else `XBUILD_ENGINE`.
///
/// # Errors
/// A usage error that names the variable.
pub(super) fn engine(global: &Global) -> Result<Option<EngineChoice>> {
    match &global.engine {
        Some(engine) => Ok(Some(engine.clone())),
        None => variable("XBUILD_ENGINE")?.map(|text| parse("XBUILD_ENGINE", &text)).transpose(),
    }
}

/// `--builders`, else `XBUILD_BUILDERS`.
///
/// # Errors
/// A usage error that names the variable.
pub(super) fn builders(global: &Global) -> Result<Vec<BuilderChoice>> {
    if !global.builders.is_empty() {
        return Ok(global.builders.clone());
    }
    let text = variable("XBUILD_BUILDERS")?.unwrap_or_default();
    text.split(',').filter(|part| !part.is_empty()).map(|part| parse("XBUILD_BUILDERS", part)).collect()
}

fn parse<T: FromStr<Err = Error>>(name: &str, text: &str) -> Result<T> {
    text.parse().context(|| name.to_owned())
}

/// A variable that is there and not empty: scripts and CI clear one by making it empty.
fn variable(name: &str) -> Result<Option<String>> {
    match std::env::var_os(name).filter(|value| !value.is_empty()).map(std::ffi::OsString::into_string) {
        None => Ok(None),
        Some(Ok(text)) => Ok(Some(text)),
        Some(Err(_)) => Err(Error::usage(format!("{name}: its value is not UTF-8"))),
    }
}

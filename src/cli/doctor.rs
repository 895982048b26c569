//! `xbuild doctor`

use std::io::IsTerminal;
use std::process::ExitCode;

use super::setup::Setup;
use crate::doctor::{examine, native_works, render};
use crate::domain::{Result, ResultExt};
use crate::report::Colour;
use crate::store::Store;

pub(super) fn run(setup: &Setup<'_>) -> Result<ExitCode> {
    let findings = examine(Store::location());
    let colour = match setup.global.colour() {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto => std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
    };
    let text = if setup.global.json {
        let value = serde_json::json!({ "version": 1, "native": native_works(&findings), "findings": findings });
        serde_json::to_string_pretty(&value).or_bug(|| "cannot write what was found".into())? + "\n"
    } else {
        render(&findings, colour)
    };
    setup.print(&text)?;
    Ok(if native_works(&findings) { ExitCode::SUCCESS } else { ExitCode::from(3) })
}

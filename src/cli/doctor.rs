//! `xbuild doctor`

use std::process::ExitCode;

use super::setup::Setup;
use crate::domain::Result;

pub(super) async fn run(setup: &Setup<'_>) -> Result<ExitCode> {
    let _ = setup;
    Ok(ExitCode::SUCCESS)
}

//! Renders a toolchain as a Dockerfile.

use crate::config::Toolchain;
use crate::domain::{Arch, Result};

/// The Dockerfile that makes the same builder.
///
/// # Errors
/// A usage error for a template that does not expand.
pub fn render_dockerfile(toolchain: &Toolchain, host: Arch, targets: &[Arch]) -> Result<String> {
    let _ = (toolchain, host, targets);
    Ok(String::new())
}

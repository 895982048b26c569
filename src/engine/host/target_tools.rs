//! A folder with the toolchain's names for the machine's tools.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use super::places::Places;
use crate::domain::{Result, ResultExt};
use crate::plan::{FoundTool, HostTool};

/// Fills the folder. Compilers and preprocessors become scripts that tell them where libraries are, after all that they are
/// told otherwise, and what folders are called in a builder: not by variables such as `CFLAGS`, for these are an input of Go's
/// builds, and many a Makefile has its own.
///
/// # Errors
/// An environment error when something cannot be written.
pub(super) fn name_tools(tools: &BTreeMap<String, FoundTool>, places: &Places, prefix: Option<&str>) -> Result<()> {
    for (variable, tool) in tools {
        let Ok(tool) = tool else { continue };
        let path = places.tools.join(&tool.name);
        let failed = || format!("cannot write {}", path.display());
        let compiles = ["CC", "CXX", "CPP"].contains(&variable.as_str());
        match &tool.command[..] {
            [program] if !compiles => symlink(program, &path).or_environment(failed)?,
            _ => {
                fs::write(&path, script(tool, places, prefix, compiles)).or_environment(failed)?;
                fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).or_environment(failed)?;
            }
        }
    }
    Ok(())
}

/// The tool itself must not find this folder: one that looks for its own name in `PATH`, as ccache does, would run in circles.
fn script(tool: &HostTool, places: &Places, prefix: Option<&str>, compiles: bool) -> String {
    let (mut before, mut after) = (Vec::new(), Vec::new());
    if compiles {
        before = places.names(prefix);
        after = vec!["-isystem".into(), join(&places.prefix, "include"), format!("-L{}", join(&places.prefix, "lib"))];
    }
    let words = |words: &[String]| words.iter().map(|word| format!(" {}", quoted(word))).collect::<String>();
    format!(
        "#!/bin/sh\ntools={}\nPATH=${{PATH#\"$tools:\"}}\nexport PATH\nexec{}{} \"$@\"{}\n",
        quoted(&places.tools.display().to_string()),
        words(&tool.command),
        words(&before),
        words(&after)
    )
}

fn join(folder: &Path, name: &str) -> String {
    folder.join(name).display().to_string()
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

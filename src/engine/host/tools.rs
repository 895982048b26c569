//! What the machine has of a project's toolchain.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use super::compiler::{Search, ask, identity};
use crate::config::{LibraryChoice, Project, Variables};
use crate::domain::{Arch, Error, Result};
use crate::plan::{FoundTool, HostTool, HostTools};

/// Looks for the tools of all targets of a project, and for the programs that its libraries and components call.
///
/// # Errors
/// A usage error for a library that does not exist. What is missing is no error yet: not every plan needs everything.
pub fn look(project: &Project) -> Result<HostTools> {
    let host = Arch::host()?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let programs = programs(project, &path)?;
    let targets = std::thread::scope(|scope| {
        let searches: Vec<_> = project
            .arches
            .iter()
            .map(|target| {
                let path = &path;
                scope.spawn(move || Ok((*target, tools(project, &Search { target: *target, host, path })?)))
            })
            .collect();
        let panicked = |_| Err(Error::bug("looking for compilers panicked"));
        searches.into_iter().map(|search| search.join().unwrap_or_else(panicked)).collect::<Result<_>>()
    })?;
    Ok(HostTools { targets, programs })
}

fn tools(project: &Project, search: &Search<'_>) -> Result<BTreeMap<String, FoundTool>> {
    let variables = Variables::of_arch(search.target);
    let tools = project.toolchain.tools.iter();
    tools.map(|(variable, name)| Ok((variable.clone(), search.tool(variable, &variables.expand(name)?)))).collect()
}

fn programs(project: &Project, path: &OsStr) -> Result<BTreeMap<String, FoundTool>> {
    let mut found = BTreeMap::new();
    for library in libraries(project)? {
        for name in &library.recipe.programs {
            found.entry(name.clone()).or_insert_with(|| program(name, path));
        }
    }
    for component in project.toolchain.components.values() {
        let folders = component.path.iter().map(PathBuf::from).chain(std::env::split_paths(path));
        let path: OsString = std::env::join_paths(folders).unwrap_or_else(|_| path.to_owned());
        for name in &component.programs {
            found.insert(name.clone(), program(name, &path));
        }
    }
    Ok(found)
}

fn program(name: &str, path: &OsStr) -> FoundTool {
    let found = which::which_in(name, Some(path), "/").map_err(|_| format!("no {name}"))?;
    let command = vec![found.display().to_string()];
    let about = match name {
        // One program in front of several versions is common.
        "go" => ask(&command, "version").and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default(),
        _ => String::new(),
    };
    let identity = identity(&command, about.trim());
    Ok(HostTool { name: name.to_owned(), command, identity })
}

/// All libraries that a plan of the project may have, with those below them.
fn libraries(project: &Project) -> Result<Vec<LibraryChoice>> {
    let mut left: Vec<LibraryChoice> = project.binaries.values().flat_map(|binary| binary.libraries.clone()).collect();
    if project.binaries.is_empty() {
        left.extend(project.toolchain.libraries.iter().map(|text| project.library(text)).collect::<Result<Vec<_>>>()?);
    }
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    while let Some(library) = left.pop() {
        if seen.insert((library.name.clone(), library.version.clone())) {
            left.extend(library.recipe.libs.iter().map(|text| project.library(text)).collect::<Result<Vec<_>>>()?);
            all.push(library);
        }
    }
    Ok(all)
}

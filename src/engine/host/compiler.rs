//! Finds the machine's tools for a target: those that the user names, else by the toolchain's names, else by those of other
//! distributions.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::domain::Arch;
use crate::plan::{FoundTool, HostTool};

/// Where tools of one target are looked for.
pub(super) struct Search<'a> {
    /// Whose tools.
    pub(super) target: Arch,
    /// The machine's architecture, whose tools may go without a triple.
    pub(super) host: Arch,
    /// Folders, as in `PATH`.
    pub(super) path: &'a OsStr,
}

/// The compiler of C for a target, or why there is none.
pub fn compiler(target: Arch) -> FoundTool {
    let host = Arch::host().map_err(|error| error.to_string())?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    Search { target, host, path: &path }.tool("CC", &format!("{}-gcc", target.triple()))
}

impl Search<'_> {
    /// The tool that a variable names; `name` is what the toolchain calls it.
    pub(super) fn tool(&self, variable: &str, name: &str) -> FoundTool {
        let compiles = ["CC", "CXX"].contains(&variable);
        if let Some((by, words)) = self.named_by_user(variable) {
            let command = self.resolve(&words).ok_or_else(|| format!("no {} ({by})", words.join(" ")))?;
            let about = match compiles {
                true => self.describe(&command).map_err(|why| format!("{why} ({by})"))?,
                false => String::new(),
            };
            return Ok(self.found(name, command, &about, variable));
        }
        let mut reason = format!("no {name}");
        for candidate in self.candidates(variable, name) {
            let Some(command) = self.resolve(&[candidate]) else { continue };
            match if compiles { self.describe(&command) } else { Ok(String::new()) } {
                Ok(about) => return Ok(self.found(name, command, &about, variable)),
                Err(why) => reason = format!("{reason} ({why})"),
            }
        }
        Err(reason)
    }

    /// What the environment says, in the spelling of the `cc` crate: `CC_<target>`.
    fn named_by_user(&self, variable: &str) -> Option<(String, Vec<String>)> {
        let (triple, rust) = (self.target.triple(), rust_target(self.target));
        [self.target.name(), triple, &triple.replace('-', "_"), rust, &rust.replace('-', "_")].iter().find_map(
            |suffix| {
                let by = format!("{variable}_{suffix}");
                let words: Vec<String> = std::env::var(&by).ok()?.split_whitespace().map(str::to_owned).collect();
                (!words.is_empty()).then_some((by, words))
            },
        )
    }

    /// Names to try: the toolchain's first.
    fn candidates(&self, variable: &str, name: &str) -> Vec<String> {
        let short = name.strip_prefix(self.target.triple()).and_then(|rest| rest.strip_prefix('-'));
        let guess = guess(self.host, self.target);
        let prefix = guess.as_deref().and_then(|guess| guess.strip_suffix("gcc")).map(str::to_owned);
        let others = short.into_iter().flat_map(|short| prefix.iter().map(move |prefix| format!("{prefix}{short}")));
        let mut names = vec![name.to_owned()];
        names.extend(others);
        if self.host == self.target {
            names.extend(short.map(str::to_owned));
        }
        if variable == "CC" {
            names.extend(guess);
        }
        let mut seen = BTreeSet::new();
        names.retain(|name| seen.insert(name.clone()));
        names
    }

    fn resolve(&self, words: &[String]) -> Option<Vec<String>> {
        let (program, arguments) = words.split_first()?;
        let found = which::which_in(program, Some(self.path), "/").ok()?;
        Some([found.display().to_string()].into_iter().chain(arguments.iter().cloned()).collect())
    }

    /// A compiler's own words on its version, if it is one for the target.
    fn describe(&self, command: &[String]) -> Result<String, String> {
        let shown = command.join(" ");
        let output = ask(command, "-v").ok_or_else(|| format!("{shown} cannot be run"))?;
        let text = String::from_utf8_lossy(&output.stderr);
        let target = text.lines().find_map(|line| line.strip_prefix("Target: ")).map(str::trim);
        let target = target.ok_or_else(|| format!("{shown} does not tell its target"))?;
        if !is_for(target, self.target) {
            return Err(format!("{shown} compiles for {target}"));
        }
        let version = text.lines().find(|line| line.contains(" version "));
        Ok(version.unwrap_or_default().trim().to_owned())
    }

    fn found(&self, name: &str, command: Vec<String>, about: &str, variable: &str) -> HostTool {
        let mut identity = identity(&command, about);
        if variable == "CC" {
            // What it links.
            for library in ["libc.a", "libc.so.6"] {
                let answer = ask(&command, &format!("-print-file-name={library}")).map(|output| output.stdout);
                let answer = String::from_utf8(answer.unwrap_or_default()).unwrap_or_default();
                identity.extend(file_identity(answer.trim().as_ref()).map(|text| format!("; {text}")));
            }
        }
        HostTool { name: name.to_owned(), command, identity }
    }
}

/// Tells a program from any other: the path, the file behind it, and what it says about itself.
pub(super) fn identity(command: &[String], about: &str) -> String {
    let file = command.first().and_then(|program| file_identity(program.as_ref())).unwrap_or_default();
    let parts = [command.join(" "), about.to_owned(), file];
    parts.iter().filter(|part| !part.is_empty()).map(String::as_str).collect::<Vec<_>>().join("; ")
}

fn file_identity(path: &Path) -> Option<String> {
    let path = path.is_absolute().then(|| path.canonicalize().ok())??;
    let metadata = fs::metadata(&path).ok()?;
    Some(format!("{}, {} bytes of {}", path.display(), metadata.len(), metadata.mtime()))
}

/// What a program answers to a question, whether it likes it or not.
pub(super) fn ask(command: &[String], question: &str) -> Option<Output> {
    let (program, arguments) = command.split_first()?;
    Command::new(program).args(arguments).arg(question).env("LC_ALL", "C").stdin(Stdio::null()).output().ok()
}

/// Whether a compiler that calls its target so makes programs for an architecture.
fn is_for(target: &str, arch: Arch) -> bool {
    let first = |triple: &str| triple.split('-').next().unwrap_or_default().to_owned();
    let machine = first(target);
    machine == first(arch.triple())
        || Arch::find(&machine) == Some(arch)
        || (arch == Arch::Arm && machine.starts_with("armv7"))
}

/// What the `cc` crate would call, which knows the prefixes of many distributions.
fn guess(host: Arch, target: Arch) -> Option<String> {
    let tool = cc::Build::new()
        .target(rust_target(target))
        .host(rust_target(host))
        .opt_level(0)
        .cargo_metadata(false)
        .cargo_warnings(false)
        .try_get_compiler()
        .ok()?;
    Some(tool.path().to_str()?.to_owned())
}

/// Rust's name of the target, which is how the crate asks for a compiler.
fn rust_target(arch: Arch) -> &'static str {
    match arch {
        Arch::Amd64 => "x86_64-unknown-linux-gnu",
        Arch::Arm => "armv7-unknown-linux-gnueabihf",
        Arch::Arm64 => "aarch64-unknown-linux-gnu",
        Arch::Ppc64le => "powerpc64le-unknown-linux-gnu",
        Arch::Riscv64 => "riscv64gc-unknown-linux-gnu",
        Arch::S390x => "s390x-unknown-linux-gnu",
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn compilers_of_all_distributions_are_told_apart() {
        for (target, arch) in [
            ("x86_64-linux-gnu", Arch::Amd64),
            ("x86_64-redhat-linux", Arch::Amd64),
            ("armv7l-unknown-linux-gnueabihf", Arch::Arm),
            ("powerpc64le-alpine-linux-musl", Arch::Ppc64le),
            ("s390x-ibm-linux", Arch::S390x),
        ] {
            for other in Arch::ALL {
                assert_eq!(is_for(target, other), other == arch, "{target} {other}");
            }
        }
        assert!(!is_for("aarch64-linux-gnu", Arch::Arm));
    }

    #[test]
    fn a_compiler_must_say_that_it_is_for_the_target() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, target: &str| {
            let path = folder.path().join(name);
            let says = format!("#!/bin/sh\n[ $1 = -v ] && printf 'Target: {target}\\nx version 7\\n' >&2\nexit 0\n");
            fs::write(&path, says).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            path.display().to_string()
        };
        let find = |target| {
            let search = Search { target, host: Arch::S390x, path: folder.path().as_os_str() };
            search.tool("CC", &format!("{}-gcc", target.triple()))
        };
        assert_eq!(find(Arch::Arm), Err("no arm-linux-gnueabihf-gcc".into()));
        let wrong = put("arm-linux-gnueabihf-gcc", "s390x-linux-gnu");
        assert_eq!(find(Arch::Arm), Err(format!("no arm-linux-gnueabihf-gcc ({wrong} compiles for s390x-linux-gnu)")));
        // The machine's own compiler has no triple in its name everywhere.
        let own = put("gcc", "s390x-redhat-linux");
        let found = find(Arch::S390x).unwrap();
        assert_eq!((found.name.as_str(), found.command), ("s390x-linux-gnu-gcc", vec![own.clone()]));
        assert!(found.identity.starts_with(&format!("{own}; x version 7; ")), "{}", found.identity);
    }
}

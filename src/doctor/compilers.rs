//! Compilers on the machine itself, for the engine that uses no container.

use super::Finding;
use super::finding::{HOST, as_root};
use crate::domain::Arch;

pub(super) fn probe() -> Vec<Finding> {
    Arch::ALL.into_iter().map(look).collect()
}

fn look(arch: Arch) -> Finding {
    let name = name(arch);
    match compiler(arch) {
        Ok(path) => Finding::works(name, HOST, path),
        Err(detail) => Finding::missing(name, HOST, detail)
            .mend(as_root(&format!("apt-get install gcc-{}", arch.package_triple()))),
    }
}

fn compiler(arch: Arch) -> Result<String, String> {
    let host = Arch::host().map_err(|error| error.to_string())?;
    let tool = cc::Build::new()
        .target(rust_target(arch))
        .host(rust_target(host))
        .opt_level(0)
        .cargo_metadata(false)
        .cargo_warnings(false)
        .try_get_compiler()
        .map_err(|error| error.to_string())?;
    // A compiler is named whether it is there or not.
    let program = tool.path();
    match which::which(program) {
        Ok(path) => Ok(path.display().to_string()),
        Err(_) => Err(format!("no {} on the PATH", program.display())),
    }
}

fn name(arch: Arch) -> &'static str {
    match arch {
        Arch::Amd64 => "compiler amd64",
        Arch::Arm => "compiler arm",
        Arch::Arm64 => "compiler arm64",
        Arch::Ppc64le => "compiler ppc64le",
        Arch::Riscv64 => "compiler riscv64",
        Arch::S390x => "compiler s390x",
    }
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

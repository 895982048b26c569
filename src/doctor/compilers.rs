//! Compilers on the machine itself, for the engine that uses no container.

use super::Finding;
use super::finding::{HOST, as_root};
use crate::domain::Arch;
use crate::engine::host::compiler;

pub(super) fn probe() -> Vec<Finding> {
    Arch::ALL.into_iter().map(look).collect()
}

fn look(arch: Arch) -> Finding {
    let name = name(arch);
    match compiler(arch) {
        Ok(found) => Finding::works(name, HOST, found.command.join(" ")),
        Err(detail) => Finding::missing(name, HOST, detail)
            .mend(as_root(&format!("apt-get install gcc-{}", arch.package_triple()))),
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

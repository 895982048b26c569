//! Facts as words for people.

use super::facts::{Facts, Kind, Linkage};
use super::glibc_need::GlibcNeed;
use crate::domain::{ElfClass, Endianness};

impl Facts {
    /// The machine's name: an architecture's, or words for one that is not in the table.
    pub(super) fn machine_name(&self) -> String {
        match self.arch {
            Some(arch) => arch.to_string(),
            None => format!("machine {} ({})", self.machine, self.layout()),
        }
    }

    fn layout(&self) -> &'static str {
        match (self.class, self.endianness) {
            (ElfClass::Elf32, Endianness::Little) => "32-bit, little-endian",
            (ElfClass::Elf32, Endianness::Big) => "32-bit, big-endian",
            (ElfClass::Elf64, Endianness::Little) => "64-bit, little-endian",
            (ElfClass::Elf64, Endianness::Big) => "64-bit, big-endian",
        }
    }
}

/// The facts as labels and values, in the order to be read; facts that a file does not have are left out.
pub fn describe(facts: &Facts) -> Vec<(&'static str, String)> {
    let kind = match facts.kind {
        Kind::Executable => "executable",
        Kind::PositionIndependentExecutable => "position-independent executable",
        Kind::StaticPie => "static position-independent executable",
        Kind::SharedLibrary => "shared library",
        Kind::Relocatable => "object file",
        Kind::Core => "memory dump",
        Kind::Other => "unknown",
    };
    let linkage = facts.linkage.map(|linkage| match linkage {
        Linkage::Static => "static",
        Linkage::Dynamic => "dynamic",
    });
    let joined = |items: &[String]| (!items.is_empty()).then(|| items.join(", "));
    let arch = facts.arch.map(|arch| format!("{arch} ({})", facts.layout())).unwrap_or_else(|| facts.machine_name());
    let rows = [
        ("arch", Some(arch)),
        ("kind", Some(kind.to_owned())),
        ("linkage", linkage.map(str::to_owned)),
        ("interpreter", facts.interpreter.clone()),
        ("needed", joined(&facts.needed)),
        ("rpath", joined(&facts.rpath)),
        ("glibc", facts.glibc.first().map(GlibcNeed::to_string)),
        ("kernel", facts.kernel.as_ref().map(|version| format!("at least {version}"))),
        ("build id", facts.build_id.clone()),
        ("go build id", facts.go_build_id.clone()),
        ("stripped", Some(if facts.stripped { "yes" } else { "no" }.to_owned())),
        ("size", Some(format!("{} bytes", facts.size))),
    ];
    rows.into_iter().filter_map(|(label, value)| Some((label, value?))).collect()
}

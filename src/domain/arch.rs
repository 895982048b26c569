//! The architecture table: one row per target, with the name that each ecosystem gives it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Error, Result, from_text};

/// A target architecture that xbuild builds for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Arch {
    /// 64-bit x86.
    Amd64,
    /// 32-bit ARM, v7 with hardware floating point.
    Arm,
    /// 64-bit ARM.
    Arm64,
    /// 64-bit POWER, little-endian.
    Ppc64le,
    /// 64-bit RISC-V with the G and C extensions.
    Riscv64,
    /// 64-bit IBM Z, big-endian.
    S390x,
}

/// Width of an ELF file's addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ElfClass {
    /// ELFCLASS32.
    Elf32,
    /// ELFCLASS64.
    Elf64,
}

/// Byte order of an ELF file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Endianness {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

/// What the header of every program for an architecture must say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ElfIdentity {
    /// `e_machine`, for example 62 for `EM_X86_64`.
    pub machine: u16,
    /// Address width.
    pub class: ElfClass,
    /// Byte order.
    pub endianness: Endianness,
}

/// One row of the table.
struct Row {
    name: &'static str,
    debian: &'static str,
    triple: &'static str,
    go: &'static str,
    platform: &'static str,
    uname: &'static str,
    qemu: &'static str,
    elf: ElfIdentity,
}

const fn elf(machine: u16, class: ElfClass, endianness: Endianness) -> ElfIdentity {
    ElfIdentity { machine, class, endianness }
}

const AMD64: Row = Row {
    name: "amd64",
    debian: "amd64",
    triple: "x86_64-linux-gnu",
    go: "amd64",
    platform: "linux/amd64",
    uname: "x86_64",
    qemu: "x86_64",
    elf: elf(62, ElfClass::Elf64, Endianness::Little),
};
const ARM: Row = Row {
    name: "arm",
    debian: "armhf",
    triple: "arm-linux-gnueabihf",
    go: "arm",
    platform: "linux/arm/v7",
    uname: "armv7l",
    qemu: "arm",
    elf: elf(40, ElfClass::Elf32, Endianness::Little),
};
const ARM64: Row = Row {
    name: "arm64",
    debian: "arm64",
    triple: "aarch64-linux-gnu",
    go: "arm64",
    platform: "linux/arm64",
    uname: "aarch64",
    qemu: "aarch64",
    elf: elf(183, ElfClass::Elf64, Endianness::Little),
};
const PPC64LE: Row = Row {
    name: "ppc64le",
    debian: "ppc64el",
    triple: "powerpc64le-linux-gnu",
    go: "ppc64le",
    platform: "linux/ppc64le",
    uname: "ppc64le",
    qemu: "ppc64le",
    elf: elf(21, ElfClass::Elf64, Endianness::Little),
};
const RISCV64: Row = Row {
    name: "riscv64",
    debian: "riscv64",
    triple: "riscv64-linux-gnu",
    go: "riscv64",
    platform: "linux/riscv64",
    uname: "riscv64",
    qemu: "riscv64",
    elf: elf(243, ElfClass::Elf64, Endianness::Little),
};
const S390X: Row = Row {
    name: "s390x",
    debian: "s390x",
    triple: "s390x-linux-gnu",
    go: "s390x",
    platform: "linux/s390x",
    uname: "s390x",
    qemu: "s390x",
    elf: elf(22, ElfClass::Elf64, Endianness::Big),
};

impl Arch {
    /// Every architecture, in the order in which they are listed to people.
    pub const ALL: [Arch; 6] = [Arch::Amd64, Arch::Arm, Arch::Arm64, Arch::Ppc64le, Arch::Riscv64, Arch::S390x];

    fn row(self) -> &'static Row {
        match self {
            Arch::Amd64 => &AMD64,
            Arch::Arm => &ARM,
            Arch::Arm64 => &ARM64,
            Arch::Ppc64le => &PPC64LE,
            Arch::Riscv64 => &RISCV64,
            Arch::S390x => &S390X,
        }
    }

    /// xbuild's own name: Go's, as in `dist/<name>/`.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Debian's name, as in `armhf`.
    pub fn debian(self) -> &'static str {
        self.row().debian
    }

    /// The GNU triple, as in `arm-linux-gnueabihf`.
    pub fn triple(self) -> &'static str {
        self.row().triple
    }

    /// The triple as it stands in Debian package names, as in `x86-64-linux-gnu`.
    pub fn package_triple(self) -> String {
        self.triple().replace('_', "-")
    }

    /// `GOARCH`.
    pub fn go(self) -> &'static str {
        self.row().go
    }

    /// `GOARM`, where Go wants to know the version of the instruction set.
    pub fn goarm(self) -> Option<&'static str> {
        (self == Arch::Arm).then_some("7")
    }

    /// The OCI platform, as in `linux/arm/v7`.
    pub fn platform(self) -> &'static str {
        self.row().platform
    }

    /// The OCI platform's variant, as in `v7`.
    pub fn variant(self) -> Option<&'static str> {
        (self == Arch::Arm).then_some("v7")
    }

    /// QEMU's name, as in `qemu-<name>`.
    pub fn qemu(self) -> &'static str {
        self.row().qemu
    }

    /// What an ELF header must say.
    pub fn elf(self) -> ElfIdentity {
        self.row().elf
    }

    /// The architecture of a name in any of the usual spellings; `None` when there is none.
    pub fn find(text: &str) -> Option<Arch> {
        let wanted = text.to_ascii_lowercase();
        let wanted = wanted.strip_prefix("linux/").unwrap_or(&wanted).replace('/', "");
        Arch::ALL.into_iter().find(|arch| {
            let row = arch.row();
            let platform = row.platform.trim_start_matches("linux/").replace('/', "");
            [row.name, row.debian, row.triple, row.go, row.uname, row.qemu, &platform].contains(&wanted.as_str())
                || (*arch == Arch::Arm64 && wanted == "arm64v8")
        })
    }

    /// The architecture that this program runs on.
    ///
    /// # Errors
    /// An environment error on a machine that is not in the table.
    pub fn host() -> Result<Arch> {
        Arch::find(std::env::consts::ARCH)
            .or(match std::env::consts::ARCH {
                "powerpc64" if cfg!(target_endian = "little") => Some(Arch::Ppc64le),
                _ => None,
            })
            .ok_or_else(|| Error::environment(format!("xbuild does not run on {}", std::env::consts::ARCH)))
    }

    /// Names of all architectures, for messages.
    pub fn names() -> String {
        Arch::ALL.map(Arch::name).join(", ")
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Arch {
    type Err = Error;

    fn from_str(text: &str) -> Result<Arch> {
        Arch::find(text).ok_or_else(|| {
            Error::usage(format!("unknown architecture '{text}'")).hint(format!("there are {}", Arch::names()))
        })
    }
}

impl Serialize for Arch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Arch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Arch, D::Error> {
        from_text(deserializer, "an architecture", |text| {
            Arch::find(text).ok_or_else(|| format!("unknown architecture '{text}', there are {}", Arch::names()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_finds_its_row() {
        for (text, arch) in [
            ("amd64", Arch::Amd64),
            ("x86_64", Arch::Amd64),
            ("linux/arm/v7", Arch::Arm),
            ("armv7", Arch::Arm),
            ("armhf", Arch::Arm),
            ("arm64/v8", Arch::Arm64),
            ("aarch64", Arch::Arm64),
            ("ppc64el", Arch::Ppc64le),
            ("powerpc64le-linux-gnu", Arch::Ppc64le),
            ("S390X", Arch::S390x),
        ] {
            assert_eq!(Arch::find(text), Some(arch), "{text}");
        }
    }

    #[test]
    fn a_path_is_no_architecture() {
        for text in ["../../etc", "", "linux/", "arm/v6", "amd64 "] {
            assert_eq!(Arch::find(text), None, "{text}");
        }
    }
}

//! Whether programs of other architectures can be run: by a registration of the sandbox's own, or the machine's.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::Finding;
use super::finding::{EMULATION, as_root};
use super::trial::{Trial, program};
use crate::domain::{Arch, ElfClass, Endianness, Result, ResultExt};
use crate::engine::native::sandbox::Emulator;

const NAME: &str = "emulation";

pub(super) fn probe(store: &Path, sandbox: &Finding) -> Finding {
    if let Some(finding) = Finding::without(NAME, EMULATION, sandbox) {
        return finding;
    }
    let error = match attempt(store) {
        Ok(arch) => {
            let detail = format!("a sandbox handed a program for {arch} to an emulator that it registered for itself");
            return Finding::works(NAME, EMULATION, detail);
        }
        Err(error) => error,
    };
    let machine: Vec<&str> = Arch::ALL.into_iter().filter(|arch| registered(*arch)).map(Arch::name).collect();
    let install = as_root("apt-get install qemu-user-static binfmt-support");
    if machine.is_empty() {
        Finding::missing(NAME, EMULATION, error.to_string()).mend(install)
    } else {
        let detail = format!("only what this machine has registered: {} ({error})", machine.join(", "));
        Finding::limited(NAME, EMULATION, detail).mend(install)
    }
}

/// Registers a program of this machine's as the emulator of a foreign one, and runs the foreign one.
fn attempt(store: &Path) -> Result<Arch> {
    let arch = if Arch::host()? == Arch::S390x { Arch::Amd64 } else { Arch::S390x };
    let trial = Trial::new(store)?;
    let file = trial.upper().join("foreign");
    let failed = || format!("cannot write {}", file.display());
    fs::write(&file, foreign_program(arch)).or_environment(failed)?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).or_environment(failed)?;
    trial.run(vec![Emulator { arch, program: program()? }], &["/foreign"])?;
    Ok(arch)
}

/// As much of a program as the kernel looks at to tell whose it is.
fn foreign_program(arch: Arch) -> [u8; 64] {
    let identity = arch.elf();
    let class = if identity.class == ElfClass::Elf64 { 2 } else { 1 };
    let (order, kind, machine) = match identity.endianness {
        Endianness::Little => (1, 2_u16.to_le_bytes(), identity.machine.to_le_bytes()),
        Endianness::Big => (2, 2_u16.to_be_bytes(), identity.machine.to_be_bytes()),
    };
    let mut bytes = [0; 64];
    bytes[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', class, order, 1]);
    bytes[16..18].copy_from_slice(&kind);
    bytes[18..20].copy_from_slice(&machine);
    bytes
}

fn registered(arch: Arch) -> bool {
    let path = format!("/proc/sys/fs/binfmt_misc/qemu-{}", arch.qemu());
    // Flag F: the emulator need not be there in the sandbox.
    fs::read_to_string(path).is_ok_and(|text| is_usable(&text))
}

/// Whether a registration, as the kernel shows it, is enabled and has flag F.
fn is_usable(text: &str) -> bool {
    let flags = text.lines().find_map(|line| line.strip_prefix("flags: "));
    text.lines().next() == Some("enabled") && flags.is_some_and(|flags| flags.contains('F'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_program_begins_as_its_architecture_s_do() {
        assert_eq!(&foreign_program(Arch::S390x)[16..20], [0, 2, 0, 22]);
        assert_eq!(&foreign_program(Arch::Arm)[4..6], [1, 1]);
    }

    #[test]
    fn a_registration_must_be_enabled_and_fixed() {
        let text = "enabled\ninterpreter /usr/bin/qemu-arm-static\nflags: POCF\noffset 0\nmagic 7f\n";
        assert!(is_usable(text));
        assert!(!is_usable(&text.replace("enabled", "disabled")));
        assert!(!is_usable(&text.replace("POCF", "POC")));
    }
}

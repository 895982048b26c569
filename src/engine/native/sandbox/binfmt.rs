//! Registers emulators with a `binfmt_misc` that belongs to the sandbox's user namespace.

use std::fs::{self, File};
use std::os::fd::AsRawFd;

use nix::mount::MsFlags;

use super::Emulator;
use super::mounts::outside;
use crate::domain::{Arch, ElfClass, Endianness, Error, Result, ResultExt};

const FOLDER: &str = "/proc/sys/fs/binfmt_misc";

/// Mounts the sandbox's own `binfmt_misc` and registers the emulators. To be called while the machine's files are there.
pub(super) fn register(emulators: &[Emulator]) -> Result<()> {
    if emulators.is_empty() {
        return Ok(());
    }
    nix::mount::mount(Some("binfmt_misc"), FOLDER, Some("binfmt_misc"), MsFlags::empty(), None::<&str>).map_err(
        |cause| {
            Error::environment("this kernel has no binfmt_misc for sandboxes").because(cause).hint(
                "it came with Linux 6.7; on an older one run `apt-get install qemu-user-static` as root, \
                 which registers emulators for the whole machine",
            )
        },
    )?;
    for emulator in emulators {
        let file = File::open(outside(&emulator.program))
            .or_environment(|| format!("cannot open {}", emulator.program.display()))?;
        // By descriptor, because a path may hold the separator of the line.
        let line = registration(emulator.arch, &format!("/proc/self/fd/{}", file.as_raw_fd()));
        fs::write(format!("{FOLDER}/register"), line)
            .or_environment(|| format!("cannot register {}", emulator.program.display()))?;
    }
    Ok(())
}

/// The line that tells the kernel how to know a program of an architecture. Flag `F` opens the emulator at once, so
/// that it need not be visible inside.
pub fn registration(arch: Arch, program: &str) -> Vec<u8> {
    let identity = arch.elf();
    let (magic, mask) = magic(identity.class, identity.endianness, identity.machine);
    let hex = |bytes: [u8; 20]| bytes.map(|byte| format!("\\x{byte:02x}")).concat();
    format!(":qemu-{arch}:M::{}:{}:{}:F", hex(magic), hex(mask), program).into_bytes()
}

/// The first 20 bytes of an executable or shared object, and which of their bits count: all of the identification but
/// the OS ABI byte, and the type up to its lowest bit (2 and 3 are programs).
fn magic(class: ElfClass, endianness: Endianness, machine: u16) -> ([u8; 20], [u8; 20]) {
    let class = if class == ElfClass::Elf64 { 2 } else { 1 };
    let little = endianness == Endianness::Little;
    let half = |value: u16| if little { value.to_le_bytes() } else { value.to_be_bytes() };
    let mut magic = [0; 20];
    magic[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', class, if little { 1 } else { 2 }, 1]);
    magic[16..18].copy_from_slice(&half(2));
    magic[18..20].copy_from_slice(&half(machine));
    let mut mask = [0xff; 20];
    mask[7] = 0;
    mask[16..18].copy_from_slice(&half(0xfffe));
    (magic, mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registrations_are_those_of_qemu_binfmt_conf() {
        let line = String::from_utf8(registration(Arch::S390x, "/q")).unwrap();
        assert_eq!(
            line,
            ":qemu-s390x:M::\\x7f\\x45\\x4c\\x46\\x02\\x02\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\
             \\x00\\x16:\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\x00\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xfe\\xff\
             \\xff:/q:F"
        );
        for arch in Arch::ALL {
            assert!(registration(arch, "/q").len() < 1920, "the kernel's limit on a registration");
        }
    }
}

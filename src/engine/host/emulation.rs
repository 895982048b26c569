//! Whether the machine runs programs of another architecture.

use std::fs;

use crate::domain::{Arch, Error, Result};

/// An error where programs of an architecture would not start here.
///
/// # Errors
/// An environment error that says what to install.
pub(super) fn can_run(arch: Arch) -> Result<()> {
    if arch == Arch::host()? || is_registered(arch) {
        return Ok(());
    }
    let hint = "install qemu-user-static or qemu-user-binfmt, or run a container that registers emulators";
    Err(Error::environment(format!("this machine does not run programs for {arch}"))
        .hint(hint)
        .hint("`--engine native` brings its own emulators"))
}

/// Whether an emulator is registered under one of the usual names, and switched on.
fn is_registered(arch: Arch) -> bool {
    let names = [format!("qemu-{}", arch.qemu()), format!("qemu-{}-static", arch.qemu())];
    names.iter().any(|name| {
        let text = fs::read_to_string(format!("/proc/sys/fs/binfmt_misc/{name}"));
        text.is_ok_and(|text| text.starts_with("enabled"))
    })
}

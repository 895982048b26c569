//! Which engine runs commands when nobody says.

use std::fs;

use crate::docker;
use crate::domain::EngineChoice;

/// The native engine where the kernel allows it, else Docker or Podman where one listens. It costs the reading of a few
/// small files; where even these do not tell, a sandbox's own error does.
pub fn automatic() -> EngineChoice {
    let read = |path: &str| fs::read_to_string(path).ok();
    match sandboxes_are_forbidden(&read) && docker::Endpoint::find(None).is_ok() {
        true => EngineChoice::Docker(None),
        false => EngineChoice::Native,
    }
}

/// Whether this process may surely make no user namespace.
fn sandboxes_are_forbidden(read: &dyn Fn(&str) -> Option<String>) -> bool {
    let is = |path: &str, value: &str| read(path).is_some_and(|text| text.trim() == value);
    if is("/proc/sys/user/max_user_namespaces", "0") {
        return true;
    }
    // CAP_SYS_ADMIN, which only root has; root in a container may lack it.
    let status = read("/proc/self/status").unwrap_or_default();
    let field =
        |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned();
    let capabilities = u64::from_str_radix(&field("CapEff:"), 16).unwrap_or(u64::MAX);
    let administrator = capabilities & (1 << 21) != 0;
    // With filters on system calls, as containers have them, nobody else may.
    let filtered = field("Seccomp:") == "2";
    !administrator
        && (filtered
            || is("/proc/sys/kernel/unprivileged_userns_clone", "0")
            || is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forbidden(files: &[(&str, &str)]) -> bool {
        let files: Vec<(String, String)> = files.iter().map(|(path, text)| ((*path).into(), (*text).into())).collect();
        sandboxes_are_forbidden(&|path| files.iter().find(|(name, _)| name == path).map(|(_, text)| text.clone()))
    }

    #[test]
    fn a_user_needs_the_kernels_leave_and_root_its_capability() {
        let status = |capabilities: &str, seccomp: &str| format!("CapEff:\t{capabilities}\nSeccomp:\t{seccomp}\n");
        let root = status("000001ffffffffff", "0");
        let user = status("0000000000000000", "0");
        let contained = status("00000000a80425fb", "2");
        assert!(!forbidden(&[]));
        assert!(!forbidden(&[("/proc/self/status", &root)]));
        assert!(!forbidden(&[("/proc/self/status", &user)]));
        assert!(forbidden(&[("/proc/self/status", &contained)]));
        assert!(forbidden(&[("/proc/sys/user/max_user_namespaces", "0\n"), ("/proc/self/status", &root)]));
        let apparmor = ("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n");
        assert!(forbidden(&[apparmor, ("/proc/self/status", &user)]));
        assert!(!forbidden(&[apparmor, ("/proc/self/status", &root)]));
    }
}

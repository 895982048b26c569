//! Why a machine refuses sandboxes, from the settings that are known to forbid them.

use std::fs;
use std::path::Path;

use super::finding::as_root;

/// Settings that bear on user namespaces; `None` where the kernel has no such setting.
#[derive(Debug, Default)]
pub(super) struct Settings {
    unprivileged_clone: Option<u64>,
    most_namespaces: Option<u64>,
    apparmor: Option<u64>,
    container: Option<Container>,
    kernel: Option<(u32, u32)>,
    root: bool,
}

/// What xbuild itself runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Container {
    Docker,
    Podman,
    Other,
}

impl Settings {
    pub(super) fn read() -> Settings {
        let number = |name: &str| fs::read_to_string(format!("/proc/sys/{name}")).ok()?.trim().parse().ok();
        Settings {
            unprivileged_clone: number("kernel/unprivileged_userns_clone"),
            most_namespaces: number("user/max_user_namespaces"),
            apparmor: number("kernel/apparmor_restrict_unprivileged_userns"),
            container: container(),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").ok().and_then(|text| kernel_version(&text)),
            root: nix::unistd::Uid::effective().is_root(),
        }
    }

    /// What lifts the restriction, if one is known that would explain a refusal.
    pub(super) fn mend(&self) -> Option<String> {
        let set = |setting: &str| as_root(&format!("sysctl -w {setting}"));
        if self.most_namespaces == Some(0) {
            Some(set("user.max_user_namespaces=15000"))
        } else if self.unprivileged_clone == Some(0) && !self.root {
            Some(set("kernel.unprivileged_userns_clone=1"))
        } else if self.apparmor == Some(1) && !self.root {
            Some(set("kernel.apparmor_restrict_unprivileged_userns=0"))
        } else if let Some(container) = self.container {
            Some(match container {
                Container::Docker => "start the container with `docker run --security-opt seccomp=unconfined \
                     --security-opt apparmor=unconfined --security-opt systempaths=unconfined`"
                    .into(),
                Container::Podman => {
                    "start the container with `podman run --security-opt seccomp=unconfined --security-opt unmask=ALL`"
                        .into()
                }
                Container::Other => "let the container make user namespaces, and do not mask its /proc".into(),
            })
        } else if self.kernel.is_some_and(|version| version < (5, 11)) {
            Some("use Linux 5.11 or newer, the first whose user namespaces may mount overlays".into())
        } else {
            None
        }
    }
}

fn container() -> Option<Container> {
    if Path::new("/run/.containerenv").exists() {
        Some(Container::Podman)
    } else if Path::new("/.dockerenv").exists() {
        Some(Container::Docker)
    } else if std::env::var_os("container").is_some_and(|value| !value.is_empty()) {
        Some(Container::Other)
    } else {
        None
    }
}

/// Major and minor number of a kernel release, as in `6.1.0-18-amd64`.
fn kernel_version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.trim().split(|letter: char| !letter.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_setting_that_forbids_is_the_one_to_change() {
        for (settings, expected) in [
            (Settings { most_namespaces: Some(0), ..Settings::default() }, Some("user.max_user_namespaces")),
            (Settings { unprivileged_clone: Some(0), ..Settings::default() }, Some("unprivileged_userns_clone=1")),
            (Settings { unprivileged_clone: Some(0), root: true, ..Settings::default() }, None),
            (Settings { apparmor: Some(1), ..Settings::default() }, Some("apparmor_restrict_unprivileged_userns=0")),
            (Settings { container: Some(Container::Docker), ..Settings::default() }, Some("systempaths=unconfined")),
            (Settings { container: Some(Container::Podman), ..Settings::default() }, Some("unmask=ALL")),
            (Settings { kernel: Some((5, 10)), ..Settings::default() }, Some("Linux 5.11")),
            (Settings { kernel: Some((6, 18)), most_namespaces: Some(9), ..Settings::default() }, None),
        ] {
            let mend = settings.mend();
            match expected {
                Some(part) => assert!(mend.as_ref().is_some_and(|text| text.contains(part)), "{settings:?}: {mend:?}"),
                None => assert_eq!(mend, None, "{settings:?}"),
            }
        }
    }

    #[test]
    fn kernel_releases_begin_with_two_numbers() {
        assert_eq!(kernel_version("6.1.0-18-amd64\n"), Some((6, 1)));
        assert_eq!(kernel_version("5.15-rc1"), Some((5, 15)));
        assert_eq!(kernel_version("unknown"), None);
    }
}

//! What an engine says of itself.

use std::fmt;

use serde::Deserialize;

use crate::domain::Arch;

/// Whose engine it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Product {
    /// Docker, or Moby under another name.
    Docker,
    /// Podman's service.
    Podman,
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Product::Docker => "Docker",
            Product::Podman => "Podman",
        })
    }
}

/// What an engine says at once; the rest takes Podman a second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    /// Whose it is.
    pub product: Product,
    /// Its version, as in `28.5.2`.
    pub version: String,
    /// The version of the API that would be spoken, as in `1.51`.
    pub api: String,
}

/// What an engine says of itself.
#[derive(Debug, Clone)]
pub struct EngineFacts {
    /// Tells engines apart.
    pub id: String,
    /// Whose it is.
    pub product: Product,
    /// Its version, as in `28.5.2`.
    pub version: String,
    /// The version of the API that is spoken, as in `1.51`.
    pub api: String,
    /// The architecture of its machine.
    pub arch: Arch,
    /// The operating system of its machine, as in `Debian GNU/Linux 12 (bookworm)`.
    pub os: String,
    /// Its processors.
    pub processors: usize,
    /// Whether it runs without root.
    pub rootless: bool,
    /// Whether root in its containers is somebody else outside, though it runs with root itself.
    pub userns: bool,
    /// Whether SELinux decides what its containers may read.
    pub selinux: bool,
    /// The version of its kernel.
    pub kernel: String,
}

/// A version of the API, as in `1.41`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ApiVersion(pub(super) u32, pub(super) u32);

impl ApiVersion {
    /// The oldest that has all that xbuild needs: Docker 20.10's.
    pub(super) const OLDEST: ApiVersion = ApiVersion(1, 41);

    /// The newest that xbuild was tried with: Docker 28's.
    pub(super) const NEWEST: ApiVersion = ApiVersion(1, 51);

    pub(super) fn parse(text: &str) -> Option<ApiVersion> {
        let (major, minor) = text.trim().split_once('.')?;
        Some(ApiVersion(major.parse().ok()?, minor.parse().ok()?))
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// The parts of `GET /version` that matter.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Version {
    #[serde(default)]
    pub(super) version: String,
    #[serde(default)]
    pub(super) api_version: String,
    #[serde(default, rename = "MinAPIVersion")]
    pub(super) min_api_version: String,
    #[serde(default)]
    pub(super) components: Vec<Component>,
    #[serde(default)]
    pub(super) arch: String,
    #[serde(default)]
    pub(super) kernel_version: String,
}

/// A part of an engine.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Component {
    #[serde(default)]
    pub(super) name: String,
}

impl Version {
    /// Whose engine it is.
    pub(super) fn product(&self) -> Product {
        match self.components.iter().any(|component| component.name.starts_with("Podman")) {
            true => Product::Podman,
            false => Product::Docker,
        }
    }
}

/// The parts of `GET /info` that matter.
#[derive(Debug, Deserialize)]
pub(super) struct Info {
    #[serde(default, rename = "ID")]
    pub(super) id: String,
    #[serde(default, rename = "OperatingSystem")]
    pub(super) operating_system: String,
    #[serde(default, rename = "NCPU")]
    pub(super) processors: usize,
    #[serde(default, rename = "Architecture")]
    pub(super) architecture: String,
    /// As in `name=seccomp,profile=default`.
    #[serde(default, rename = "SecurityOptions")]
    pub(super) security_options: Option<Vec<String>>,
    #[serde(default, rename = "Rootless")]
    pub(super) rootless: bool,
    #[serde(default, rename = "Name")]
    pub(super) name: String,
    #[serde(default, rename = "DockerRootDir")]
    pub(super) root: String,
}

impl Info {
    /// Whether one of the security options has this name.
    pub(super) fn secured_by(&self, name: &str) -> bool {
        let options = self.security_options.as_deref().unwrap_or_default();
        options.iter().any(|option| {
            option.split(',').any(|part| part == name || part.strip_prefix("name=").is_some_and(|named| named == name))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers_and_not_text() {
        let version = |text: &str| ApiVersion::parse(text);
        assert!(version("1.9") < version("1.41"));
        for text in ["", "1", "1.", "1.x", "v1.41", "1.41.2"] {
            assert_eq!(version(text), None, "{text}");
        }
    }

    #[test]
    fn security_options_are_found_in_both_spellings() {
        let info: Info =
            serde_json::from_str(r#"{"SecurityOptions":["name=seccomp,profile=default","name=userns","rootless"]}"#)
                .unwrap();
        assert!(info.secured_by("userns") && info.secured_by("rootless") && !info.secured_by("selinux"));
        let info: Info = serde_json::from_str(r#"{"SecurityOptions":null}"#).unwrap();
        assert!(!info.secured_by("userns"));
    }

    #[test]
    fn podman_is_told_by_its_components() {
        let version: Version = serde_json::from_str(
            r#"{"Components":[{"Name":"Podman Engine"},{"Name":"Conmon"}],"Version":"4.3.1","ApiVersion":"1.41"}"#,
        )
        .unwrap();
        assert_eq!(version.product(), Product::Podman);
    }
}

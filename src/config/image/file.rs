//! An image as typed: in the project's file, or in a `build.yml` beside its Dockerfile.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::linuxkit::Depends;
use super::naming::NamingFile;
use super::per_arch::PerArch;
use crate::config::map;
use crate::domain::Arch;

/// One image. Paths are relative to the file that says so.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct ImageFile {
    /// Its name without a tag; `<project>/<image>` when absent.
    pub(super) name: Option<String>,
    /// Its tags; `latest` when absent.
    #[serde(default)]
    pub(super) tags: Vec<String>,
    /// What the images of its architectures are called.
    #[serde(default)]
    pub(super) naming: NamingFile,
    /// The Dockerfile.
    pub(super) dockerfile: Option<String>,
    /// A template of the Dockerfile.
    pub(super) template: Option<String>,
    /// Values for placeholders in the template.
    #[serde(default, deserialize_with = "map::unique_option")]
    pub(super) substitute: Option<BTreeMap<String, PerArch>>,
    /// Names for the template's language.
    #[serde(default, deserialize_with = "map::unique_option")]
    pub(super) vars: Option<BTreeMap<String, PerArch>>,
    /// The folder of the build context; that of the Dockerfile when absent.
    pub(super) context: Option<String>,
    /// The stage to build; the last one when absent.
    pub(super) target: Option<String>,
    /// Names in the context of programs (`binaries/<name>`), of the emulator (`emulator`), and of files (`./path`).
    #[serde(default, deserialize_with = "map::unique")]
    pub(super) files: BTreeMap<String, String>,
    /// Values of ARG.
    #[serde(default, deserialize_with = "map::unique")]
    pub(super) args: BTreeMap<String, PerArch>,
    /// Labels.
    #[serde(default, deserialize_with = "map::unique")]
    pub(super) labels: BTreeMap<String, String>,
    /// Files of structure tests; templates, so that an architecture may have its own.
    #[serde(default)]
    pub(super) tests: Vec<String>,
    /// Not all of the project's architectures.
    #[serde(default)]
    pub(super) arches: Vec<Arch>,
    /// Whether RUN may use the network; yes when absent, as with Docker.
    pub(super) network: Option<bool>,
    /// Whether every step runs each time.
    #[serde(default)]
    pub(super) disable_cache: bool,

    /// LinuxKit: the last part of the name.
    pub(super) image: Option<String>,
    /// LinuxKit: what stands before it.
    pub(super) org: Option<String>,
    /// LinuxKit: the only tag.
    pub(super) tag: Option<String>,
    /// LinuxKit: values of ARG.
    #[serde(default, rename = "buildArgs")]
    pub(super) build_args: Vec<String>,
    /// LinuxKit: files from elsewhere.
    #[serde(default)]
    pub(super) extra_sources: Vec<String>,
    /// LinuxKit: where the sources are kept; a label.
    pub(super) gitrepo: Option<String>,
    /// LinuxKit: how a service is run; a label.
    pub(super) config: Option<serde_json::Value>,
    /// LinuxKit: images in the build context.
    #[expect(dead_code, reason = "that it is there is the error")]
    depends: Option<Depends>,
}

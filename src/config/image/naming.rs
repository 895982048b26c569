//! What the images of single architectures are called.

use serde::{Deserialize, Serialize};

use crate::domain::{PlainName, SuffixStyle};

/// `naming:` of a project and of an image, as typed.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", expecting = "a map with `style`, `plain` or `content-tag`")]
pub(in crate::config) struct NamingFile {
    /// Where the architecture stands.
    style: Option<SuffixStyle>,
    /// Who has the name without an architecture.
    plain: Option<PlainName>,
    /// Whether there is a tag for what is in the image.
    content_tag: Option<bool>,
}

/// What the images of single architectures are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Naming {
    /// Where the architecture stands.
    pub style: SuffixStyle,
    /// Who has the name without an architecture.
    pub plain: PlainName,
    /// Whether there is a tag for what is in the image.
    pub content_tag: bool,
}

impl NamingFile {
    /// What an image says, else what the project says, else `weave-arm64:1.0`, and the plain name for the index.
    pub(super) fn resolve(self, project: NamingFile) -> Naming {
        Naming {
            style: self.style.or(project.style).unwrap_or(SuffixStyle::NameSuffix),
            plain: self.plain.or(project.plain).unwrap_or(PlainName::Index),
            content_tag: self.content_tag.or(project.content_tag).unwrap_or(false),
        }
    }
}

//! Where an upstream archive comes from: several places, one digest.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

use crate::domain::{Digest, without_password};

/// An archive by its digest, and where it may be had, in order of preference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceArchive {
    /// Every place must give exactly these bytes.
    pub sha256: Digest,
    /// Tried one after another.
    pub sources: Vec<SourceOrigin>,
}

/// One place to download from. YAML: `{ url: "https://..." }` or `{ debian: "pool/main/..." }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, try_from = "Typed")]
pub enum SourceOrigin {
    /// A whole address. Whoever is told of it, or gets to see a plan, is not told a password in it.
    Url(#[serde(serialize_with = "told")] String),
    /// A path on whatever Debian mirror the machine uses.
    Debian(String),
}

/// As it is typed; an enum's own form in YAML would be a tag.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Typed {
    url: Option<String>,
    debian: Option<String>,
}

impl TryFrom<Typed> for SourceOrigin {
    type Error = String;

    fn try_from(typed: Typed) -> Result<Self, String> {
        match (typed.url, typed.debian) {
            (Some(url), None) if url.starts_with("https://") || url.starts_with("http://") => Ok(Self::Url(url)),
            (Some(url), None) => Err(format!("'{}' is neither http:// nor https://", without_password(&url))),
            (None, Some(path)) if path.starts_with("pool/") && !path.contains("..") => Ok(Self::Debian(path)),
            (None, Some(path)) => Err(format!("'{path}' is not a path below a mirror's pool/")),
            _ => Err("a source is either 'url' or 'debian'".into()),
        }
    }
}

fn told<S: Serializer>(address: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&without_password(address))
}

impl fmt::Display for SourceOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SourceOrigin::Url(url) => f.write_str(&without_password(url)),
            SourceOrigin::Debian(path) => write!(f, "the Debian mirror's {path}"),
        }
    }
}

//! Image names, and the names of the images of single architectures.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};

use super::{Arch, Error, Result};

/// A name such as `registry:5000/example/router:1.0`: at most 255 bytes; parts of lower-case letters and digits with
/// `.`, `_`, `__` or dashes between them; a tag of at most 128 letters, digits, `_`, `.`, `-`, which is `latest`
/// where none is given.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageName {
    repository: String,
    tag: String,
}

/// How the image of one architecture is told from the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SuffixStyle {
    /// `weave-arm64:1.0`.
    NameSuffix,
    /// `go-build:1.0-arm64`.
    TagSuffix,
    /// `weavearm64:1.0`.
    BareSuffix,
}

/// Who owns the name without a suffix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PlainName {
    /// The index of all architectures.
    Index,
    /// The amd64 image, beside its name with a suffix.
    Amd64,
}

fn legal_part(part: &str) -> bool {
    let separators = part.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit()).filter(|text| !text.is_empty());
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    part.starts_with(edge)
        && part.ends_with(edge)
        && separators.into_iter().all(|text| matches!(text, "." | "_" | "__") || text.bytes().all(|b| b == b'-'))
}

fn legal_host(host: &str) -> bool {
    let (name, port) = host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port)));
    let label = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(label)
        && port.is_none_or(|port| !port.is_empty() && port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit()))
}

fn legal_tag(tag: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    tag.len() <= 128 && tag.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') && tag.chars().all(inner)
}

impl FromStr for ImageName {
    type Err = Error;

    fn from_str(text: &str) -> Result<ImageName> {
        let slash = text.rfind('/').map_or(0, |slash| slash + 1);
        let (repository, tag) = match text[slash..].find(':') {
            Some(colon) => (&text[..slash + colon], &text[slash + colon + 1..]),
            None => (text, "latest"),
        };
        let mut parts: Vec<&str> = repository.split('/').collect();
        let first = parts[0];
        let host = parts.len() > 1 && (first.contains(['.', ':']) || first == "localhost");
        let legal_host = !host || legal_host(parts.remove(0));
        if legal_host && parts.iter().all(|part| legal_part(part)) && legal_tag(tag) && repository.len() <= 255 {
            return Ok(ImageName { repository: repository.to_owned(), tag: tag.to_owned() });
        }
        Err(Error::usage(format!("'{text}' is not an image name"))
            .hint("as in 'example/router:1.0': lower-case letters, digits and separators, then a tag"))
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.repository, self.tag)
    }
}

impl Serialize for ImageName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl ImageName {
    /// The name without its tag.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// The name of one architecture's image.
    pub fn for_arch(&self, arch: Arch, style: SuffixStyle) -> ImageName {
        let ImageName { repository, tag } = self;
        let (repository, tag) = match style {
            SuffixStyle::NameSuffix => (format!("{repository}-{arch}"), tag.clone()),
            SuffixStyle::TagSuffix => (repository.clone(), format!("{tag}-{arch}")),
            SuffixStyle::BareSuffix => (format!("{repository}{arch}"), tag.clone()),
        };
        ImageName { repository, tag }
    }

    /// All names of one architecture's image.
    pub fn all_for_arch(&self, arch: Arch, style: SuffixStyle, plain: PlainName) -> Vec<ImageName> {
        let mut names = vec![self.for_arch(arch, style)];
        if arch == Arch::Amd64 && plain == PlainName::Amd64 {
            names.push(self.clone());
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suffix_stands_where_the_style_says() {
        for (name, arch, style, wanted) in [
            ("example/weave:1.0", Arch::Arm64, SuffixStyle::NameSuffix, "example/weave-arm64:1.0"),
            ("example/go-build:1.0", Arch::Arm64, SuffixStyle::TagSuffix, "example/go-build:1.0-arm64"),
            ("example/weave:1.0", Arch::Arm64, SuffixStyle::BareSuffix, "example/weavearm64:1.0"),
            ("localhost:5000/weave", Arch::S390x, SuffixStyle::NameSuffix, "localhost:5000/weave-s390x:latest"),
            ("weave", Arch::Amd64, SuffixStyle::TagSuffix, "weave:latest-amd64"),
        ] {
            assert_eq!(name.parse::<ImageName>().unwrap().for_arch(arch, style).to_string(), wanted);
        }
    }

    #[test]
    fn only_amd64_may_own_the_plain_name() {
        let name: ImageName = "weave:1.0".parse().unwrap();
        let names = |arch, plain| {
            let names = name.all_for_arch(arch, SuffixStyle::NameSuffix, plain);
            names.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(names(Arch::Amd64, PlainName::Amd64), ["weave-amd64:1.0", "weave:1.0"]);
        assert_eq!(names(Arch::Amd64, PlainName::Index), ["weave-amd64:1.0"]);
        assert_eq!(names(Arch::Arm, PlainName::Amd64), ["weave-arm:1.0"]);
    }

    #[test]
    fn other_texts_are_no_image_names() {
        for text in
            ["", "A", "a/", "/a", "a//b", "a:", "a:x y", "a@sha256:0", "../a", "a..b", "-a", "x:99999999/a", "a\n"]
        {
            assert!(text.parse::<ImageName>().is_err(), "{text}");
        }
        for text in ["a", "a/b.c/d__e--f:V1", "localhost/a", "reg.example:5000/a:1", "LOCAL.host/a"] {
            assert!(text.parse::<ImageName>().is_ok(), "{text}");
        }
    }
}

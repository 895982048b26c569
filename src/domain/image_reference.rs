//! Names of images at registries, as FROM has them.

use std::fmt;
use std::str::FromStr;

use super::{Digest, Error, Result};

/// Where an image without a registry in its name is.
const DEFAULT_REGISTRY: &str = "docker.io";

/// A name such as `debian:trixie-slim`, `registry:5000/a/b:1.0` or `a/b@sha256:...`, written out in full: without a
/// registry it is Docker Hub's, and there `library/` when it is one word; without tag and digest the tag is `latest`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageReference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl ImageReference {
    /// Host and port, as in `docker.io` or `localhost:5000`.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Whether the registry is on the loopback interface, by its address or as `localhost`: no other name counts, for
    /// anybody may give any name that address.
    pub fn is_on_this_machine(&self) -> bool {
        let host = match self.registry.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => host,
            _ => &self.registry,
        };
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }

    /// As in `library/debian`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag, where there is one.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, where there is one; it wins over the tag.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }
}

fn legal_repository(text: &str) -> bool {
    let edge = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let legal_part = |part: &str| {
        let bytes = part.as_bytes();
        let separators = part.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
        let legal_separator =
            |text: &str| matches!(text, "" | "." | "_" | "__") || text.bytes().all(|byte| byte == b'-');
        bytes.first().copied().is_some_and(edge)
            && bytes.last().copied().is_some_and(edge)
            && separators.into_iter().all(legal_separator)
    };
    text.len() <= 255 && text.split('/').all(legal_part)
}

fn legal_registry(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let legal_host = match address {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host.split('.').all(|label| {
            let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
            !label.is_empty() && !label.starts_with('-') && !label.ends_with('-') && label.bytes().all(inner)
        }),
    };
    legal_host && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|number| number.to_string() == port))
}

fn legal_tag(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    text.len() <= 128
        && text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_')
        && text.bytes().all(inner)
}

impl FromStr for ImageReference {
    type Err = Error;

    fn from_str(text: &str) -> Result<ImageReference> {
        let illegal = |rule: &str| {
            Error::usage(format!("'{}' is not the name of an image: {rule}", text.escape_debug()))
                .hint("as in 'debian:trixie-slim', 'registry.example/team/image:1.0' or 'image@sha256:<64 digits>'")
        };
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => {
                let digest = digest.strip_prefix("sha256:").and_then(|_| digest.parse().ok());
                (name, Some(digest.ok_or_else(|| illegal("its digest is not sha256:<64 digits>"))?))
            }
            None => (text, None),
        };
        let slash = name.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match name[slash..].find(':') {
            Some(colon) => (&name[..slash + colon], Some(&name[slash + colon + 1..])),
            None => (name, None),
        };
        let (registry, repository) = match name.split_once('/') {
            Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (first, rest),
            _ => (DEFAULT_REGISTRY, name),
        };
        let registry = if registry == "index.docker.io" { DEFAULT_REGISTRY } else { registry };
        if !legal_registry(registry) {
            return Err(illegal("its registry is no host"));
        }
        if !legal_repository(repository) {
            return Err(illegal("a repository has lower-case letters and digits, with '.', '_', '-' and '/' between"));
        }
        if tag.is_some_and(|tag| !legal_tag(tag)) {
            return Err(illegal("a tag has at most 128 letters, digits, '_', '.' and '-'"));
        }
        let repository = match registry == DEFAULT_REGISTRY && !repository.contains('/') {
            true => format!("library/{repository}"),
            false => repository.to_owned(),
        };
        let tag = match (tag, digest) {
            (None, None) => Some("latest".to_owned()),
            (tag, _) => tag.map(str::to_owned),
        };
        Ok(ImageReference { registry: registry.to_owned(), repository, tag, digest })
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_out_in_full() {
        let digest = Digest::of("x");
        for (text, full) in [
            ("debian", "docker.io/library/debian:latest".to_owned()),
            ("debian:trixie-slim", "docker.io/library/debian:trixie-slim".to_owned()),
            ("docker.io/debian:1", "docker.io/library/debian:1".to_owned()),
            ("index.docker.io/a/b", "docker.io/a/b:latest".to_owned()),
            ("localhost/a", "localhost/a:latest".to_owned()),
            ("127.0.0.1:5000/a/b__c:V1", "127.0.0.1:5000/a/b__c:V1".to_owned()),
            ("[::1]:5000/a", "[::1]:5000/a:latest".to_owned()),
            (&format!("debian@{digest}"), format!("docker.io/library/debian@{digest}")),
            (&format!("r.example/a:1@{digest}"), format!("r.example/a:1@{digest}")),
        ] {
            assert_eq!(text.parse::<ImageReference>().unwrap().to_string(), full, "{text}");
        }
    }

    #[test]
    fn only_the_loopback_interface_is_this_machine() {
        for (registry, expected) in [
            ("localhost", true),
            ("localhost:5000", true),
            ("127.0.0.1:5000", true),
            ("127.1.2.3:5000", true),
            ("[::1]:5000", true),
            ("localhost.evil.example", false),
            ("registry.local", false),
            ("127.0.0.1.evil.example", false),
            ("192.168.0.1:5000", false),
            ("[2001:db8::1]:5000", false),
        ] {
            let reference: ImageReference = format!("{registry}/a").parse().unwrap();
            assert_eq!(reference.is_on_this_machine(), expected, "{registry}");
        }
    }

    #[test]
    fn other_texts_are_no_references() {
        for text in [
            "",
            "A",
            "a/",
            "/a",
            "a//b",
            "a:",
            "a:x y",
            "a@sha256:0",
            "a@md5:1",
            "../a",
            "a..b",
            "-a",
            "a\n",
            "r.example/",
            "r.example:99999/a",
            "r.example:05/a",
            "-r.example/a",
            "r.example?x/a",
            "u:p@r.example/a",
            "r.example/a@",
        ] {
            assert!(text.parse::<ImageReference>().is_err(), "{text}");
        }
    }
}

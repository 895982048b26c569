//! Keys of LinuxKit's `build.yml` that say the same as others, or what is not done here.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};

use super::per_arch::PerArch;
use crate::domain::{Error, Result};

/// The label that LinuxKit reads how a service is to be run from.
const CONFIG_LABEL: &str = "org.mobyproject.config";

/// The label for the place of the sources.
const SOURCE_LABEL: &str = "org.opencontainers.image.source";

/// `{{.Hash}}`: a tag for what is in the image.
pub(super) fn is_content_tag(tag: &str) -> bool {
    tag.split_whitespace().collect::<String>() == "{{.Hash}}"
}

/// `buildArgs: [NAME=value]`.
pub(super) fn arguments(list: Vec<String>) -> Result<BTreeMap<String, PerArch>> {
    let argument = |text: String| {
        let wrong = |what: &str| Error::usage(format!("buildArgs: '{text}' {what}"));
        let (name, value) = text.split_once('=').ok_or_else(|| wrong("is not of the form NAME=value"))?;
        if value.starts_with("@lkt:") {
            return Err(wrong("asks LinuxKit for another package's name")
                .hint("FROM takes another image of the project by its key, or by its name"));
        }
        Ok((name.to_owned(), value.into()))
    };
    list.into_iter().map(argument).collect()
}

/// `extra-sources: [src:dst]`, as names in the context and paths.
pub(super) fn extra_sources(list: Vec<String>) -> Result<BTreeMap<String, String>> {
    let source = |text: String| match text.split(':').collect::<Vec<_>>()[..] {
        [from, to] if !from.starts_with('/') => Ok((to.trim_start_matches('/').to_owned(), format!("./{from}"))),
        _ => Err(Error::usage(format!("extra-sources: '{text}' is not of the form source:destination"))
            .hint("the source is a path relative to the build.yml, the destination one in the build context")),
    };
    list.into_iter().map(source).collect()
}

/// Labels that the keys `config` and `gitrepo` stand for.
pub(super) fn labels(config: Option<&serde_json::Value>, repository: Option<String>) -> BTreeMap<String, String> {
    let config = config.map(|config| (CONFIG_LABEL.to_owned(), config.to_string()));
    config.into_iter().chain(repository.map(|place| (SOURCE_LABEL.to_owned(), place))).collect()
}

/// A key whose meaning no image can have here.
#[derive(Debug, Clone)]
pub(super) struct Depends;

impl<'de> Deserialize<'de> for Depends {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Depends, D::Error> {
        struct Refuse;

        impl<'de> Visitor<'de> for Refuse {
            type Value = Depends;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("no 'depends'")
            }

            fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Depends, A::Error> {
                Err(A::Error::custom(
                    "'depends' is not supported: a build context has no images as files; COPY --from=IMAGE takes files out of one",
                ))
            }
        }

        // As a visitor, so that the error has the place of the value.
        deserializer.deserialize_any(Refuse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read() {
        let sources = extra_sources(vec!["../shared:/vendor".into()]).unwrap();
        assert_eq!(sources, BTreeMap::from([("vendor".to_owned(), "./../shared".to_owned())]));
        assert_eq!(arguments(vec!["A=b=c".into()]).unwrap()["A"], "b=c".into());
        for text in ["a", "a:b:c", "/a:/b"] {
            assert!(extra_sources(vec![text.into()]).is_err(), "{text}");
        }
        for text in ["A", "A=@lkt:pkg:../x"] {
            assert!(arguments(vec![text.into()]).is_err(), "{text}");
        }
        assert!(is_content_tag("{{ .Hash }}") && !is_content_tag("{{.Hash}}-x"));
    }
}

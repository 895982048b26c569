//! Values that may differ between architectures.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};

use crate::config::map;
use crate::domain::{Arch, Error, Result};

/// One text for every architecture, or a map from architectures, and `default` for the others.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PerArch {
    values: BTreeMap<Arch, String>,
    default: Option<String>,
}

impl PerArch {
    /// The text for an architecture.
    pub fn get(&self, arch: Arch) -> Option<&str> {
        self.values.get(&arch).or(self.default.as_ref()).map(String::as_str)
    }

    /// Objects to architectures that have no value; `what` names it.
    pub(super) fn check(&self, what: &str, arches: &[Arch]) -> Result<()> {
        match arches.iter().find(|arch| self.get(**arch).is_none()) {
            None => Ok(()),
            Some(arch) => {
                Err(Error::usage(format!("{what} has no value for {arch}")).hint("`default:` is the value of the rest"))
            }
        }
    }
}

impl From<&str> for PerArch {
    fn from(text: &str) -> PerArch {
        PerArch { values: BTreeMap::new(), default: Some(text.to_owned()) }
    }
}

impl<'de> Deserialize<'de> for PerArch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<PerArch, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = PerArch;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, or a map from architectures to texts")
            }

            fn visit_str<E>(self, text: &str) -> Result<PerArch, E> {
                Ok(text.into())
            }

            fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<PerArch, A::Error> {
                let map: BTreeMap<String, String> = map::unique(MapAccessDeserializer::new(access))?;
                let mut found = PerArch::default();
                for (name, value) in map {
                    if name == "default" {
                        found.default = Some(value);
                        continue;
                    }
                    let Some(arch) = Arch::find(&name) else {
                        let known = format!("there are {}, and default", Arch::names());
                        return Err(A::Error::custom(format!("unknown architecture '{name}', {known}")));
                    };
                    if found.values.insert(arch, value).is_some() {
                        return Err(A::Error::custom(format!("'{arch}' stands twice")));
                    }
                }
                Ok(found)
            }
        }

        deserializer.deserialize_any(Either)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<PerArch> {
        crate::config::yaml::parse("x.yaml", text)
    }

    #[test]
    fn a_text_is_for_all_and_a_map_for_some() {
        let all = parse("a").unwrap();
        assert!(Arch::ALL.iter().all(|arch| all.get(*arch) == Some("a")));
        let some = parse("{ amd64: '', linux/arm/v7: b }").unwrap();
        assert_eq!((some.get(Arch::Amd64), some.get(Arch::Arm), some.get(Arch::S390x)), (Some(""), Some("b"), None));
        assert!(some.check("x", &[Arch::Amd64, Arch::Arm]).is_ok());
        let error = some.check("args: X", &[Arch::Amd64, Arch::S390x]).unwrap_err();
        assert_eq!(error.to_string(), "args: X has no value for s390x");
        assert_eq!(parse("{ amd64: a, default: b }").unwrap().get(Arch::S390x), Some("b"));
    }

    #[test]
    fn other_values_are_refused_with_their_place() {
        for text in
            ["{ sparc: a }", "{ amd64: a, x86_64: b }", "[a]", "1", "", "{ amd64: [a] }", "{ default: a, default: b }"]
        {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.starts_with("x.yaml:1:") || text.is_empty(), "{text}: {error}");
        }
    }
}

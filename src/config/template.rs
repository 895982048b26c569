//! Expands `{{ name }}` in values.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use minijinja::{Environment, UndefinedBehavior, Value};

use serde::Serialize;

use super::yaml::nearest;
use crate::domain::{Arch, Error, Result, ResultExt};

/// Filters and tests of templates: made once, for a project has hundreds of templates.
static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment
});

/// The names that templates can use.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(transparent)]
pub struct Variables {
    values: BTreeMap<String, Value>,
    /// Names that are known, but have no value here, with the reason.
    #[serde(skip)]
    missing: BTreeMap<String, String>,
}

impl Variables {
    /// `{{ arch.name }}` and the other names of an architecture; `{{ arch.suffix }}` is nothing for amd64.
    pub fn of_arch(arch: Arch) -> Variables {
        Variables::default().with_arch(arch)
    }

    /// The same with an architecture's names.
    pub fn with_arch(mut self, arch: Arch) -> Variables {
        let names = BTreeMap::from([
            ("name", arch.name().to_owned()),
            ("suffix", if arch == Arch::Amd64 { String::new() } else { format!("-{arch}") }),
            ("debian", arch.debian().to_owned()),
            ("triple", arch.triple().to_owned()),
            ("package", arch.package_triple()),
            ("go", arch.go().to_owned()),
            ("platform", arch.platform().to_owned()),
            ("qemu", arch.qemu().to_owned()),
        ]);
        self.values.insert("arch".into(), Value::from_pairs(names));
        self
    }

    /// Whether a name has a value.
    pub fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// Gives a name a value.
    pub fn set(&mut self, name: &str, value: &str) {
        self.missing.remove(name);
        self.values.insert(name.to_owned(), Value::from(value));
    }

    /// Says why a name has no value; an error only for who uses it.
    pub fn set_missing(&mut self, name: &str, reason: &str) {
        self.missing.insert(name.to_owned(), reason.to_owned());
    }

    /// All names that may have a value, sorted.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.values.keys().chain(self.missing.keys()).cloned().collect();
        names.sort();
        names
    }

    /// What is wrong with a name that a template uses; none if nothing is.
    pub(super) fn unknown(&self, name: &str) -> Option<Error> {
        if self.has(name) {
            return None;
        }
        if let Some(reason) = self.missing.get(name) {
            let error = Error::usage(format!("'{name}' has no value: {reason}"));
            return Some(error.hint(format!("give one with --set {name}=VALUE")));
        }
        let known = self.names();
        let error = Error::usage(format!("there is no variable '{name}'"));
        Some(match nearest(name, known.iter().map(String::as_str)) {
            Some(near) => error.hint(format!("did you mean '{near}'?")),
            None => error.hint(format!("there are {}", known.join(", "))),
        })
    }

    pub(super) fn values(&self) -> &BTreeMap<String, Value> {
        &self.values
    }

    /// The text with its templates expanded.
    ///
    /// # Errors
    /// A usage error for a template that is wrong, or uses a name that has no value.
    pub fn expand(&self, text: &str) -> Result<String> {
        if !text.contains("{{") && !text.contains("{%") && !text.contains("{#") {
            return Ok(text.to_owned());
        }
        let failed = || format!("cannot expand '{}'", text.trim_end());
        let template = ENVIRONMENT.template_from_str(text).or_usage(failed)?;
        let unknown: Vec<String> =
            template.undeclared_variables(false).into_iter().filter(|name| !self.values.contains_key(name)).collect();
        if let Some(error) = unknown.first().and_then(|name| self.unknown(name)) {
            return Err(error).context(failed);
        }
        template.render(&self.values).or_usage(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_expand_and_unknown_ones_are_errors() {
        let mut variables = Variables::of_arch(Arch::Amd64);
        variables.set("account", "example");
        variables.set_missing("version", "not a git repository");
        assert_eq!(variables.expand("{{ account }}/x-{{ arch.package }}").unwrap(), "example/x-x86-64-linux-gnu");
        assert_eq!(variables.expand("{{ acount }}").unwrap_err().hints(), ["did you mean 'account'?"]);
        let error = variables.expand("{{ version }}").unwrap_err();
        assert!(error.to_string().contains("not a git repository"), "{error}");
        assert!(variables.expand("{{ arch.nam }}").is_err());
        assert!(variables.expand("{{").is_err());
    }
}

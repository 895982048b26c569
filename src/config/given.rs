//! The project's variables: which there may be, and what the environment and the command line make of them.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::Variables;
use crate::domain::{Error, Name, Result, ResultExt};

/// What stands before a variable's name in the environment.
const PREFIX: &str = "XBUILD_";

/// Names whose variables in the environment are xbuild's own.
const OWN: [&str; 4] = ["store", "engine", "builders", "debian_mirror"];

/// Names that every project has, with values of git unless somebody says otherwise.
const OF_GIT: [&str; 2] = ["version", "revision"];

/// The variables that a project declares, with their values in its file.
///
/// # Errors
/// A usage error for a name that templates cannot use, or that means something else.
pub(super) fn declared(vars: &BTreeMap<Name, String>) -> Result<Variables> {
    let mut variables = Variables::default();
    for (name, value) in vars {
        let name = name.as_str();
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if !name.bytes().all(legal) || name.starts_with(|first: char| first.is_ascii_digit()) {
            let text = format!("vars: templates cannot use the name '{name}'");
            return Err(Error::usage(text).hint("letters, digits and '_' make a name, and no digit begins it"));
        }
        if name == "arch" {
            return Err(Error::usage("vars: 'arch' is taken: templates have the architecture's names there"));
        }
        if OWN.contains(&name.to_lowercase().as_str()) {
            let text = format!("vars: '{name}' is taken: {} is a setting of xbuild itself", in_environment(name));
            return Err(Error::usage(text));
        }
        variables.set(name, value);
    }
    for name in OF_GIT {
        if !variables.has(name) {
            variables.set_missing(name, "git does not tell");
        }
    }
    Ok(variables)
}

/// The same variables as the environment has them, and then as the command line does.
///
/// # Errors
/// A usage error for a variable in the environment that is no text, and for one of the command line that is not declared.
pub(super) fn given(
    declared: Variables,
    environment: &BTreeMap<OsString, OsString>,
    set: &BTreeMap<String, String>,
) -> Result<Variables> {
    let mut variables = declared;
    for name in variables.names() {
        let outside = in_environment(&name);
        if let Some(value) = environment.get(&OsString::from(&outside)) {
            let text = value.to_str().ok_or_else(|| {
                Error::usage(format!("the variable {outside} of the environment is not UTF-8"))
                    .hint(format!("it gives the project's variable '{name}' its value"))
            })?;
            variables.set(&name, text);
        }
    }
    for (name, value) in set {
        let known = OF_GIT.contains(&name.as_str());
        if let Some(error) = variables.unknown(name).filter(|_| !known) {
            return Err(error).context(|| format!("--set {name}"));
        }
        variables.set(name, value);
    }
    Ok(variables)
}

/// What a variable is called in the environment.
fn in_environment(name: &str) -> String {
    format!("{PREFIX}{}", name.to_uppercase())
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    fn project(names: &[&str]) -> Result<Variables> {
        declared(&names.iter().map(|name| (name.parse().unwrap(), "file".to_owned())).collect())
    }

    fn pairs<T: From<String> + Ord>(pairs: &[(&str, &str)]) -> BTreeMap<T, T> {
        pairs.iter().map(|(name, value)| (T::from((*name).to_owned()), T::from((*value).to_owned()))).collect()
    }

    #[test]
    fn the_command_line_has_the_last_word_and_the_file_the_first() {
        let outside =
            pairs(&[("XBUILD_A", "outside"), ("XBUILD_B", "outside"), ("XBUILD_VERSION", "1"), ("XBUILD_D", "x")]);
        let variables = given(project(&["a", "b", "c"]).unwrap(), &outside, &pairs(&[("a", "set")])).unwrap();
        assert_eq!(variables.expand("{{ a }} {{ b }} {{ c }} {{ version }}").unwrap(), "set outside file 1");
        assert!(!variables.has("d") && !variables.has("revision"));
    }

    #[test]
    fn a_variable_that_nobody_declares_cannot_be_set() {
        let error = given(project(&["account"]).unwrap(), &BTreeMap::new(), &pairs(&[("acount", "x")])).unwrap_err();
        assert_eq!(error.to_string(), "--set acount: there is no variable 'acount'");
        assert_eq!(error.hints(), ["did you mean 'account'?"]);
        let error = given(project(&[]).unwrap(), &BTreeMap::new(), &pairs(&[("acount", "x")])).unwrap_err();
        assert_eq!(error.hints(), ["there are revision, version"]);
        assert!(given(project(&[]).unwrap(), &BTreeMap::new(), &pairs(&[("revision", "x")])).is_ok());
    }

    #[test]
    fn only_what_the_project_names_must_be_text() {
        let bytes = || OsString::from_vec(vec![0xff]);
        let outside = BTreeMap::from([("XBUILD_A".into(), bytes()), ("XBUILD_B".into(), bytes()), (bytes(), bytes())]);
        assert!(given(project(&["c"]).unwrap(), &outside, &BTreeMap::new()).is_ok());
        let error = given(project(&["b"]).unwrap(), &outside, &BTreeMap::new()).unwrap_err();
        assert!(error.to_string().contains("XBUILD_B"), "{error}");
    }

    #[test]
    fn names_that_mean_something_else_are_refused() {
        for name in ["a-b", "a.b", "1a", "arch", "store", "Engine", "builders", "debian_mirror"] {
            let error = project(&[name]).unwrap_err();
            assert!(error.to_string().contains(&format!("'{name}'")), "{error}");
        }
        assert!(project(&["a_b", "A1"]).is_ok());
    }
}

//! What `$name` is worth at a place of a Dockerfile.

use std::collections::BTreeMap;

use super::{Dockerfile, Pair, ParseError, Word, variable};
use crate::domain::Arch;

/// Arguments that every ARG line may ask for without a default, and FROM without an ARG line.
fn predefined(target: Arch, build: Arch) -> BTreeMap<String, String> {
    let row = |prefix: &str, arch: Arch| {
        [
            (format!("{prefix}PLATFORM"), arch.platform().to_owned()),
            (format!("{prefix}OS"), "linux".to_owned()),
            (format!("{prefix}ARCH"), arch.go().to_owned()),
            (format!("{prefix}VARIANT"), arch.variant().unwrap_or_default().to_owned()),
        ]
    };
    row("TARGET", target).into_iter().chain(row("BUILD", build)).collect()
}

/// Arguments that are there in RUN without an ARG line; an ARG line makes them visible elsewhere.
const PROXIES: [&str; 10] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "FTP_PROXY",
    "ftp_proxy",
    "NO_PROXY",
    "no_proxy",
    "ALL_PROXY",
    "all_proxy",
];

/// The variables in force while a Dockerfile is read from top to bottom.
#[derive(Debug, Clone)]
pub struct Scope {
    escape: char,
    predefined: BTreeMap<String, String>,
    given: BTreeMap<String, String>,
    /// What ARG before FROM gave.
    global: BTreeMap<String, String>,
    arguments: BTreeMap<String, String>,
    environment: BTreeMap<String, String>,
}

impl Scope {
    /// The scope of the FROM lines: `given` are the arguments of the command line.
    ///
    /// # Errors
    /// A default that does not expand.
    pub fn of_file(
        file: &Dockerfile,
        target: Arch,
        build: Arch,
        given: &BTreeMap<String, String>,
    ) -> Result<Scope, ParseError> {
        let predefined = predefined(target, build);
        let mut scope = Scope {
            escape: file.escape,
            arguments: predefined.clone(),
            predefined,
            given: given.clone(),
            global: BTreeMap::new(),
            environment: BTreeMap::new(),
        };
        for pair in &file.arguments {
            if let Some(value) = scope.argument_value(pair)? {
                scope.global.insert(pair.name.text.clone(), value.clone());
                scope.arguments.insert(pair.name.text.clone(), value);
            }
        }
        Ok(scope)
    }

    /// The scope after a FROM line, with the environment of the base image.
    pub fn enter_stage(&mut self, environment: impl IntoIterator<Item = (String, String)>) {
        self.arguments.clear();
        self.environment = environment.into_iter().collect();
    }

    fn argument_value(&self, pair: &Pair) -> Result<Option<String>, ParseError> {
        let name = &pair.name.text;
        if let Some(value) = self.given.get(name) {
            return Ok(Some(value.clone()));
        }
        match &pair.value {
            Some(word) => self.expand(word).map(Some),
            None => Ok(self.global.get(name).or_else(|| self.predefined.get(name)).cloned()),
        }
    }

    /// An ARG line inside a stage.
    ///
    /// # Errors
    /// A default that does not expand.
    pub fn declare(&mut self, pair: &Pair) -> Result<(), ParseError> {
        if let Some(value) = self.argument_value(pair)? {
            self.arguments.insert(pair.name.text.clone(), value);
        }
        Ok(())
    }

    /// An ENV line; its values were expanded before any of them counts.
    pub fn set(&mut self, name: String, value: String) {
        self.environment.insert(name, value);
    }

    /// What a variable is worth: the environment wins over arguments.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.environment.get(name).or_else(|| self.arguments.get(name)).map(String::as_str)
    }

    /// A word with its variables put in, and its quotes and escapes gone.
    ///
    /// # Errors
    /// Quotes or braces that do not close, a `${name:?reason}` without a value.
    pub fn expand(&self, word: &Word) -> Result<String, ParseError> {
        variable::expand(word, self.escape, &|name| self.get(name).map(str::to_owned))
    }

    /// Arguments that were given and that no ARG line asks for: most likely misspelt.
    pub fn unused<'a>(&'a self, file: &'a Dockerfile) -> impl Iterator<Item = &'a str> {
        let declared = move |name: &str| {
            let steps = file.stages.iter().flat_map(|stage| &stage.steps);
            let inside = steps.filter_map(|step| match &step.instruction {
                super::Instruction::Arg(pairs) => Some(pairs),
                _ => None,
            });
            inside.flatten().chain(&file.arguments).any(|pair| pair.name.text == name)
        };
        let fixed = |name: &str| self.predefined.contains_key(name) || PROXIES.contains(&name);
        self.given.keys().map(String::as_str).filter(move |name| !declared(name) && !fixed(name))
    }
}

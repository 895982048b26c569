//! What `$name` is worth at a place of a Dockerfile.

use std::collections::BTreeMap;

use super::variable::{self, Syntax};
use super::{Dockerfile, Heredoc, Pair, ParseError, Span, Word};
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
///
/// A stage that is based on another goes on with a clone of that one's scope: arguments and environment are inherited.
#[derive(Debug, Clone)]
pub struct Scope {
    escape: char,
    predefined: BTreeMap<String, String>,
    given: BTreeMap<String, String>,
    /// What ARG before FROM gave.
    global: BTreeMap<String, String>,
    /// What each name is worth: ENV and ARG alike, the later line wins.
    values: BTreeMap<String, String>,
    /// The ARG lines of the stage and of those it is based on, in order.
    declared: Vec<(String, Option<String>)>,
}

impl Scope {
    /// The scope of the FROM lines: `given` are the arguments of the command line. TARGETSTAGE is the name of the last
    /// stage, unless it is given.
    ///
    /// # Errors
    /// A default that does not expand.
    pub fn of_file(
        file: &Dockerfile,
        target: Arch,
        build: Arch,
        given: &BTreeMap<String, String>,
    ) -> Result<Scope, ParseError> {
        let mut predefined = predefined(target, build);
        let stage = file.stages.last().and_then(|stage| stage.from.name.as_deref());
        predefined.insert("TARGETSTAGE".to_owned(), stage.unwrap_or("default").to_owned());
        for (name, value) in &mut predefined {
            if let Some(given) = given.get(name) {
                value.clone_from(given);
            }
        }
        let mut scope = Scope {
            escape: file.escape,
            values: predefined.clone(),
            predefined,
            given: given.clone(),
            global: BTreeMap::new(),
            declared: Vec::new(),
        };
        for pair in &file.arguments {
            if let Some(value) = scope.argument_value(pair)? {
                scope.global.insert(pair.name.text.clone(), value.clone());
                scope.values.insert(pair.name.text.clone(), value);
            }
        }
        Ok(scope)
    }

    /// The scope after a FROM line that names an image, with the image's environment.
    pub fn enter_stage(&mut self, environment: impl IntoIterator<Item = (String, String)>) {
        self.declared.clear();
        self.values = environment.into_iter().collect();
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
        let (name, value) = (pair.name.text.clone(), self.argument_value(pair)?);
        if let Some(value) = &value {
            self.values.insert(name.clone(), value.clone());
        }
        self.declared.push((name, value));
        Ok(())
    }

    /// An ENV line; its values were expanded before any of them counts.
    pub fn set(&mut self, name: String, value: String) {
        self.values.insert(name, value);
    }

    /// What a variable is worth.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// Everything that is worth something, as RUN finds it in its environment: ENV and ARG.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The ARG lines so far, those of the stages that this one is based on first; `None` for one without a value.
    pub fn arguments(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.declared.iter().map(|(name, value)| (name.as_str(), value.as_deref()))
    }

    /// Proxies that were given on the command line: RUN finds them in its environment in both spellings, unless a variable of
    /// that name is set. They belong neither to a key nor to an image.
    pub fn proxies(&self) -> BTreeMap<String, String> {
        let mut proxies = BTreeMap::new();
        for (name, value) in self.given.iter().filter(|(name, _)| PROXIES.contains(&name.as_str())) {
            for name in [name.to_ascii_uppercase(), name.to_ascii_lowercase()] {
                if !self.values.contains_key(&name) {
                    proxies.insert(name, value.clone());
                }
            }
        }
        proxies
    }

    /// A word with its variables put in, and its quotes and escapes gone.
    ///
    /// # Errors
    /// Quotes or braces that do not close, a `${name:?reason}` without a value, a pattern that is none.
    pub fn expand(&self, word: &Word) -> Result<String, ParseError> {
        variable::expand(word, Syntax::new(self.escape), &|name| self.get(name).map(str::to_owned))
    }

    /// The text of a here-document of COPY or ADD: its variables are put in if it says so, its quotes stay.
    ///
    /// # Errors
    /// As [`Scope::expand`].
    pub fn expand_heredoc(&self, heredoc: &Heredoc) -> Result<String, ParseError> {
        if !heredoc.expand {
            return Ok(heredoc.text.clone());
        }
        let word = Word { span: Span { line: heredoc.first_line, column: 1 }, text: heredoc.text.clone() };
        let syntax = Syntax { ignore_quotes: true, ..Syntax::new('\\') };
        variable::expand(&word, syntax, &|name| self.get(name).map(str::to_owned))
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

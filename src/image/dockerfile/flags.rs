//! The `--flags` of an instruction.

use super::words::Rest;
use super::{Pair, ParseError, Word};

/// Every flag of the language, and who has it.
const OWNERS: [(&str, &str); 18] = [
    ("checksum", "ADD"),
    ("chmod", "ADD and COPY"),
    ("chown", "ADD and COPY"),
    ("exclude", "ADD and COPY"),
    ("from", "COPY"),
    ("interval", "HEALTHCHECK"),
    ("keep-git-dir", "ADD"),
    ("link", "ADD and COPY"),
    ("mount", "RUN"),
    ("network", "RUN"),
    ("parents", "COPY"),
    ("platform", "FROM"),
    ("retries", "HEALTHCHECK"),
    ("security", "RUN"),
    ("start-interval", "HEALTHCHECK"),
    ("start-period", "HEALTHCHECK"),
    ("timeout", "HEALTHCHECK"),
    ("unpack", "ADD"),
];

/// Flags that were given, all of them known.
pub(super) struct Flags(Vec<Pair>);

impl Flags {
    /// Takes the flags from the front of an instruction's arguments.
    pub(super) fn take(rest: &mut Rest<'_>, keyword: &str, known: &[&str]) -> Result<Flags, ParseError> {
        let flags = rest.flags()?;
        for Pair { name, .. } in &flags {
            let flag = &name.text[2..];
            if !known.contains(&flag) {
                let error = name.span.error(format!("{keyword} has no option '{}'", name.text));
                return Err(match OWNERS.iter().find(|(owned, _)| *owned == flag) {
                    Some((_, owner)) => error.hint(format!("--{flag} is an option of {owner}")),
                    None if known.is_empty() => error.hint("a '--' before it ends the options"),
                    None => error.hint(format!("there are --{}", known.join(", --"))),
                });
            }
        }
        Ok(Flags(flags))
    }

    /// All values of a flag that may be repeated.
    pub(super) fn many(&mut self, name: &str) -> Result<Vec<Word>, ParseError> {
        let given = self.0.extract_if(.., |pair| &pair.name.text[2..] == name);
        let value = |Pair { name, value }: Pair| {
            let value = value.filter(|value| !value.text.is_empty());
            value.ok_or_else(|| name.span.error(format!("{} has no value", name.text)))
        };
        given.map(value).collect()
    }

    /// The value of a flag.
    pub(super) fn one(&mut self, name: &str) -> Result<Option<Word>, ParseError> {
        self.once(name)?;
        Ok(self.many(name)?.pop())
    }

    /// Whether a flag is on; `None` if it is not given.
    pub(super) fn switch(&mut self, name: &str) -> Result<Option<bool>, ParseError> {
        self.once(name)?;
        let given = self.0.extract_if(.., |pair| &pair.name.text[2..] == name).next();
        let Some(Pair { name, value }) = given else { return Ok(None) };
        match value {
            None => Ok(Some(true)),
            Some(value) if value.text.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(value) if value.text.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(value) => Err(value.span.error(format!("{} is true or false, not '{}'", name.text, value.text))),
        }
    }

    fn once(&self, name: &str) -> Result<(), ParseError> {
        match self.0.iter().filter(|pair| &pair.name.text[2..] == name).nth(1) {
            Some(second) => Err(second.name.span.error(format!("--{name} is given twice"))),
            None => Ok(()),
        }
    }
}

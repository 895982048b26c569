//! Placeholders: texts that stand for others, without any syntax of their own.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::Expanded;
use super::origins::{LineOrigin, Origins, Piece};
use crate::config::yaml::nearest;
use crate::domain::{Arch, Error, Result};

/// What marks the lines for every architecture but amd64.
pub const CROSS_PREFIX: &str = "CROSS_BUILD_";

/// Values for placeholders, and what becomes of the lines with [`CROSS_PREFIX`].
///
/// A placeholder counts wherever its letters stand, inside words too. Where several could begin at one place, the longest
/// does. What is put in is not looked at again, so the order of placeholders is of no importance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Substitution {
    /// Values by placeholder.
    values: BTreeMap<String, String>,
    /// Those that must occur.
    #[serde(skip)]
    required: BTreeSet<String>,
    /// Whether lines with the prefix stay, without it; else they go.
    cross_lines: bool,
}

impl Substitution {
    /// Values for an architecture: `shared` ones need not occur, `own` ones must, and win.
    ///
    /// # Errors
    /// A usage error for what cannot be a placeholder, and for a value of several lines.
    pub fn new(arch: Arch, shared: BTreeMap<String, String>, own: BTreeMap<String, String>) -> Result<Substitution> {
        let required = own.keys().cloned().collect();
        let mut values = shared;
        values.extend(own);
        for (name, value) in &values {
            check_placeholder(name)?;
            if value.contains(['\n', '\r']) {
                return Err(Error::usage(format!("the value of '{name}' has several lines: {value:?}")).hint(
                    "a placeholder stands within a line; leave the line break out, or use the template language",
                ));
            }
        }
        Ok(Substitution { values, required, cross_lines: arch != Arch::Amd64 })
    }

    /// Placeholders and their values.
    pub fn values(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Placeholders that stand in a text.
    pub fn occurring(&self, text: &str) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        let mut rest = text;
        while let Some((before, token)) = self.next(rest) {
            if let Token::Value(name, _) = token {
                found.insert(name);
            }
            rest = &rest[before + token.length()..];
        }
        found
    }

    /// The placeholder that another text may have been meant for.
    pub fn nearest(&self, unknown: &str) -> Option<String> {
        nearest(unknown, self.values.keys().map(String::as_str))
    }

    pub(super) fn expand(&self, file: &str, text: &str) -> Result<Expanded> {
        let found = self.occurring(text);
        if let Some(missing) = self.required.iter().find(|name| !found.contains(name.as_str())) {
            return Err(does_not_occur(missing, file, text));
        }
        let (mut out, mut lines) = (String::new(), Vec::new());
        for (index, line) in text.split_inclusive('\n').enumerate() {
            if let Some((line, pieces)) = self.line(line) {
                out.push_str(&line);
                lines.push(LineOrigin { line: index + 1, pieces });
            }
        }
        Ok(Expanded { text: out, origins: Origins::new(lines) })
    }

    /// A line with its values put in; none for one that goes.
    fn line(&self, line: &str) -> Option<(String, Vec<Piece>)> {
        let mut out = String::new();
        let (mut pieces, mut from, mut start) = (vec![Piece { start: 1, from: 1, put_in: false }], 1, 1);
        let mut rest = line;
        while let Some((before, token)) = self.next(rest) {
            let (plain, length) = (rest[..before].chars().count(), token.length());
            out.push_str(&rest[..before]);
            from += plain;
            start += plain;
            match token {
                Token::Cross if !self.cross_lines => return None,
                Token::Cross => {}
                Token::Value(_, value) => {
                    out.push_str(value);
                    pieces.push(Piece { start, from, put_in: true });
                    start += value.chars().count();
                }
            }
            from += rest[before..before + length].chars().count();
            pieces.push(Piece { start, from, put_in: false });
            rest = &rest[before + length..];
        }
        out.push_str(rest);
        Some((out, pieces))
    }

    /// What stands first in a text, and after how many bytes.
    fn next(&self, text: &str) -> Option<(usize, Token<'_>)> {
        let values = self.values.iter().map(|(name, value)| Token::Value(name, value));
        let tokens = values.chain([Token::Cross]);
        let places = tokens.filter_map(|token| Some((text.find(token.text())?, token)));
        places.min_by_key(|(place, token)| (*place, std::cmp::Reverse(token.length())))
    }
}

/// What is looked for.
#[derive(Clone, Copy)]
enum Token<'a> {
    /// A placeholder and its value.
    Value(&'a str, &'a str),
    /// The prefix of lines for other architectures.
    Cross,
}

impl<'a> Token<'a> {
    fn text(&self) -> &'a str {
        match self {
            Token::Value(name, _) => name,
            Token::Cross => CROSS_PREFIX,
        }
    }

    fn length(&self) -> usize {
        self.text().len()
    }
}

/// A placeholder is any text without blanks that the prefix of lines has no part in.
pub(in crate::config) fn check_placeholder(name: &str) -> Result<()> {
    if name.is_empty() || name.contains(char::is_whitespace) {
        return Err(Error::usage(format!("'{name}' cannot be a placeholder: it is empty or has blanks")));
    }
    if CROSS_PREFIX.contains(name) || name.contains(CROSS_PREFIX) {
        return Err(Error::usage(format!("'{name}' cannot be a placeholder: {CROSS_PREFIX} has a meaning of its own")));
    }
    Ok(())
}

/// The error for a placeholder that is nowhere in a template.
fn does_not_occur(name: &str, file: &str, text: &str) -> Error {
    let error = Error::usage(format!("the placeholder '{name}' does not occur in {file}"));
    match nearest(name, words(text)) {
        Some(near) => error.hint(format!("did you mean '{near}'?")),
        None => error.hint("take it out of `substitute`"),
    }
}

/// Words of a text that look like placeholders.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let word = move |word: &&str| word.len() > 1 && word.contains(|c: char| c.is_ascii_uppercase());
    text.split(move |c| !part(c)).filter(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn expand(arch: Arch, pairs: &[(&str, &str)], text: &str) -> Result<Expanded> {
        Substitution::new(arch, BTreeMap::new(), values(pairs))?.expand("T", text)
    }

    fn text(arch: Arch, pairs: &[(&str, &str)], template: &str) -> String {
        expand(arch, pairs, template).unwrap().text
    }

    #[test]
    fn placeholders_give_way_to_values() {
        let pairs = [("ACCOUNT", "me"), ("SUFFIX", "-arm"), ("EMPTY", "")];
        assert_eq!(text(Arch::Arm, &pairs, "FROM ACCOUNT/xSUFFIX\nENV EMPTY=ACCOUNT\n"), "FROM me/x-arm\nENV =me\n");
        // As `sed` has it, they count inside words.
        assert_eq!(text(Arch::Arm, &[("ARCH", "arm")], "COPY QEMUARCH-x /\n"), "COPY QEMUarm-x /\n");
        assert_eq!(text(Arch::Arm, &[], "FROM x\r\nCMD ü"), "FROM x\r\nCMD ü");
    }

    #[test]
    fn the_longest_wins_and_the_order_does_not_matter() {
        let pairs = [("ARCH", "s390x"), ("ARCH_EXT", "-x"), ("QEMUARCH", "qemu")];
        assert_eq!(text(Arch::S390x, &pairs, "ENV ARCH ARCH_EXT QEMUARCH\n"), "ENV s390x -x qemu\n");
    }

    #[test]
    fn what_is_put_in_is_not_looked_at_again() {
        let pairs = [("AA", "BB"), ("BB", "AA"), ("CC", "CROSS_BUILD_")];
        assert_eq!(text(Arch::Arm, &pairs, "ENV AA BB CC\n"), "ENV BB AA CROSS_BUILD_\n");
    }

    #[test]
    fn marked_lines_are_for_other_architectures() {
        let template = "FROM scratch\n# CROSS_BUILD_ lines\nCROSS_BUILD_COPY qemu-ARCH /\nRUN a \\\n  CROSS_BUILD_&& b \\\n  && c\n";
        let pairs = [("ARCH", "x")];
        assert_eq!(text(Arch::Amd64, &pairs, template), "FROM scratch\nRUN a \\\n  && c\n");
        let other = "FROM scratch\n#  lines\nCOPY qemu-x /\nRUN a \\\n  && b \\\n  && c\n";
        for arch in Arch::ALL.into_iter().filter(|arch| *arch != Arch::Amd64) {
            assert_eq!(text(arch, &pairs, template), other);
        }
    }

    #[test]
    fn places_lead_to_the_template() {
        let template = "# CROSS_BUILD_\nFROM x\nCROSS_BUILD_COPY LONG b /LONGER\n";
        let pairs = [("LONG", "ä"), ("LONGER", "abcdefghi")];
        let arm = expand(Arch::Arm, &pairs, template).unwrap();
        assert_eq!(arm.text, "# \nFROM x\nCOPY ä b /abcdefghi\n");
        for (place, wanted) in [
            ((2, 6), (2, 6)),
            ((3, 1), (3, 13)),
            ((3, 6), (3, 18)),
            ((3, 8), (3, 23)),
            ((3, 11), (3, 26)),
            ((3, 15), (3, 26)),
            ((9, 1), (3, 13)),
        ] {
            assert_eq!(arm.origins.find(place.0, place.1), wanted, "{place:?}");
        }
        let amd64 = expand(Arch::Amd64, &[], "# CROSS_BUILD_\nFROM x\n").unwrap();
        assert_eq!(amd64.origins.find(1, 6), (2, 6));
    }

    #[test]
    fn a_placeholder_that_occurs_nowhere_is_an_error() {
        let error = expand(Arch::Arm, &[("ACOUNT", "me")], "FROM me/x\nENV BY=ACCOUNT\n").unwrap_err();
        assert_eq!(error.to_string(), "the placeholder 'ACOUNT' does not occur in T");
        assert_eq!(error.hints(), ["did you mean 'ACCOUNT'?"]);
        // It occurs, though not for this architecture.
        assert_eq!(text(Arch::Amd64, &[("QEMU", "x")], "FROM x\nCROSS_BUILD_COPY QEMU /\n"), "FROM x\n");
        let shared = Substitution::new(Arch::Arm, values(&[("ELSEWHERE", "1")]), BTreeMap::new()).unwrap();
        assert_eq!(shared.expand("T", "FROM x\n").unwrap().text, "FROM x\n");
    }

    #[test]
    fn the_nearest_placeholder_is_offered() {
        let substitution = Substitution::new(Arch::Arm, values(&[("BASEIMAGE", "b")]), BTreeMap::new()).unwrap();
        assert_eq!(substitution.nearest("BASEIMGE").as_deref(), Some("BASEIMAGE"));
        assert_eq!(substitution.nearest("ARCH_EXT"), None);
    }

    #[test]
    fn what_cannot_be_put_in_is_refused() {
        for (name, value) in
            [("", "x"), ("A B", "x"), ("A\n", "x"), ("CROSS_BUILD_", "x"), ("BUILD", "x"), ("A", "x\ny")]
        {
            assert!(Substitution::new(Arch::Arm, BTreeMap::new(), values(&[(name, value)])).is_err(), "{name:?}");
        }
    }
}

//! A file to be looked at: a program, or a script.

use serde::{Deserialize, Serialize};

use super::expectations::{Expectations, check};
use super::facts::Facts;
use super::mismatch::Mismatch;
use super::read_error::ReadError;
use super::strings;

/// As much of a script's first line as Linux reads.
const FIRST_LINE: usize = 256;

/// A file to be looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Subject {
    /// An ELF file.
    Program(Facts),
    /// A text that another program runs.
    Script {
        /// That program, as in `/bin/sh`.
        interpreter: String,
        /// The rest of the first line, which Linux gives to it as one argument.
        argument: Option<String>,
    },
}

impl Subject {
    /// Reads what a file is.
    ///
    /// # Errors
    /// When it is neither an ELF file nor a script, or is damaged.
    pub fn read(bytes: &[u8]) -> Result<Subject, ReadError> {
        let Some(rest) = bytes.strip_prefix(b"#!") else {
            return Facts::read(bytes).map(Subject::Program);
        };
        let rest = &rest[..rest.len().min(FIRST_LINE - 2)];
        let line = rest.split(|byte| matches!(byte, b'\n' | 0)).next().unwrap_or_default().trim_ascii();
        let end = line.iter().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(line.len());
        let (interpreter, argument) = line.split_at(end);
        if interpreter.is_empty() {
            return Err(ReadError::malformed("the script names no interpreter after '#!'"));
        }
        let argument = argument.trim_ascii();
        Ok(Subject::Script {
            interpreter: strings::printable(interpreter),
            argument: (!argument.is_empty()).then(|| strings::printable(argument)),
        })
    }

    /// All that is not as it was asked for. A script runs on any architecture, so nothing is asked of it.
    pub fn check(&self, expectations: &Expectations) -> Vec<Mismatch> {
        match self {
            Subject::Program(facts) => check(facts, expectations),
            Subject::Script { .. } => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Arch;

    #[test]
    fn a_script_is_known_by_its_first_line() {
        for (text, interpreter, argument) in [
            ("#!/bin/sh", "/bin/sh", None),
            ("#! /bin/sh -e  \necho", "/bin/sh", Some("-e")),
            ("#!/usr/bin/env\tpython3 -u\r\n", "/usr/bin/env", Some("python3 -u")),
            ("#!/bin/\u{1b}[31m\n", "/bin/\u{fffd}[31m", None),
        ] {
            let subject = Subject::read(text.as_bytes()).unwrap();
            let argument = argument.map(str::to_owned);
            assert_eq!(subject, Subject::Script { interpreter: interpreter.into(), argument }, "{text}");
            assert_eq!(subject.check(&Expectations::new(Arch::S390x)), []);
        }
    }

    #[test]
    fn other_files_are_refused() {
        assert_eq!(
            Subject::read(b"#!\n/bin/sh"),
            Err(ReadError::malformed("the script names no interpreter after '#!'"))
        );
        for bytes in [&b""[..], b"#", b"MZ", b"\x7fEL", b"echo"] {
            assert_eq!(Subject::read(bytes), Err(ReadError::NotElf));
        }
    }
}

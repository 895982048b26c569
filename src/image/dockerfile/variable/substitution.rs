//! `$name`, and `${name}` with its operators.

use super::pattern::{Length, Pattern};
use super::reader::Reader;
use crate::image::dockerfile::ParseError;

/// Characters of values that one word may take in: a few lines can double a value thirty times.
const MOST_CHARACTERS: usize = 4 << 20;

impl Reader<'_> {
    /// What a name is worth, counted.
    fn value(&mut self, name: &str) -> Result<Option<String>, ParseError> {
        let value = (self.lookup)(name);
        self.taken += value.as_ref().map_or(0, String::len);
        if self.taken > MOST_CHARACTERS {
            return Err(self.error(format!("'{}' becomes longer than {MOST_CHARACTERS} characters", self.short())));
        }
        Ok(value)
    }

    /// What stands after a `$`.
    pub(super) fn variable(&mut self) -> Result<String, ParseError> {
        self.next();
        if self.peek() != Some('{') {
            let name = self.name();
            if name.is_empty() {
                return Ok("$".to_owned());
            }
            return Ok(match self.value(&name)? {
                None if self.syntax.keep_unset => format!("${name}"),
                value => value.unwrap_or_default(),
            });
        }
        self.next();
        let name = match self.peek() {
            None => {
                self.next();
                return Err(self.error("'${' is never closed"));
            }
            Some('{' | '}' | ':') => String::new(),
            Some(_) => self.name(),
        };
        if name.is_empty() {
            self.next();
            return Err(self.error("'${' is not followed by a name"));
        }
        let value = self.value(&name)?;
        let mut operator = self.next();
        // With a colon, an empty value counts as none.
        let colon = operator == Some(':');
        if colon {
            operator = self.next();
        }
        let place = self.at;
        let keep = self.syntax.keep_unset && value.is_none();
        match operator {
            Some('}') if !colon => Ok(match value {
                None if keep => format!("${{{name}}}"),
                value => value.unwrap_or_default(),
            }),
            Some(operator @ ('-' | '+' | '?')) => {
                let word = self.text(Some('}'), false, &mut None)?;
                if keep {
                    return Ok(format!("${{{name}{}{operator}{word}}}", if colon { ":" } else { "" }));
                }
                let value = if colon { value.filter(|value| !value.is_empty()) } else { value };
                match (operator, value) {
                    ('-', value) => Ok(value.unwrap_or(word)),
                    ('+', value) => Ok(value.map(|_| word).unwrap_or_default()),
                    (_, Some(value)) => Ok(value),
                    (_, None) => {
                        self.at = place;
                        let why = if word.is_empty() { "it has no value" } else { &word };
                        Err(self.error(format!("{name}: {why}")))
                    }
                }
            }
            Some(operator @ ('#' | '%')) if !colon => {
                let word = self.text(Some('}'), true, &mut None)?;
                if keep {
                    return Ok(format!("${{{name}{operator}{word}}}"));
                }
                let (pattern, length) = match word.strip_prefix(operator) {
                    Some(pattern) => (pattern, Length::Longest),
                    None => (word.as_str(), Length::Shortest),
                };
                let value = value.unwrap_or_default();
                let trimmed = Pattern::new(pattern).and_then(|compiled| match operator {
                    '#' => compiled.trim_start(&value, length),
                    _ => compiled.trim_end(&value, length),
                });
                trimmed.map_err(|why| self.pattern_error(place, pattern, &why))
            }
            Some('/') if !colon => {
                let all = self.peek() == Some('/');
                if all {
                    self.next();
                }
                let pattern = self.text(Some('/'), true, &mut None)?;
                let with = self.text(Some('}'), true, &mut None)?;
                if keep {
                    return Ok(format!("${{{name}/{pattern}/{with}}}"));
                }
                let value = value.unwrap_or_default();
                let replaced = Pattern::new(&pattern).and_then(|compiled| compiled.replace(&value, &with, all));
                let replaced = replaced.map_err(|why| self.pattern_error(place, &pattern, &why))?;
                self.taken += replaced.len();
                Ok(replaced)
            }
            Some(c) => {
                let colon = if colon { ":" } else { "" };
                let error = self.error(format!("'{colon}{c}' after '${{{name}'"));
                Err(error.hint("there are ':-', ':+', ':?', '-', '+', '?', '#', '##', '%', '%%', '/' and '//'"))
            }
            None => Err(self.error(format!("'${{{name}' is never closed"))),
        }
    }

    fn pattern_error(&mut self, place: usize, pattern: &str, why: &str) -> ParseError {
        self.at = place;
        self.error(format!("the pattern '{pattern}' is wrong: {why}"))
    }

    fn name(&mut self) -> String {
        let mut name = String::new();
        while let Some(c) = self.peek() {
            let digits = name.starts_with(char::is_numeric);
            // What a shell gives a meaning, and what is never worth anything here.
            if name.is_empty() && matches!(c, '@' | '*' | '#' | '?' | '-' | '$' | '!') {
                self.next();
                return c.to_string();
            }
            if !(c.is_numeric() || (!digits && (c.is_alphabetic() || c == '_'))) {
                break;
            }
            name.push(c);
            self.next();
        }
        name
    }
}

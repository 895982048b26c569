//! The small languages inside words: `$variables` with quotes and escapes, and durations.

use super::{ParseError, Word};

/// Removes quotes and escapes of a word and puts in its variables; `lookup` says what each is worth.
pub(super) fn expand(word: &Word, escape: char, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, ParseError> {
    let mut reader = Reader { chars: word.text.chars().peekable(), column: 0, word, escape, lookup, depth: 0 };
    reader.text(None)
}

struct Reader<'a> {
    chars: std::iter::Peekable<std::str::Chars<'a>>,
    /// Characters read so far.
    column: usize,
    word: &'a Word,
    escape: char,
    lookup: &'a dyn Fn(&str) -> Option<String>,
    depth: usize,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        self.column += 1;
        self.chars.next()
    }

    fn error(&self, message: impl Into<String>) -> ParseError {
        let mut span = self.word.span;
        span.column += self.column.saturating_sub(1);
        span.error(message)
    }

    /// Up to `end`, which is taken too, or up to the end of the word.
    fn text(&mut self, end: Option<char>) -> Result<String, ParseError> {
        self.depth += 1;
        if self.depth > 64 {
            return Err(self.error("variables are nested too deeply"));
        }
        let mut out = String::new();
        while let Some(c) = self.chars.peek().copied() {
            if c == '$' {
                out.push_str(&self.variable()?);
                continue;
            }
            self.next();
            match c {
                c if Some(c) == end => {
                    self.depth -= 1;
                    return Ok(out);
                }
                '\'' => self.single_quoted(&mut out)?,
                '"' => self.double_quoted(&mut out)?,
                c if c == self.escape => out.extend(self.next()),
                c => out.push(c),
            }
        }
        if let Some(end) = end {
            return Err(self.error(format!("'{}' ends before its '{end}'", self.word.text)));
        }
        self.depth -= 1;
        Ok(out)
    }

    fn single_quoted(&mut self, out: &mut String) -> Result<(), ParseError> {
        loop {
            match self.next() {
                None => return Err(self.error("the quote ' is never closed")),
                Some('\'') => return Ok(()),
                Some(c) => out.push(c),
            }
        }
    }

    fn double_quoted(&mut self, out: &mut String) -> Result<(), ParseError> {
        loop {
            if self.chars.peek() == Some(&'$') {
                out.push_str(&self.variable()?);
                continue;
            }
            match self.next() {
                None => return Err(self.error("the quote \" is never closed")),
                Some('"') => return Ok(()),
                Some(c) if c == self.escape => match self.chars.peek().copied() {
                    Some(special) if special == '"' || special == '$' || special == self.escape => {
                        out.extend(self.next())
                    }
                    _ => out.push(c),
                },
                Some(c) => out.push(c),
            }
        }
    }

    fn variable(&mut self) -> Result<String, ParseError> {
        self.next();
        if self.chars.peek() != Some(&'{') {
            let name = self.name();
            return Ok(if name.is_empty() { "$".to_owned() } else { (self.lookup)(&name).unwrap_or_default() });
        }
        self.next();
        let name = self.name();
        if name.is_empty() {
            self.next();
            return Err(self.error("'${' is not followed by a name"));
        }
        let value = (self.lookup)(&name);
        let mut operator = self.next();
        // With a colon, an empty value counts as none.
        let value = if operator == Some(':') {
            operator = self.next();
            value.filter(|value| !value.is_empty())
        } else if operator == Some('}') {
            return Ok(value.unwrap_or_default());
        } else {
            value
        };
        match operator {
            Some(operator @ ('-' | '+' | '?')) => {
                let place = self.column;
                let word = self.text(Some('}'))?;
                match (operator, value) {
                    ('-', value) => Ok(value.unwrap_or(word)),
                    ('+', value) => Ok(value.map(|_| word).unwrap_or_default()),
                    (_, Some(value)) => Ok(value),
                    (_, None) => {
                        self.column = place;
                        let why = if word.is_empty() { "it has no value" } else { &word };
                        Err(self.error(format!("{name}: {why}")))
                    }
                }
            }
            Some('#' | '%' | '/') => Err(self.error(format!("patterns in '${{{name}...}}' are not supported yet"))),
            Some(c) => Err(self.error(format!("'{c}' after '${{{name}'")).hint("there are ':-', ':+' and ':?'")),
            None => Err(self.error(format!("'${{{name}' is never closed"))),
        }
    }

    fn name(&mut self) -> String {
        let mut name = String::new();
        while let Some(c) = self.chars.peek().copied() {
            let digits = name.starts_with(|c: char| c.is_ascii_digit());
            if !(c.is_ascii_digit() || (!digits && (c.is_ascii_alphabetic() || c == '_'))) {
                break;
            }
            name.push(c);
            self.next();
        }
        name
    }
}

/// Nanoseconds of a duration in Go's notation, as in `1m30s`, `1.5h`, `500ms`.
pub(super) fn duration(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut total = 0.0;
    if rest == "0" {
        return Some(0);
    }
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..unit_at].parse().ok()?;
        rest = &rest[unit_at..];
        let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        total += number
            * match &rest[..end] {
                "ns" => 1.0,
                "us" | "µs" => 1e3,
                "ms" => 1e6,
                "s" => 1e9,
                "m" => 60e9,
                "h" => 3600e9,
                _ => return None,
            };
        rest = &rest[end..];
    }
    (!text.is_empty() && total < 1e18).then_some(total as u64)
}

#[cfg(test)]
mod tests {
    use super::super::Span;
    use super::*;

    fn expanded(text: &str) -> Result<String, ParseError> {
        let word = Word { span: Span { line: 3, column: 5 }, text: text.to_owned() };
        expand(&word, '\\', &|name| match name {
            "a" => Some("A".into()),
            "empty" => Some(String::new()),
            _ => None,
        })
    }

    #[test]
    fn variables_quotes_and_escapes() {
        for (text, value) in [
            ("x$a", "xA"),
            ("${a}b$none", "Ab"),
            ("'$a'", "$a"),
            ("\"$a \\$a \\x\"", "A $a \\x"),
            ("\\$a\\ b", "$a b"),
            ("${none:-x${a}y}", "xAy"),
            ("${empty:-x}", "x"),
            ("${empty-x}", ""),
            ("${a:+set}${none:+set}${empty:+set}${empty+set}", "setset"),
            ("${none:-'a}b'}", "a}b"),
            ("$", "$"),
            ("100$%", "100$%"),
            ("$1x", "x"),
        ] {
            assert_eq!(expanded(text).as_deref(), Ok(value), "{text}");
        }
    }

    #[test]
    fn errors_name_the_column() {
        for (text, column, message) in [
            ("x${a", 8, "'${a' is never closed"),
            ("${none:?must be given}", 12, "none: must be given"),
            ("${a%b}", 8, "patterns in '${a...}' are not supported yet"),
            ("${}", 7, "'${' is not followed by a name"),
        ] {
            let error = expanded(text).unwrap_err();
            assert_eq!((error.line, error.message.as_str()), (3, message));
            assert!(error.column.abs_diff(column) <= 1, "{text}: {}", error.column);
        }
        assert!(expanded(&"${x:-".repeat(1000)).unwrap_err().message.contains("nested"));
    }

    #[test]
    fn durations_are_go_s() {
        assert_eq!(duration("1m30s"), Some(90_000_000_000));
        assert_eq!(duration("1.5ms"), Some(1_500_000));
        for text in ["", "5", "s", "5x", "-5s", "1e5s"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }
}

//! The small language inside words: `$variables` with quotes and escapes, as BuildKit has it.

use super::pattern::{Length, Pattern};
use super::{ParseError, Word};

/// Characters of values that one word may take in: a few lines can double a value thirty times.
const MOST_CHARACTERS: usize = 4 << 20;

/// What has a meaning in a text, and what stays in the result.
#[derive(Debug, Clone, Copy)]
pub(super) struct Syntax {
    /// The escape character.
    pub(super) escape: char,
    /// Quotes stay.
    pub(super) raw_quotes: bool,
    /// Escape characters stay.
    pub(super) raw_escapes: bool,
    /// Quotes have no meaning.
    pub(super) ignore_quotes: bool,
    /// A variable without a value stays as it is.
    pub(super) keep_unset: bool,
}

impl Syntax {
    /// Of an ordinary word.
    pub(super) const fn new(escape: char) -> Syntax {
        Syntax { escape, raw_quotes: false, raw_escapes: false, ignore_quotes: false, keep_unset: false }
    }
}

/// What a variable is worth.
pub(super) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Removes quotes and escapes of a word and puts in its variables.
pub(super) fn expand(word: &Word, syntax: Syntax, lookup: Lookup<'_>) -> Result<String, ParseError> {
    Reader::new(word, syntax, lookup).text(None, syntax.raw_escapes, &mut None)
}

/// The same, and parts the result at blanks that are not quoted; each word comes with the number of the character
/// that it begins at.
pub(super) fn split(word: &Word, syntax: Syntax, lookup: Lookup<'_>) -> Result<Vec<(usize, String)>, ParseError> {
    let mut words = Some(Words::default());
    Reader::new(word, syntax, lookup).text(None, syntax.raw_escapes, &mut words)?;
    Ok(words.map(Words::finish).unwrap_or_default())
}

/// Words while they are put together.
#[derive(Default)]
struct Words {
    done: Vec<(usize, String)>,
    current: Option<(usize, String)>,
}

impl Words {
    fn raw(&mut self, at: usize, text: &str) {
        self.current.get_or_insert_with(|| (at, String::new())).1.push_str(text);
    }

    /// Blanks end a word.
    fn blanks_part(&mut self, at: usize, text: &str) {
        for c in text.chars() {
            if c.is_whitespace() {
                self.end();
            } else {
                self.raw(at, c.encode_utf8(&mut [0; 4]));
            }
        }
    }

    fn end(&mut self) {
        self.done.extend(self.current.take().filter(|(_, text)| !text.is_empty()));
    }

    fn finish(mut self) -> Vec<(usize, String)> {
        self.end();
        self.done
    }
}

struct Reader<'a> {
    chars: Vec<char>,
    /// The next character to read.
    at: usize,
    word: &'a Word,
    syntax: Syntax,
    lookup: Lookup<'a>,
    depth: usize,
    /// Characters that variables gave.
    taken: usize,
}

impl<'a> Reader<'a> {
    fn new(word: &'a Word, syntax: Syntax, lookup: Lookup<'a>) -> Reader<'a> {
        Reader { chars: word.text.chars().collect(), at: 0, word, syntax, lookup, depth: 0, taken: 0 }
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek();
        self.at += 1;
        c
    }

    /// An error at the character that was read last.
    fn error(&self, message: impl Into<String>) -> ParseError {
        let before = &self.chars[..self.at.saturating_sub(1).min(self.chars.len())];
        let mut span = self.word.span;
        match before.iter().rposition(|c| *c == '\n') {
            None => span.column += before.len(),
            Some(last) => {
                span.line += before.iter().filter(|c| **c == '\n').count();
                span.column = before.len() - last;
            }
        }
        span.error(message)
    }

    /// Up to `end`, which is taken too, or up to the end of the word.
    fn text(&mut self, end: Option<char>, raw: bool, words: &mut Option<Words>) -> Result<String, ParseError> {
        self.depth += 1;
        if self.depth > 64 {
            return Err(self.error("variables are nested too deeply"));
        }
        let outer_raw = std::mem::replace(&mut self.syntax.raw_escapes, raw);
        let mut out = String::new();
        let mut closed = end.is_none();
        while let Some(c) = self.peek() {
            let start = self.at;
            let length = out.len();
            match c {
                c if Some(c) == end => {
                    self.next();
                    closed = true;
                    break;
                }
                '$' => {
                    out.push_str(&self.variable()?);
                    words.iter_mut().for_each(|words| words.blanks_part(start, &out[length..]));
                    continue;
                }
                '\'' if !self.syntax.ignore_quotes => self.single_quoted(&mut out)?,
                '"' if !self.syntax.ignore_quotes => self.double_quoted(&mut out)?,
                '<' => self.heredoc_mark(&mut out),
                c if c == self.syntax.escape => {
                    self.next();
                    if self.syntax.raw_escapes {
                        out.push(c);
                    }
                    out.extend(self.next());
                }
                c => {
                    self.next();
                    out.push(c);
                    words.iter_mut().for_each(|words| words.blanks_part(start, &out[length..]));
                    continue;
                }
            }
            words.iter_mut().for_each(|words| words.raw(start, &out[length..]));
        }
        self.syntax.raw_escapes = outer_raw;
        self.depth -= 1;
        match end {
            Some(end) if !closed => Err(self.error(format!("'{}' ends before its '{end}'", self.short()))),
            _ => Ok(out),
        }
    }

    /// The word as a message names it.
    fn short(&self) -> String {
        let text: String = self.chars.iter().take(60).collect();
        if self.chars.len() > 60 { text + "..." } else { text }
    }

    /// `<<` and the blanks after it belong to one word.
    fn heredoc_mark(&mut self, out: &mut String) {
        out.extend(self.next());
        if self.peek() != Some('<') {
            return;
        }
        out.extend(self.next());
        while let Some('\t' | '\r' | ' ') = self.peek() {
            out.extend(self.next());
        }
    }

    fn single_quoted(&mut self, out: &mut String) -> Result<(), ParseError> {
        let open = self.next().filter(|_| self.syntax.raw_quotes);
        out.extend(open);
        loop {
            match self.next() {
                None => return Err(self.error("the quote ' is never closed")),
                Some('\'') => break,
                Some(c) => out.push(c),
            }
        }
        out.extend(open);
        Ok(())
    }

    fn double_quoted(&mut self, out: &mut String) -> Result<(), ParseError> {
        let escape = self.syntax.escape;
        let open = self.next().filter(|_| self.syntax.raw_quotes);
        out.extend(open);
        loop {
            if self.peek() == Some('$') {
                out.push_str(&self.variable()?);
                continue;
            }
            match self.next() {
                None => return Err(self.error("the quote \" is never closed")),
                Some('"') => break,
                Some(c) if c == escape => {
                    let special = self.peek().filter(|next| matches!(next, '"' | '$') || *next == escape);
                    if self.syntax.raw_escapes || special.is_none() {
                        out.push(c);
                    }
                    if special.is_some() {
                        out.extend(self.next());
                    }
                }
                Some(c) => out.push(c),
            }
        }
        out.extend(open);
        Ok(())
    }

    /// What a name is worth, counted.
    fn value(&mut self, name: &str) -> Result<Option<String>, ParseError> {
        let value = (self.lookup)(name);
        self.taken += value.as_ref().map_or(0, String::len);
        if self.taken > MOST_CHARACTERS {
            return Err(self.error(format!("'{}' becomes longer than {MOST_CHARACTERS} characters", self.short())));
        }
        Ok(value)
    }

    fn variable(&mut self) -> Result<String, ParseError> {
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

#[cfg(test)]
mod tests {
    use super::super::Span;
    use super::*;

    fn lookup(name: &str) -> Option<String> {
        let value = match name {
            "a" => "A",
            "empty" => "",
            "xy" => "xxyy",
            "path" => "/tmp/tmp/bar.txt",
            "special" => "()[]{}^$.*?|\\x",
            "stars" => "a***yy*",
            "pattern" => "\\*",
            "한" => "k",
            _ => return None,
        };
        Some(value.to_owned())
    }

    fn word(text: &str) -> Word {
        Word { span: Span { line: 3, column: 5 }, text: text.to_owned() }
    }

    fn expanded(text: &str) -> Result<String, ParseError> {
        expand(&word(text), Syntax::new('\\'), &lookup)
    }

    #[test]
    fn variables_quotes_and_escapes() {
        for (text, value) in [
            ("x$a", "xA"),
            ("${a}b$none", "Ab"),
            ("'$a'", "$a"),
            ("'\\$a'", "\\$a"),
            ("\"$a \\$a \\x\"", "A $a \\x"),
            ("\\$a\\ b", "$a b"),
            ("he\\'llo", "he'llo"),
            ("hello\\", "hello"),
            ("hello\\\\", "hello\\"),
            ("\\${}", "${}"),
            ("${none:-x${a}y}", "xAy"),
            ("${none-${none:-c}}", "c"),
            ("${empty:-x}", "x"),
            ("${empty-x}", ""),
            ("${a:+set}${none:+set}${empty:+set}${empty+set}${none+set}", "setset"),
            ("${none:-'a}b'}", "a}b"),
            ("${none:-b {c}", "b {c"),
            ("${none:-\\${a}z}x", "${az}x"),
            ("${a}}", "A}"),
            ("${a:?}${empty?}", "A"),
            ("$", "$"),
            ("100$%", "100$%"),
            ("$1x", "x"),
            ("$999aaa", "aaa"),
            ("$@@$*$#$?$-$$$!$0", "@"),
            ("${1:-b}${@:-c}", "bc"),
            ("a<b <<c", "a<b <<c"),
            ("안$한", "안k"),
        ] {
            assert_eq!(expanded(text).as_deref(), Ok(value), "{text}");
        }
    }

    #[test]
    fn patterns_cut_and_replace() {
        for (text, value) in [
            ("${xy#x}", "xyy"),
            ("${xy#*}", "xxyy"),
            ("${xy##*}", ""),
            ("${xy##*x}", "yy"),
            ("${xy#*x*y}", "y"),
            ("${xy%y}", "xxy"),
            ("${xy%%x*}", ""),
            ("${xy%x*}", "x"),
            ("${xy%x}", "xxyy"),
            ("${xy#}${xy%}", "xxyyxxyy"),
            ("${xy#$empty}", "xxyy"),
            ("${special#()[]{\\}^$.\\*\\?|\\\\}", "x"),
            ("${stars%%\\**\\*}", "a"),
            ("${path/\\/tmp/} ${path//\\/tmp/}", "/tmp/bar.txt /bar.txt"),
            ("${path//\\//\\/}", "\\/tmp\\/tmp\\/bar.txt"),
            ("${stars/$pattern/.} ${stars//$pattern/.}", "a.**yy* a...yy."),
            ("${path/?mp*/$a}", "/A"),
            ("${xy///}", "xxyy"),
            ("${none#x}${none/a/b}", ""),
        ] {
            assert_eq!(expanded(text).as_deref(), Ok(value), "{text}");
        }
    }

    #[test]
    fn errors_name_the_column() {
        for (text, column, message) in [
            ("x${a", 9, "'${a' is never closed"),
            ("${none:?must be given}", 12, "none: must be given"),
            ("${none?}", 11, "none: it has no value"),
            ("${empty:?}", 13, "empty: it has no value"),
            ("${}", 7, "'${' is not followed by a name"),
            ("${{a}", 7, "'${' is not followed by a name"),
            ("${:-a}", 7, "'${' is not followed by a name"),
            ("${.}", 7, "'${' is not followed by a name"),
            ("${", 7, "'${' is never closed"),
            ("${a:=b}", 9, "':=' after '${a'"),
            ("${a:#b}", 9, "':#' after '${a'"),
            ("${a:b}", 9, "':b' after '${a'"),
            ("${a^^}", 8, "'^' after '${a'"),
            ("${a#\\y}", 8, "the pattern '\\y' is wrong: there is no escape '\\y'"),
            ("${a//b}", 11, "'${a//b}' ends before its '/'"),
            ("a'b", 8, "the quote ' is never closed"),
            ("\n \"b", 4, "the quote \" is never closed"),
        ] {
            let error = expanded(text).unwrap_err();
            assert_eq!((error.column, error.message.as_str()), (column, message), "{text}");
            assert_eq!(error.line, 3 + text.matches('\n').count());
        }
        assert!(expanded(&"${x:-".repeat(1000)).unwrap_err().message.contains("nested"));
        let long = |_: &str| Some("x".repeat(1 << 20));
        let error = expand(&word("$a$a$a$a$a"), Syntax::new('\\'), &long).unwrap_err();
        assert_eq!(error.message, "'$a$a$a$a$a' becomes longer than 4194304 characters");
    }

    #[test]
    fn words_part_at_blanks_that_are_not_quoted() {
        let blanks = |name: &str| (name == "s").then(|| " a  b ".to_owned());
        for (text, words) in [
            ("x$s.", vec!["x", "a", "b", "."]),
            ("x\"$s\".", vec!["x a  b ."]),
            ("hello\\ there y", vec!["hello there", "y"]),
            ("hel'lo there'", vec!["hello there"]),
            ("  ", vec![]),
            ("a << b", vec!["a", "<< b"]),
        ] {
            let split = split(&word(text), Syntax::new('\\'), &blanks).unwrap();
            assert_eq!(split.into_iter().map(|(_, word)| word).collect::<Vec<_>>(), words, "{text}");
        }
    }

    #[test]
    fn a_here_document_keeps_its_quotes() {
        let syntax = Syntax { ignore_quotes: true, ..Syntax::new('\\') };
        let text = expand(&word("it's \"$a\" \\$a '${none:-x}'\n"), syntax, &lookup);
        assert_eq!(text.as_deref(), Ok("it's \"A\" $a 'x'\n"));
    }
}

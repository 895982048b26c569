//! A logical line cut into words, flags, pairs and JSON.

use super::line::LogicalLine;
use super::{Pair, ParseError, Span, Word};

/// The rest of a logical line, from an offset.
#[derive(Clone, Copy)]
pub(super) struct Rest<'a> {
    pub(super) line: &'a LogicalLine,
    pub(super) escape: char,
    offset: usize,
}

impl<'a> Rest<'a> {
    /// From the first character that is not blank.
    pub(super) fn new(line: &'a LogicalLine, offset: usize, escape: char) -> Rest<'a> {
        let text = &line.text[offset..];
        Rest { line, escape, offset: offset + text.len() - text.trim_start().len() }
    }

    pub(super) fn text(&self) -> &'a str {
        self.line.text[self.offset..].trim_end()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text().is_empty()
    }

    /// The place of its first character.
    pub(super) fn span(&self) -> Span {
        self.line.span(self.offset)
    }

    pub(super) fn error(&self, message: impl Into<String>) -> ParseError {
        self.span().error(message)
    }

    /// What comes after the first bytes of this.
    pub(super) fn skip(&self, length: usize) -> Rest<'a> {
        Rest::new(self.line, self.offset + length, self.escape)
    }

    fn word(&self, start: usize, end: usize) -> Word {
        let text = self.text()[start..end].to_owned();
        Word { span: self.line.span(self.offset + start), text }
    }

    /// The whole rest as one word.
    pub(super) fn whole(&self) -> Word {
        self.word(0, self.text().len())
    }

    /// Words parted by blanks; quotes have no meaning.
    pub(super) fn plain_words(&self) -> Vec<Word> {
        let text = self.text();
        let start = |word: &str| word.as_ptr() as usize - text.as_ptr() as usize;
        text.split_whitespace().map(|word| self.word(start(word), start(word) + word.len())).collect()
    }

    /// The end of the word that starts at an offset of the text; a quote that stays open is an error.
    fn word_end(&self, start: usize) -> Result<usize, ParseError> {
        let mut quote: Option<(char, usize)> = None;
        let mut escaped = false;
        for (index, c) in self.text()[start..].char_indices() {
            if escaped {
                escaped = false;
                continue;
            }
            match quote {
                None if c.is_whitespace() => return Ok(start + index),
                None if c == '\'' || c == '"' => quote = Some((c, index)),
                Some((open, _)) if open == c => quote = None,
                _ => {}
            }
            escaped = c == self.escape && !matches!(quote, Some(('\'', _)));
        }
        match quote {
            None => Ok(self.text().len()),
            Some((open, index)) => {
                Err(self.line.span(self.offset + start + index).error(format!("the quote {open} is never closed")))
            }
        }
    }

    /// Words parted by blanks that are neither quoted nor escaped; quotes stay in them.
    pub(super) fn quoted_words(&self) -> Result<Vec<Word>, ParseError> {
        let text = self.text();
        let mut words = Vec::new();
        let mut start = 0;
        while start < text.len() {
            let end = self.word_end(start)?;
            words.push(self.word(start, end));
            start = text.len() - text[end..].trim_start().len();
        }
        Ok(words)
    }

    /// Takes `--name=value` and `--name` from the front; quotes and escapes go at once.
    pub(super) fn flags(&mut self) -> Result<Vec<Pair>, ParseError> {
        let mut flags = Vec::new();
        while self.text().starts_with("--") {
            let mut word = self.word(0, self.word_end(0)?);
            *self = self.skip(word.text.len());
            word.text = unquoted(&word.text, self.escape);
            if word.text == "--" {
                break;
            }
            flags.push(split_pair(word));
        }
        Ok(flags)
    }

    /// The rest as a JSON array of texts, if it is one.
    pub(super) fn json(&self) -> Result<Option<Vec<String>>, ParseError> {
        if !self.text().starts_with('[') {
            return Ok(None);
        }
        let Ok(values) = serde_json::from_str::<Vec<serde_json::Value>>(self.text()) else { return Ok(None) };
        let texts = values.into_iter().map(|value| match value {
            serde_json::Value::String(text) => Ok(text),
            value => Err(self.error(format!("{value} in a JSON array, which holds texts only")).hint(r#"as in ["a"]"#)),
        });
        texts.collect::<Result<_, _>>().map(Some)
    }

    /// The rest as a JSON array of words that are still to be expanded, or as words parted by blanks.
    pub(super) fn json_or_words(&self) -> Result<Vec<Word>, ParseError> {
        let span = self.span();
        Ok(match self.json()? {
            Some(texts) => texts.into_iter().map(|text| Word { span, text }).collect(),
            None => self.plain_words(),
        })
    }

    /// `name=value name=value`, or the old form `name value of several words`.
    pub(super) fn pairs(&self, keyword: &str) -> Result<Vec<Pair>, ParseError> {
        let words = self.quoted_words()?;
        let first = words.first().ok_or_else(|| self.error(format!("{keyword} names nothing")))?;
        if !first.text.contains('=') {
            let name = first.clone();
            let rest = self.skip(name.text.len());
            if rest.is_empty() {
                let error = name.span.error(format!("{keyword} {} has no value", name.text));
                return Err(error.hint(format!("{keyword} {}=value", name.text)));
            }
            return Ok(vec![Pair { name, value: Some(rest.whole()) }]);
        }
        words.into_iter().map(split_pair).map(|pair| check_pair(pair, keyword)).collect()
    }

    /// `name`, `name=default`, several of them.
    pub(super) fn arguments(&self) -> Result<Vec<Pair>, ParseError> {
        let pairs: Vec<Pair> = self.quoted_words()?.into_iter().map(split_pair).collect();
        if pairs.is_empty() {
            return Err(self.error("ARG names nothing"));
        }
        if let Some(Pair { name, .. }) = pairs.iter().find(|pair| pair.name.text.is_empty()) {
            return Err(name.span.error("ARG has a value without a name"));
        }
        Ok(pairs)
    }
}

fn check_pair(pair: Pair, keyword: &str) -> Result<Pair, ParseError> {
    let name = &pair.name;
    if pair.value.is_none() {
        let error = name.span.error(format!("'{}' is not of the form name=value", name.text));
        return Err(error.hint(format!("put the value of {keyword} in quotes if it holds blanks")));
    }
    if name.text.is_empty() {
        return Err(name.span.error(format!("{keyword} has a value without a name")));
    }
    Ok(pair)
}

/// A flag without its quotes and escapes.
fn unquoted(text: &str, escape: char) -> String {
    let mut out = String::new();
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match quote {
            None if c == '\'' || c == '"' => quote = Some(c),
            Some(open) if open == c => quote = None,
            _ if c == escape => out.extend(chars.next()),
            _ => out.push(c),
        }
    }
    out
}

/// Parts a word at its first `=`.
pub(super) fn split_pair(word: Word) -> Pair {
    match word.text.split_once('=') {
        None => Pair { name: word, value: None },
        Some((name, value)) => {
            let mut span = word.span;
            span.column += name.chars().count() + 1;
            let name = Word { span: word.span, text: name.to_owned() };
            Pair { name, value: Some(Word { span, text: value.to_owned() }) }
        }
    }
}

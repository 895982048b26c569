//! Text, quotes and escapes.

use super::expand::{Lookup, Syntax};
use super::split::Words;
use crate::image::dockerfile::{ParseError, Word};

/// Reads a word character by character.
pub(super) struct Reader<'a> {
    pub(super) chars: Vec<char>,
    /// The next character to read.
    pub(super) at: usize,
    pub(super) word: &'a Word,
    pub(super) syntax: Syntax,
    pub(super) lookup: Lookup<'a>,
    depth: usize,
    /// Characters that variables gave.
    pub(super) taken: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(word: &'a Word, syntax: Syntax, lookup: Lookup<'a>) -> Reader<'a> {
        Reader { chars: word.text.chars().collect(), at: 0, word, syntax, lookup, depth: 0, taken: 0 }
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let c = self.peek();
        self.at += 1;
        c
    }

    /// An error at the character that was read last.
    pub(super) fn error(&self, message: impl Into<String>) -> ParseError {
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
    pub(super) fn text(
        &mut self,
        end: Option<char>,
        raw: bool,
        words: &mut Option<Words>,
    ) -> Result<String, ParseError> {
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
    pub(super) fn short(&self) -> String {
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
}

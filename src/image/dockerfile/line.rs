//! Logical lines: continuations joined, comments gone, and every character still knows its place.

use std::iter::Enumerate;
use std::str::SplitInclusive;

use super::heredoc::Mark;
use super::{Heredoc, ParseError, Span};

/// One instruction's text. Offsets into it map back to the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct LogicalLine {
    pub(super) text: String,
    /// Starts of the physical pieces: offset into `text`, and the place of its first character.
    pieces: Vec<(usize, Span)>,
}

impl LogicalLine {
    /// The place of the character at a byte offset.
    pub(super) fn span(&self, offset: usize) -> Span {
        let index = self.pieces.partition_point(|(start, _)| *start <= offset).saturating_sub(1);
        let (start, span) = self.pieces[index];
        let column = self.text.get(start..offset).map_or(0, |text| text.chars().count());
        Span { line: span.line, column: span.column + column }
    }

    /// Adds characters, the first of which stands at `span` of the text; `place` says where each comes from.
    fn push(&mut self, piece: &str, span: Span, place: Place<'_>) {
        let mut next = None;
        for (index, (offset, _)) in piece.char_indices().enumerate() {
            let found = place(Span { column: span.column + index, ..span });
            if next != Some(found) {
                self.pieces.push((self.text.len() + offset, found));
            }
            next = Some(Span { column: found.column + 1, ..found });
        }
        if piece.is_empty() {
            self.pieces.push((self.text.len(), place(span)));
        }
        self.text.push_str(piece);
    }
}

/// From a place of the text that is read to the one that is told: another where the text was made from a template.
pub(super) type Place<'a> = &'a dyn Fn(Span) -> Span;

/// The name and value of a line like `# escape=x`.
fn directive(line: &str) -> Option<(String, &str)> {
    let (name, value) = line.trim_start().strip_prefix('#')?.split_once('=')?;
    let name = name.trim();
    let legal = name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.bytes().all(|b| b.is_ascii_alphanumeric());
    let value = value.trim();
    (legal && !value.is_empty()).then(|| (name.to_ascii_lowercase(), value))
}

/// The line without the escape character that ends it, if it is continued.
fn continued(line: &str, escape: char) -> Option<&str> {
    let body = line.trim_end_matches([' ', '\t']).strip_suffix(escape)?;
    (!body.ends_with(escape)).then_some(body)
}

/// Reads a file from top to bottom: logical lines, and the here-documents after them.
pub(super) struct Reader<'a> {
    pub(super) escape: char,
    place: Place<'a>,
    lines: Enumerate<SplitInclusive<'a, char>>,
    /// Directives seen; `None` once there can be no more.
    directives: Option<Vec<String>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str, place: Place<'a>) -> Reader<'a> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let lines = text.split_inclusive('\n').enumerate();
        Reader { escape: '\\', place, lines, directives: Some(Vec::new()) }
    }

    /// The next physical line with its number and its line feed.
    fn physical(&mut self) -> Result<Option<(usize, &'a str)>, ParseError> {
        let Some((index, line)) = self.lines.next() else { return Ok(None) };
        if let Some(offset) = line.find('\0') {
            let column = 1 + line[..offset].chars().count();
            return Err((self.place)(Span { line: index + 1, column }).error("a NUL byte: this is no Dockerfile"));
        }
        Ok(Some((index + 1, line)))
    }

    /// Whether a line is a parser directive; what it says is done.
    fn is_directive(&mut self, line: &str, span: Span) -> Result<bool, ParseError> {
        let Some(seen) = &mut self.directives else { return Ok(false) };
        let known = |name: &str| matches!(name, "escape" | "syntax" | "check");
        let Some((name, value)) = directive(line).filter(|(name, _)| known(name)) else {
            self.directives = None;
            return Ok(false);
        };
        if seen.contains(&name) {
            return Err(span.error(format!("the directive '{name}' is given twice")));
        }
        if name == "escape" {
            self.escape = match value {
                "\\" => '\\',
                "`" => '`',
                _ => return Err(span.error(format!("escape character '{value}' is neither '\\' nor '`'"))),
            };
        }
        seen.push(name);
        Ok(true)
    }

    /// The next instruction.
    pub(super) fn next(&mut self) -> Result<Option<LogicalLine>, ParseError> {
        let mut open: Option<LogicalLine> = None;
        while let Some((number, line)) = self.physical()? {
            let line = line.trim_end_matches(['\r', '\n']);
            let body = line.trim_start();
            let span = Span { line: number, column: 1 + line.chars().count() - body.chars().count() };
            if self.is_directive(line, (self.place)(span))? || body.starts_with('#') || body.is_empty() {
                continue;
            }
            // What continues a line keeps its indentation: it may stand inside quotes.
            let (piece, span) = if open.is_some() { (line, Span { column: 1, ..span }) } else { (body, span) };
            let mut current = open.take().unwrap_or_default();
            match continued(piece, self.escape) {
                Some(piece) => {
                    current.push(piece, span, self.place);
                    open = Some(current);
                }
                None => {
                    current.push(piece, span, self.place);
                    return Ok(Some(current));
                }
            }
        }
        Ok(open.filter(|line| !line.text.trim().is_empty()))
    }

    /// The text of a here-document, which begins at the next physical line.
    pub(super) fn heredoc(&mut self, mark: &Mark, span: Span) -> Result<Heredoc, ParseError> {
        let mut raw = String::new();
        let mut first_line = None;
        while let Some((number, line)) = self.physical()? {
            first_line.get_or_insert((self.place)(Span { line: number, column: 1 }).line);
            let end = line.trim_end_matches(['\r', '\n']);
            if mark.name == if mark.strip_tabs { end.trim_start_matches('\t') } else { end } {
                let text = if mark.strip_tabs {
                    raw.split_inclusive('\n').map(|line| line.trim_start_matches('\t')).collect()
                } else {
                    raw.clone()
                };
                let (name, expand) = (mark.name.clone(), mark.expand);
                return Ok(Heredoc { span, name, expand, text, raw, first_line: first_line.unwrap_or(number) });
            }
            raw.push_str(line);
        }
        let error = span.error(format!("the here-document '{}' has no end", mark.name));
        Err(error.hint(format!("a line that is just {} ends it", mark.name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Result<Vec<LogicalLine>, ParseError> {
        let mut reader = Reader::new(text, &|span| span);
        std::iter::from_fn(|| reader.next().transpose()).collect()
    }

    fn texts(text: &str) -> Vec<String> {
        lines(text).unwrap().into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn continuations_skip_comments_and_blank_lines() {
        let text = "\u{feff}# note\r\nENV a=1 \\\r\n  # between\r\n\r\n  b=2\r\nCMD x";
        assert_eq!(texts(text), ["ENV a=1   b=2", "CMD x"]);
        let line = &lines(text).unwrap()[0];
        assert_eq!(line.span(0), Span { line: 2, column: 1 });
        assert_eq!(line.span(line.text.find("b=2").unwrap()), Span { line: 5, column: 3 });
    }

    #[test]
    fn two_escapes_do_not_continue() {
        assert_eq!(texts("ENV a=\\\\\nCMD x"), ["ENV a=\\\\", "CMD x"]);
        assert_eq!(texts("ENV a=1\\"), ["ENV a=1"]);
        assert_eq!(texts("\\\n\\ \nCMD x"), ["CMD x"]);
    }

    #[test]
    fn directives_count_only_at_the_top() {
        let escape = |text: &str| {
            let mut reader = Reader::new(text, &|span| span);
            while reader.next().unwrap().is_some() {}
            reader.escape
        };
        assert_eq!(texts("# syntax=docker/dockerfile:1\n# escape=`\nENV a=1 `\n b=2"), ["ENV a=1  b=2"]);
        assert_eq!(escape("#check=skip=all\n #  Escape = `\n"), '`');
        assert_eq!(escape("# a note\n# escape=`\nCMD x"), '\\');
        assert_eq!(escape("\n# escape=`\nCMD x"), '\\');
        assert_eq!(escape("# unknown=1\n# escape=`\nCMD x"), '\\');
        let error = lines("# escape=/\n").unwrap_err();
        assert_eq!((error.line, error.column), (1, 1));
        assert!(lines("# escape=`\n# escape=`\n").is_err());
    }

    #[test]
    fn a_here_document_keeps_its_lines() {
        let mut reader = Reader::new("X\n# no comment\n\n\t\tb \\\r\n\tEND\nY", &|span| span);
        reader.next().unwrap();
        let mark = Mark { name: "END".into(), expand: true, strip_tabs: true };
        let heredoc = reader.heredoc(&mark, Span { line: 1, column: 1 }).unwrap();
        assert_eq!(heredoc.text, "# no comment\n\nb \\\r\n");
        assert_eq!((heredoc.raw.as_str(), heredoc.first_line), ("# no comment\n\n\t\tb \\\r\n", 2));
        assert_eq!(reader.next().unwrap().unwrap().text, "Y");
    }

    #[test]
    fn places_may_be_in_another_text() {
        let place = |span: Span| Span { line: span.line + 10, column: if span.column < 5 { span.column } else { 5 } };
        let line = Reader::new("ENV a=1 \\\n b=2", &place).next().unwrap().unwrap();
        assert_eq!(line.span(2), Span { line: 11, column: 3 });
        assert_eq!(line.span(6), Span { line: 11, column: 5 });
        assert_eq!(line.span(line.text.find("b=2").unwrap()), Span { line: 12, column: 2 });
    }
}

//! Logical lines: continuations joined, comments gone, and every character still knows its place.

use super::{ParseError, Span};

/// One instruction's text. Offsets into it map back to the file.
#[derive(Debug, Clone, PartialEq, Eq)]
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

    fn push(&mut self, piece: &str, span: Span) {
        self.pieces.push((self.text.len(), span));
        self.text.push_str(piece);
    }
}

/// A file cut into logical lines, and its escape character.
#[derive(Debug)]
pub(super) struct Lines {
    pub(super) escape: char,
    pub(super) lines: Vec<LogicalLine>,
}

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

/// Cuts a file.
pub(super) fn split(text: &str) -> Result<Lines, ParseError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut escape = '\\';
    let mut seen: Vec<String> = Vec::new();
    let mut directives = true;
    let mut lines = Vec::new();
    let mut open: Option<LogicalLine> = None;
    for (number, line) in text.split('\n').enumerate() {
        let line = line.strip_suffix('\r').unwrap_or(line);
        let body = line.trim_start_matches([' ', '\t', '\x0b', '\x0c']);
        let span = Span { line: number + 1, column: 1 + line.len() - body.len() };
        if let Some(offset) = line.find('\0') {
            let column = 1 + line[..offset].chars().count();
            return Err(Span { line: number + 1, column }.error("a NUL byte: this is no Dockerfile"));
        }
        if directives {
            match directive(line) {
                Some((name, value)) if matches!(name.as_str(), "escape" | "syntax" | "check") => {
                    if seen.contains(&name) {
                        return Err(span.error(format!("the directive '{name}' is given twice")));
                    }
                    escape = match (name.as_str(), value) {
                        ("escape", "\\") => '\\',
                        ("escape", "`") => '`',
                        ("escape", _) => {
                            return Err(span.error(format!("escape character '{value}' is neither '\\' nor '`'")));
                        }
                        _ => escape,
                    };
                    seen.push(name);
                    continue;
                }
                _ => directives = false,
            }
        }
        if body.starts_with('#') || body.is_empty() {
            continue;
        }
        // What continues a line keeps its indentation: it may stand inside quotes.
        let (piece, span) = if open.is_some() { (line, Span { column: 1, ..span }) } else { (body, span) };
        let mut current = open.take().unwrap_or(LogicalLine { text: String::new(), pieces: Vec::new() });
        match continued(piece, escape) {
            Some(piece) => {
                current.push(piece, span);
                open = Some(current);
            }
            None => {
                current.push(piece, span);
                lines.push(current);
            }
        }
    }
    lines.extend(open.filter(|line| !line.text.trim().is_empty()));
    Ok(Lines { escape, lines })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        split(text).unwrap().lines.into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn continuations_skip_comments_and_blank_lines() {
        let text = "\u{feff}# note\r\nENV a=1 \\\r\n  # between\r\n\r\n  b=2\r\nCMD x";
        assert_eq!(texts(text), ["ENV a=1   b=2", "CMD x"]);
        let line = &split(text).unwrap().lines[0];
        assert_eq!(line.span(0), Span { line: 2, column: 1 });
        assert_eq!(line.span(line.text.find("b=2").unwrap()), Span { line: 5, column: 3 });
    }

    #[test]
    fn two_escapes_do_not_continue() {
        assert_eq!(texts("ENV a=\\\\\nCMD x"), ["ENV a=\\\\", "CMD x"]);
        assert_eq!(texts("ENV a=1\\"), ["ENV a=1"]);
    }

    #[test]
    fn directives_count_only_at_the_top() {
        let lines = split("# syntax=docker/dockerfile:1\n# escape=`\nENV a=1 `\n b=2").unwrap();
        assert_eq!((lines.escape, lines.lines.len()), ('`', 1));
        assert_eq!(split("# a note\n# escape=`\nCMD x").unwrap().escape, '\\');
        let error = split("# escape=/\n").unwrap_err();
        assert_eq!((error.line, error.column), (1, 1));
        assert!(split("# escape=`\n# escape=`\n").is_err());
    }
}

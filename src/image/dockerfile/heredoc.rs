//! `<<NAME`: where here-documents are announced.

use super::line::LogicalLine;
use super::variable::{self, Syntax};
use super::{Span, Word};

/// The announcement of a here-document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) name: String,
    /// No part of the name was quoted.
    pub(super) expand: bool,
    /// `<<-`.
    pub(super) strip_tabs: bool,
}

/// Words as they stand: nothing is worth anything, and nothing is removed.
const RAW: Syntax = Syntax { raw_quotes: true, raw_escapes: true, keep_unset: true, ..Syntax::new('\\') };

fn words(text: &str, syntax: Syntax) -> Vec<(usize, String)> {
    let word = Word { span: Span { line: 1, column: 1 }, text: text.to_owned() };
    // What does not parse here holds no here-document; if it is wrong, expanding it says so.
    variable::split(&word, syntax, &|_| None).unwrap_or_default()
}

impl Mark {
    /// The mark that a word is: a file descriptor may stand before it, blanks before the name.
    pub(super) fn parse(word: &str) -> Option<Mark> {
        let rest = word.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix("<<")?;
        let strip_tabs = rest.starts_with('-');
        let rest = rest[usize::from(strip_tabs)..].trim_start();
        if rest.contains('<') {
            return None;
        }
        let plain = words(rest, Syntax { keep_unset: true, ..Syntax::new('\\') });
        let quoted = words(rest, Syntax { raw_quotes: true, keep_unset: true, ..Syntax::new('\\') });
        let ([(_, name)], [(_, quoted)]) = (plain.as_slice(), quoted.as_slice()) else { return None };
        let quotes = |text: &str| text.matches(['\'', '"']).count();
        Some(Mark { expand: quotes(name) == quotes(quoted), name: name.clone(), strip_tabs })
    }

    /// All marks of a line, each with its place.
    pub(super) fn all(line: &LogicalLine) -> Vec<(Span, Mark)> {
        if !line.text.contains("<<") {
            return Vec::new();
        }
        let mark = |(start, word): (usize, String)| {
            let offset = line.text.char_indices().nth(start).map_or(line.text.len(), |(offset, _)| offset);
            Some((line.span(offset), Mark::parse(&word)?))
        };
        words(&line.text, RAW).into_iter().filter_map(mark).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_told_from_what_looks_like_them() {
        for (word, wanted) in [
            ("<<EOF", Some(("EOF", true, false))),
            ("3<<-EOF", Some(("EOF", true, true))),
            ("<< EOF", Some(("EOF", true, false))),
            ("<<'EOF'", Some(("EOF", false, false))),
            ("<<\"a b\"", Some(("a b", false, false))),
            ("<<E'O'F", Some(("EOF", false, false))),
            ("<<$name", Some(("$name", true, false))),
            ("<<", None),
            ("<<-", None),
            ("<<<word", None),
            ("a<<EOF", None),
            ("<<a b", None),
            ("<EOF", None),
        ] {
            let mark = Mark::parse(word);
            let mark = mark.as_ref().map(|mark| (mark.name.as_str(), mark.expand, mark.strip_tabs));
            assert_eq!(mark, wanted, "{word}");
        }
    }

    #[test]
    fn quoted_marks_are_none() {
        let names = |text: &str| {
            let mut reader = super::super::line::Reader::new(text, &|span| span);
            let marks = Mark::all(&reader.next().unwrap().unwrap());
            marks.into_iter().map(|(span, mark)| (span.column, mark.name)).collect::<Vec<_>>()
        };
        assert_eq!(names("RUN cat <<A 5<<-B > x"), [(9, "A".into()), (13, "B".into())]);
        assert_eq!(names("RUN cat << A"), [(9, "A".into())]);
        assert_eq!(names("RUN echo '<<A' \"<<B\" \\<<C x<<D"), []);
        assert_eq!(names("RUN echo it's <<A"), []);
    }
}

//! A Dockerfile as another builder is to read it: some words of it are others there.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::domain::{Digest, Error, Result, ResultExt};
use crate::image::{Dockerfile, Graph, ParseError, Span};

/// A piece of a Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// This text.
    Text(String),
    /// The name that the builder knows the image of this manifest by.
    Base(Digest),
}

/// What is to stand in the place of a word.
struct Change {
    old: Old,
    new: Part,
}

/// What a change takes away.
enum Old {
    /// A word, as it must stand there; nothing where something is put in.
    Word(String),
    /// The rest of the line, which is a JSON array of texts.
    Array,
}

impl Old {
    /// What comes after it in the rest of a line.
    fn skip<'a>(&self, rest: &'a str) -> Option<&'a str> {
        match self {
            Old::Word(word) => rest.strip_prefix(word.as_str()),
            Old::Array => {
                let array = rest.trim_end();
                serde_json::from_str::<Vec<String>>(array).is_ok().then(|| &rest[array.len()..])
            }
        }
    }

    fn characters(&self) -> usize {
        match self {
            Old::Word(word) => word.chars().count(),
            Old::Array => 0,
        }
    }
}

/// The words of a Dockerfile that are to be others, by their places in the text.
#[derive(Default)]
pub(super) struct Changes(BTreeMap<Span, Change>);

impl Changes {
    /// Puts something into the place of a word.
    pub(super) fn replace(&mut self, span: Span, old: &str, new: Part) {
        self.0.insert(span, Change { old: Old::Word(old.to_owned()), new });
    }

    /// Puts a text before the word at a place.
    pub(super) fn insert(&mut self, span: Span, new: &str) {
        self.replace(span, "", Part::Text(new.to_owned()));
    }

    /// Puts an array into the place of the one that ends a line.
    pub(super) fn replace_array(&mut self, span: Span, words: &[String]) -> Result<()> {
        let text = serde_json::to_string(words).or_bug(|| "cannot write JSON".into())?;
        self.0.insert(span, Change { old: Old::Array, new: Part::Text(text) });
        Ok(())
    }

    /// The text with the changes, up to the last stage of a graph. Stages that are not needed become empty ones, so that
    /// those after them keep their numbers, and nobody asks for their bases; `# syntax=` goes, which would have the builder
    /// download another reader of Dockerfiles.
    ///
    /// # Errors
    /// A word that does not stand in its place as it was read: it is quoted, or continued in the next line.
    pub(super) fn apply(&self, text: &str, file: &Dockerfile, graph: &Graph) -> Result<Vec<Part>> {
        let last = graph.stages.last().ok_or_else(|| Error::bug("a Dockerfile without a stage"))?.index;
        let mut parts = Parts::default();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (number, line) in (1..).zip(text.split_inclusive('\n')) {
            let begun = file.stages.iter().rposition(|stage| stage.from.span.line <= number);
            match begun {
                None if is_syntax(line) => {}
                Some(index) if index > last => break,
                Some(index) if !graph.stages.iter().any(|stage| stage.index == index) => {
                    let from = &file.stages[index].from;
                    if from.span.line == number {
                        let name = from.name.as_ref().map_or(String::new(), |name| format!(" AS {name}"));
                        parts.text(&format!("FROM scratch{name}\n"));
                    }
                }
                _ => self.line(number, line, &mut parts)?,
            }
        }
        Ok(parts.0)
    }

    fn line(&self, number: usize, line: &str, parts: &mut Parts) -> Result<(), ParseError> {
        let (first, last) = (Span { line: number, column: 0 }, Span { line: number, column: usize::MAX });
        let mut rest = line;
        let mut column = 1;
        for (span, change) in self.0.range(first..=last) {
            let skip = rest.char_indices().nth(span.column.saturating_sub(column)).map_or(rest.len(), |(at, _)| at);
            let (before, at) = rest.split_at(skip);
            let after = change.old.skip(at).ok_or_else(|| {
                let error = span.error("an engine's builder needs something else here, which cannot be put in");
                error.hint("write the word without quotes and on one line")
            })?;
            parts.text(before);
            match &change.new {
                Part::Text(text) => parts.text(text),
                Part::Base(digest) => parts.0.push(Part::Base(*digest)),
            }
            column = span.column + change.old.characters();
            rest = after;
        }
        parts.text(rest);
        Ok(())
    }
}

/// Pieces in which no text follows another.
#[derive(Default)]
struct Parts(Vec<Part>);

impl Parts {
    fn text(&mut self, more: &str) {
        match self.0.last_mut() {
            Some(Part::Text(text)) => text.push_str(more),
            _ => self.0.push(Part::Text(more.to_owned())),
        }
    }
}

fn is_syntax(line: &str) -> bool {
    let directive = line.trim_start().strip_prefix('#').and_then(|line| line.split_once('='));
    directive.is_some_and(|(name, _)| name.trim().eq_ignore_ascii_case("syntax"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Triggers;

    #[test]
    fn words_change_and_stages_that_nobody_needs_are_empty() {
        let text = "# syntax=docker/dockerfile:1\nARG B=a\nFROM $B AS one\nRUN x\nFROM other AS two\nRUN \\\n  y\nFROM b\n\
                    COPY --from=one ü /\nFROM c\n";
        let file = Dockerfile::parse(text).unwrap();
        let graph = file.graph(Some("2"), &Triggers::new(), &|word| Ok(word.text.clone())).unwrap();
        let mut changes = Changes::default();
        let digest = Digest::of(b"a");
        changes.replace(file.stages[0].from.image.span, "$B", Part::Base(digest));
        changes.replace(Span { line: 8, column: 6 }, "b", Part::Text("x".into()));
        changes.insert(Span { line: 9, column: 17 }, "context/");
        let parts = changes.apply(text, &file, &graph).unwrap();
        assert_eq!(
            parts,
            [
                Part::Text("ARG B=a\nFROM ".into()),
                Part::Base(digest),
                Part::Text(" AS one\nRUN x\nFROM scratch AS two\nFROM x\nCOPY --from=one context/ü /\n".into()),
            ]
        );
    }

    #[test]
    fn a_word_that_is_written_otherwise_is_told_of() {
        let text = "FROM a\nCOPY --from=\"b\" x /\n";
        let file = Dockerfile::parse(text).unwrap();
        let graph = file.graph(None, &Triggers::new(), &|word| Ok(word.text.clone())).unwrap();
        let mut changes = Changes::default();
        changes.replace(Span { line: 2, column: 13 }, "b", Part::Text("x".into()));
        let error = changes.apply(text, &file, &graph).unwrap_err().to_string();
        assert!(error.contains("cannot be put in"), "{error}");
    }
}

//! One line under construction, which knows how many columns it takes.

use super::format::{clip, width};
use super::look::{Look, Tone};

/// A line that never takes more than its limit.
pub(super) struct Row {
    look: Look,
    limit: usize,
    columns: usize,
    text: String,
}

impl Row {
    /// An empty line of at most `limit` columns.
    pub(super) fn new(look: Look, limit: usize) -> Row {
        Row { look, limit, columns: 0, text: String::new() }
    }

    /// Adds text, clipped to what is left.
    pub(super) fn push(mut self, tone: Tone, text: &str) -> Row {
        let text = clip(text, self.room(), self.look);
        self.columns += width(&text);
        self.text.push_str(&self.look.paint(tone, &text));
        self
    }

    /// Adds spaces up to a column.
    pub(super) fn pad(self, column: usize) -> Row {
        let spaces = column.saturating_sub(self.columns).min(self.room());
        self.push(Tone::Plain, &" ".repeat(spaces))
    }

    /// The columns that are left.
    pub(super) fn room(&self) -> usize {
        self.limit.saturating_sub(self.columns)
    }

    /// The columns taken.
    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

//! Where the characters of an expanded text come from.

/// For each line of an expanded text, its line in the template and where its columns stand there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins {
    /// None for a text that is its own template.
    lines: Vec<LineOrigin>,
}

/// One line: from a column on, characters come from a column of a line of the template. All of them count from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LineOrigin {
    /// The line of the template.
    pub(super) line: usize,
    /// Pieces, the first of which starts in column 1.
    pub(super) pieces: Vec<Piece>,
}

/// Characters that come from one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    /// Its first column in the text.
    pub(super) start: usize,
    /// Its first column in the template.
    pub(super) from: usize,
    /// It was put in: all of it comes from one place.
    pub(super) put_in: bool,
}

impl Origins {
    pub(super) fn new(lines: Vec<LineOrigin>) -> Origins {
        Origins { lines }
    }

    /// Whether the text is its own template.
    pub fn are_same(&self) -> bool {
        self.lines.is_empty()
    }

    /// The line and column in the template of a place in the text.
    pub fn find(&self, line: usize, column: usize) -> (usize, usize) {
        if self.are_same() {
            return (line, column);
        }
        // What is said of the end of the file stands behind its last line.
        let Some(origin) = self.lines.get(line.wrapping_sub(1)).or(self.lines.last()) else { return (line, column) };
        let piece = origin.pieces.iter().rev().find(|piece| piece.start <= column).or(origin.pieces.first());
        let column = piece
            .map_or(1, |piece| if piece.put_in { piece.from } else { piece.from + column.saturating_sub(piece.start) });
        (origin.line, column)
    }
}

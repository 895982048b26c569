//! Where lines are written: those that stay above, those that are drawn again below.

use std::io::Write;
use std::time::{Duration, Instant};

use super::row::Row;

/// While something is drawn, lines that stay are written together this often at most.
const TOGETHER: Duration = Duration::from_millis(50);

/// Columns and rows of a terminal.
pub(super) type Size = (usize, usize);

/// A terminal or a file. Each change is one write, so that nothing half drawn is seen.
pub(super) struct Screen {
    out: Box<dyn Write + Send>,
    size: Box<dyn Fn() -> Option<Size> + Send>,
    /// The columns of each line that is drawn at the bottom now; the cursor is below the last.
    drawn: Vec<usize>,
    /// The size for which they were drawn.
    size_drawn: Option<Size>,
    /// Lines that stay and are not written yet.
    waiting: String,
    written: Instant,
}

impl Screen {
    pub(super) fn new(out: Box<dyn Write + Send>, size: Box<dyn Fn() -> Option<Size> + Send>) -> Screen {
        Screen { out, size, drawn: Vec::new(), size_drawn: None, waiting: String::new(), written: Instant::now() }
    }

    /// The terminal's size now, if it is one.
    pub(super) fn size(&self) -> Option<Size> {
        (self.size)().filter(|(columns, rows)| *columns > 0 && *rows > 0)
    }

    pub(super) fn is_drawn(&self) -> bool {
        !self.drawn.is_empty()
    }

    /// Adds lines that stay, and says whether they should be written now.
    pub(super) fn push(&mut self, text: &str, now: Instant) -> bool {
        self.waiting.push_str(text);
        !self.is_drawn() || now.saturating_duration_since(self.written) >= TOGETHER
    }

    /// Writes the lines that stay, and draws these below them in place of the former ones.
    pub(super) fn show(&mut self, lines: &[Row], now: Instant) {
        let size = if self.is_drawn() || !lines.is_empty() { self.size() } else { None };
        let overwrite = self.waiting.is_empty() && lines.len() >= self.drawn.len() && size == self.size_drawn;
        let mut text = self.back(size, overwrite);
        text.push_str(&self.waiting);
        self.waiting.clear();
        self.waiting.shrink_to(64 * 1024);
        if !lines.is_empty() {
            // No wrapping, lest a terminal that has just become narrower breaks the count of rows.
            text.push_str("\x1b[?7l");
            for line in lines {
                text.push_str(line.text());
                text.push_str("\x1b[K\n");
            }
            text.push_str("\x1b[?7h");
        }
        self.drawn = lines.iter().map(Row::columns).collect();
        self.size_drawn = size;
        self.written = now;
        if !text.is_empty() {
            // Nobody is left to be told if standard error is gone.
            let _ = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
        }
    }

    /// Brings the cursor to the first drawn line, and erases what is drawn unless it will be overwritten.
    ///
    /// Terminals break lines anew when they become narrower. Rows are erased one by one: tmux keeps a copy of what
    /// "erase below" erases, and takes rows that it has broken for one line until they are erased as a whole.
    fn back(&self, size: Option<Size>, overwrite: bool) -> String {
        if self.drawn.is_empty() {
            return String::new();
        }
        let (columns, height) = size.unwrap_or((usize::MAX, usize::MAX));
        let rows: usize = self.drawn.iter().map(|width| width.div_ceil(columns).max(1)).sum();
        let rows = rows.min(height);
        if overwrite { format!("\r\x1b[{rows}A") } else { format!("\r{}", "\x1b[1A\x1b[2K".repeat(rows)) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::super::look::{Look, Tone};
    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<String>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().push_str(std::str::from_utf8(bytes).unwrap());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn drawn_lines_are_overwritten_or_erased_however_they_were_broken() {
        let written = Written::default();
        let size = Arc::new(Mutex::new((40, 10)));
        let now = Instant::now();
        let mut screen = Screen::new(Box::new(written.clone()), {
            let size = Arc::clone(&size);
            Box::new(move || Some(*size.lock().unwrap()))
        });
        let row = |text| Row::new(Look { colour: false, unicode: false }, 39).push(Tone::Plain, text);
        let taken = || std::mem::take(&mut *written.0.lock().unwrap());

        assert!(screen.push("built a\n", now));
        screen.show(&[], now);
        assert_eq!(taken(), "built a\n");
        screen.show(&[row("one"), row("a line of twenty-five char")], now);
        assert_eq!(taken(), "\x1b[?7lone\x1b[K\na line of twenty-five char\x1b[K\n\x1b[?7h");
        screen.show(&[row("uno"), row("a line of twenty-five char")], now);
        assert!(taken().starts_with("\r\x1b[2A\x1b[?7luno\x1b[K\n"));

        *size.lock().unwrap() = (20, 10);
        assert!(!screen.push("built b\n", now), "written with the next frame");
        assert!(screen.push("built c\n", now + TOGETHER));
        screen.show(&[], now);
        assert_eq!(taken(), format!("\r{}built b\nbuilt c\n", "\x1b[1A\x1b[2K".repeat(3)));
        screen.show(&[], now);
        assert_eq!(taken(), "");
    }
}

//! The output of a running step: cut into lines as it comes, and its end kept in case the step fails.

use std::collections::VecDeque;

use crate::domain::Stream;

/// A longer line is cut, so that a command which never ends a line takes no memory.
const LINE_BYTES: usize = 16 * 1024;
const KEPT_BYTES: usize = 64 * 1024;
const KEPT_LINES: usize = 200;

/// The unfinished lines of a step's two streams.
#[derive(Default)]
pub(super) struct Lines {
    stdout: Partial,
    stderr: Partial,
}

impl Lines {
    /// Takes a piece of output and gives the lines that are now whole.
    pub(super) fn push(&mut self, stream: Stream, text: &str, mut each: impl FnMut(&str)) {
        match stream {
            Stream::Stdout => self.stdout.push(text, &mut each),
            Stream::Stderr => self.stderr.push(text, &mut each),
        }
    }

    /// Gives what is left when nothing more comes.
    pub(super) fn finish(&mut self, mut each: impl FnMut(&str)) {
        self.stdout.finish(&mut each);
        self.stderr.finish(&mut each);
    }
}

#[derive(Default)]
struct Partial(String);

impl Partial {
    fn push(&mut self, text: &str, each: &mut impl FnMut(&str)) {
        for piece in text.split_inclusive('\n') {
            if self.0.is_empty() && piece.len() <= LINE_BYTES && piece.ends_with('\n') {
                each(overwritten(piece));
            } else {
                self.append(piece, each);
            }
        }
    }

    fn append(&mut self, mut piece: &str, each: &mut impl FnMut(&str)) {
        while !piece.is_empty() {
            if self.0.len() >= LINE_BYTES {
                self.make_room(each);
            }
            let mut end = piece.len().min(LINE_BYTES - self.0.len());
            while !piece.is_char_boundary(end) {
                end -= 1;
            }
            if end == 0 {
                self.make_room(each);
                continue;
            }
            self.0.push_str(&piece[..end]);
            piece = &piece[end..];
        }
        if self.0.ends_with('\n') {
            self.finish(each);
        }
    }

    /// Forgets what was overwritten; if that is nothing, the line ends here.
    fn make_room(&mut self, each: &mut impl FnMut(&str)) {
        let end = self.0.trim_end_matches('\r').len();
        match self.0[..end].rfind('\r') {
            Some(at) => drop(self.0.drain(..=at)),
            None => self.finish(each),
        }
    }

    fn finish(&mut self, each: &mut impl FnMut(&str)) {
        if !self.0.is_empty() {
            each(overwritten(&self.0));
            self.0.clear();
        }
    }
}

/// What stays of a line whose carriage returns went back to its beginning, as progress bars do.
fn overwritten(line: &str) -> &str {
    let line = line.strip_suffix('\n').unwrap_or(line).trim_end_matches('\r');
    line.rsplit('\r').next().unwrap_or(line)
}

/// The last lines of a step's output.
#[derive(Default)]
pub(super) struct Kept {
    lines: VecDeque<String>,
    bytes: usize,
    dropped: u64,
}

impl Kept {
    /// Keeps a line, at the cost of the oldest if there are too many.
    pub(super) fn push(&mut self, line: &str) {
        self.bytes += line.len();
        self.lines.push_back(line.to_owned());
        while self.lines.len() > KEPT_LINES || self.bytes > KEPT_BYTES {
            let Some(oldest) = self.lines.pop_front() else { break };
            self.bytes -= oldest.len();
            self.dropped += 1;
        }
    }

    pub(super) fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }

    /// How many lines came before the ones that are kept.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(pieces: &[(Stream, &str)]) -> Vec<String> {
        let mut lines = Lines::default();
        let mut told = Vec::new();
        for (stream, text) in pieces {
            lines.push(*stream, text, |line| told.push(line.to_owned()));
        }
        lines.finish(|line| told.push(line.to_owned()));
        told
    }

    #[test]
    fn streams_do_not_mix_inside_a_line() {
        let told = split(&[
            (Stream::Stdout, "one\ntw"),
            (Stream::Stderr, "warn"),
            (Stream::Stdout, "o\n\nthree"),
            (Stream::Stderr, "ing\n"),
        ]);
        assert_eq!(told, ["one", "two", "", "warning", "three"]);
    }

    #[test]
    fn carriage_returns_overwrite() {
        let told = split(&[
            (Stream::Stdout, "10%\r20%\r"),
            (Stream::Stdout, "30%\r"),
            (Stream::Stdout, "\ndos\r\nend\r"),
            (Stream::Stderr, "\r\n"),
        ]);
        assert_eq!(told, ["30%", "dos", "", "end"]);
    }

    #[test]
    fn a_line_without_end_is_cut_and_a_bar_without_end_forgotten() {
        let long = "ü".repeat(LINE_BYTES);
        let told = split(&[(Stream::Stdout, "x"), (Stream::Stdout, &long)]);
        assert_eq!(told.concat(), format!("x{long}"));
        assert!(told.iter().all(|line| line.len() <= LINE_BYTES));

        let bar = "99% done\r".repeat(LINE_BYTES);
        assert_eq!(split(&[(Stream::Stdout, &bar)]), ["99% done"]);
        let returns = "\r".repeat(3 * LINE_BYTES);
        assert!(split(&[(Stream::Stdout, &returns)]).iter().all(String::is_empty));
    }

    #[test]
    fn only_the_end_is_kept() {
        let mut kept = Kept::default();
        for number in 0..1_000_000 {
            kept.push(&number.to_string());
        }
        assert_eq!(kept.lines().count(), KEPT_LINES);
        assert_eq!(kept.lines().last(), Some("999999"));
        assert_eq!(kept.dropped(), 1_000_000 - KEPT_LINES as u64);

        let mut kept = Kept::default();
        for _ in 0..100 {
            kept.push(&"x".repeat(LINE_BYTES));
        }
        assert_eq!(kept.lines().count(), KEPT_BYTES / LINE_BYTES);
        assert!(kept.bytes <= KEPT_BYTES);
    }
}

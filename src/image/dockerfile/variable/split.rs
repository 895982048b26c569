//! Words that come of one: the values of variables part where they have blanks.

/// Words while they are put together.
#[derive(Default)]
pub(super) struct Words {
    done: Vec<(usize, String)>,
    current: Option<(usize, String)>,
}

impl Words {
    pub(super) fn raw(&mut self, at: usize, text: &str) {
        self.current.get_or_insert_with(|| (at, String::new())).1.push_str(text);
    }

    /// Blanks end a word.
    pub(super) fn blanks_part(&mut self, at: usize, text: &str) {
        for c in text.chars() {
            if c.is_whitespace() {
                self.end();
            } else {
                self.raw(at, c.encode_utf8(&mut [0; 4]));
            }
        }
    }

    fn end(&mut self) {
        self.done.extend(self.current.take().filter(|(_, text)| !text.is_empty()));
    }

    pub(super) fn finish(mut self) -> Vec<(usize, String)> {
        self.end();
        self.done
    }
}

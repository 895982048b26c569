//! What the terminal can show: colours, and characters beyond ASCII.

/// Means of emphasis. Words carry the meaning; these only help the eye.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Good,
    Bad,
    Odd,
    Faint,
    Strong,
}

/// What may be used in a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) colour: bool,
    pub(super) unicode: bool,
}

impl Look {
    /// Whether the locale's characters are UTF-8 is for the environment to say.
    pub(super) fn new(colour: bool) -> Look {
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(|name| {
            let value = std::env::var(name).ok()?;
            (!value.is_empty()).then(|| value.to_ascii_lowercase())
        });
        Look { colour, unicode: locale.is_some_and(|locale| locale.contains("utf-8") || locale.contains("utf8")) }
    }

    pub(super) fn paint(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Good => "32",
            Tone::Bad => "1;31",
            Tone::Odd => "33",
            Tone::Faint => "2",
            Tone::Strong => "1",
            Tone::Plain => return text.to_owned(),
        };
        if self.colour && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub(super) fn ellipsis(self) -> &'static str {
        if self.unicode { "…" } else { ".." }
    }

    /// The spinner, `tick` tenths of a second on.
    pub(super) fn spinner(self, tick: u128) -> char {
        let frames: &[char] = if self.unicode {
            &['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏']
        } else {
            &['|', '/', '-', '\\']
        };
        frames[usize::try_from(tick % frames.len() as u128).unwrap_or(0)]
    }
}

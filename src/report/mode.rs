//! How, and how much, is told.

/// How much is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Verbosity {
    /// Failures and errors only.
    Quiet,
    /// What was done, and the output of commands that failed.
    #[default]
    Normal,
    /// Also what was cached or skipped, why, and all output of commands as it comes.
    Verbose,
}

/// Whether the user wants colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Colour {
    /// Where standard error is a terminal, and the environment does not object.
    #[default]
    Auto,
    /// Everywhere.
    Always,
    /// Nowhere.
    Never,
}

/// The form in which events are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// To a person who looks on: running steps live at the bottom.
    Terminal {
        /// Whether with colour.
        colour: bool,
    },
    /// To a log that is read later: nothing is ever overwritten.
    Lines {
        /// Whether with colour.
        colour: bool,
    },
    /// To a program: one JSON object per line, everything whatever the verbosity.
    Json,
}

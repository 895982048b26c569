//! Why a file gave no facts.

/// Why a file gave no facts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// It starts like neither a program nor a script.
    #[error("is neither an ELF file nor a script")]
    NotElf,
    /// It starts like one, and then breaks a rule: cut short, most often.
    #[error("is damaged: {rule}")]
    Malformed {
        /// What is wrong, as in `a segment reaches past the end of the file`.
        rule: &'static str,
    },
}

impl ReadError {
    /// The error for a broken rule.
    pub(super) fn malformed(rule: &'static str) -> ReadError {
        ReadError::Malformed { rule }
    }
}

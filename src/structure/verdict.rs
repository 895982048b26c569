//! How a test ended.

/// How a test ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The test's name.
    pub name: String,
    /// What is wrong; empty when it passed.
    pub failures: Vec<String>,
}

impl Verdict {
    pub(super) fn new(name: &str) -> Verdict {
        Verdict { name: name.to_owned(), failures: Vec::new() }
    }

    pub(super) fn expect(&mut self, holds: bool, failure: impl FnOnce() -> String) {
        if !holds {
            self.failures.push(failure());
        }
    }
}

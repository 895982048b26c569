//! When to try again, and how long to wait before.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// The longest that a registry may have us wait.
const LONGEST: Duration = Duration::from_secs(120);

/// How often and how patiently something is tried.
#[derive(Debug, Clone, Copy)]
pub(super) struct Retry {
    /// Tries in all.
    pub(super) tries: u32,
    /// The pause after the first; each further one is twice as long.
    pub(super) pause: Duration,
}

impl Retry {
    /// The pause after some tries; the registry's own wish wins.
    pub(super) fn pause(&self, tries: u32, wish: Option<Duration>) -> Duration {
        wish.unwrap_or(self.pause * 2u32.saturating_pow(tries.saturating_sub(1).min(8))).min(LONGEST)
    }
}

/// Whether an answer may be another one the next time. 404 is an answer, and so are 401 and 403.
pub(super) fn may_pass(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 425 | 429 | 500 | 502 | 503 | 504)
}

/// How long the registry wants us to wait, in seconds; a date there is not read.
pub(super) fn wish(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end_somewhere() {
        let retry = Retry { tries: 5, pause: Duration::from_millis(200) };
        assert_eq!(retry.pause(1, None), Duration::from_millis(200));
        assert_eq!(retry.pause(3, None), Duration::from_millis(800));
        assert_eq!(retry.pause(1, Some(Duration::from_secs(7))), Duration::from_secs(7));
        assert_eq!(retry.pause(90, Some(Duration::from_secs(86400))), LONGEST);
    }

    #[test]
    fn refusals_are_answers() {
        for (status, passes) in [(429, true), (503, true), (500, true), (404, false), (401, false), (403, false)] {
            assert_eq!(may_pass(StatusCode::from_u16(status).unwrap()), passes, "{status}");
        }
    }
}

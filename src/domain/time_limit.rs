//! How long a command may run, as people say it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::{Error, from_text};

/// A whole number of seconds, minutes or hours: `90s`, `10m`, `2h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeLimit(Duration);

impl TimeLimit {
    /// The time.
    pub fn duration(self) -> Duration {
        self.0
    }
}

impl FromStr for TimeLimit {
    type Err = Error;

    fn from_str(text: &str) -> Result<TimeLimit, Error> {
        let wrong = || Error::usage(format!("'{text}' is no time limit")).hint("write it as 90s, 10m or 2h");
        let (number, factor) = match text.char_indices().next_back() {
            Some((at, 's')) => (&text[..at], 1),
            Some((at, 'm')) => (&text[..at], 60),
            Some((at, 'h')) => (&text[..at], 3600),
            _ => return Err(wrong()),
        };
        let seconds = number.parse::<u32>().ok().filter(|_| number.bytes().all(|byte| byte.is_ascii_digit()));
        match seconds.map(|seconds| u64::from(seconds) * factor) {
            Some(seconds) if seconds > 0 => Ok(TimeLimit(Duration::from_secs(seconds))),
            _ => Err(wrong()),
        }
    }
}

impl<'de> Deserialize<'de> for TimeLimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<TimeLimit, D::Error> {
        from_text(deserializer, "a time such as 90s, 10m or 2h", |text| {
            text.parse().map_err(|error: Error| error.with_hints())
        })
    }
}

impl fmt::Display for TimeLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}s", self.0.as_secs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit() {
        for (text, seconds) in [("90s", 90), ("10m", 600), ("2h", 7200)] {
            assert_eq!(text.parse::<TimeLimit>().unwrap().duration().as_secs(), seconds);
        }
        for text in ["", "s", "10", "0s", "-1s", "+1s", "1.5h", "10 m", "9999999999h", "1d", "1ü"] {
            assert!(text.parse::<TimeLimit>().is_err(), "{text}");
        }
    }
}

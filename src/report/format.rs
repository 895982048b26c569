//! Numbers and names as text.

use std::time::Duration;

use super::look::Look;

/// A duration in at most six columns: `38ms`, `3.2s`, `1m 05s`, `2h 07m`.
pub(super) fn duration(value: Duration) -> String {
    let tenths = (value.as_millis() + 50) / 100;
    let seconds = (value.as_millis() + 500) / 1000;
    match (value.as_millis(), tenths) {
        (milliseconds @ 0..100, _) => format!("{milliseconds}ms"),
        (_, 0..600) => format!("{}.{}s", tenths / 10, tenths % 10),
        _ if seconds < 3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h {:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];

/// The power of 1000 in which a size reads best.
fn magnitude(value: u64) -> usize {
    let mut magnitude = 0;
    // From 999.5 on it would be rounded to 1000.
    while magnitude + 1 < UNITS.len() && value as f64 >= 999.5 * 1000_f64.powi(magnitude as i32) {
        magnitude += 1;
    }
    magnitude
}

fn scaled(value: u64, magnitude: usize) -> String {
    let scaled = value as f64 / 1000_f64.powi(magnitude as i32);
    if magnitude == 0 || scaled >= 99.95 { format!("{scaled:.0}") } else { format!("{scaled:.1}") }
}

/// A size in decimal units, as download pages give it: `12.3 MB`.
pub(super) fn bytes(value: u64) -> String {
    let magnitude = magnitude(value);
    format!("{} {}", scaled(value, magnitude), UNITS[magnitude])
}

/// A part of a size, in the unit of the whole: `12.3 of 127 MB`.
pub(super) fn bytes_of(done: u64, total: u64) -> String {
    let magnitude = magnitude(total);
    format!("{} of {} {}", scaled(done, magnitude), scaled(total, magnitude), UNITS[magnitude])
}

/// A number with its thousands apart: `12,345`.
pub(super) fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of things: `1 line`, `200 lines`.
pub(super) fn count(value: u64, thing: &str) -> String {
    format!("{} {thing}{}", number(value), if value == 1 { "" } else { "s" })
}

/// How many columns a text takes; the names that are told here are of single-width characters.
pub(super) fn width(text: &str) -> usize {
    text.chars().count()
}

/// A text in at most `limit` columns, its middle left out: the kind of a step and its architecture are at the ends.
pub(super) fn shorten(text: &str, limit: usize, look: Look) -> String {
    let length = width(text);
    if length <= limit {
        return text.to_owned();
    }
    let ellipsis = look.ellipsis();
    let Some(room) = limit.checked_sub(width(ellipsis)).filter(|room| *room > 1) else {
        return text.chars().take(limit).collect();
    };
    let head = room / 2;
    let tail = room - head;
    text.chars().take(head).chain(ellipsis.chars()).chain(text.chars().skip(length - tail)).collect()
}

/// A text in at most `limit` columns, its end left out.
pub(super) fn clip(text: &str, limit: usize, look: Look) -> String {
    if width(text) <= limit {
        return text.to_owned();
    }
    let ellipsis = look.ellipsis();
    match limit.checked_sub(width(ellipsis)) {
        Some(room) => text.chars().take(room).chain(ellipsis.chars()).collect(),
        None => text.chars().take(limit).collect(),
    }
}

/// A bar of `columns` columns, brackets included.
pub(super) fn bar(done: u64, total: u64, columns: usize) -> String {
    let inner = columns.saturating_sub(2);
    let filled = (fraction(done, total) * inner as f64) as usize;
    let head = if filled < inner { ">" } else { "" };
    format!("[{:<inner$}]", format!("{}{head}", "=".repeat(filled)))
}

/// How much of the whole, rounded down so that 100% means all of it.
pub(super) fn percentage(done: u64, total: u64) -> String {
    format!("{}%", (fraction(done, total) * 100.0) as u64)
}

fn fraction(done: u64, total: u64) -> f64 {
    if total == 0 { 1.0 } else { (done as f64 / total as f64).min(1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNICODE: Look = Look { colour: false, unicode: true };
    const ASCII: Look = Look { colour: false, unicode: false };

    #[test]
    fn durations() {
        for (milliseconds, text) in [
            (0, "0ms"),
            (99, "99ms"),
            (100, "0.1s"),
            (3_249, "3.2s"),
            (59_940, "59.9s"),
            (59_960, "1m 00s"),
            (65_000, "1m 05s"),
            (3_599_400, "59m 59s"),
            (3_599_600, "1h 00m"),
            (7_620_000, "2h 07m"),
        ] {
            assert_eq!(duration(Duration::from_millis(milliseconds)), text);
        }
    }

    #[test]
    fn sizes() {
        for (size, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (12_345_678, "12.3 MB"),
            (99_949_999, "99.9 MB"),
            (99_960_000, "100 MB"),
            (999_499_999, "999 MB"),
            (999_600_000, "1.0 GB"),
            (u64::MAX, "18446744 TB"),
        ] {
            assert_eq!(bytes(size), text);
        }
        assert_eq!(bytes_of(400_000, 127_000_000), "0.4 of 127 MB");
    }

    #[test]
    fn counts() {
        assert_eq!(count(1, "line"), "1 line");
        assert_eq!(count(0, "line"), "0 lines");
        assert_eq!(count(1_234_567, "line"), "1,234,567 lines");
    }

    #[test]
    fn long_names_lose_their_middle() {
        assert_eq!(shorten("binary/router/s390x", 19, UNICODE), "binary/router/s390x");
        assert_eq!(shorten("binary/router/s390x", 12, UNICODE), "binar…/s390x");
        assert_eq!(shorten("binary/router/s390x", 12, ASCII), "binar..s390x");
        assert_eq!(shorten("binary/router/s390x", 2, ASCII), "bi");
        assert_eq!(shorten("bücher/größe", 9, UNICODE), "büch…röße");
        assert_eq!(clip("source changed", 9, UNICODE), "source c…");
        assert_eq!(clip("source changed", 1, ASCII), "s");
    }

    #[test]
    fn bars() {
        assert_eq!(bar(0, 10, 12), "[>         ]");
        assert_eq!(bar(5, 10, 12), "[=====>    ]");
        assert_eq!(bar(10, 10, 12), "[==========]");
        assert_eq!(bar(11, 10, 12), "[==========]");
        assert_eq!(percentage(999, 1000), "99%");
        assert_eq!(percentage(0, 0), "100%");
    }
}

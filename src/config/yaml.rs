//! Reads YAML, and turns the parser's complaints into file, line, column and a hint.

use std::path::Path;

use serde::de::DeserializeOwned;

use crate::domain::{Error, Result, ResultExt};

/// A description of a project is smaller than this.
const LARGEST: u64 = 1 << 20;

/// Parses the text of a file, which is named in errors.
///
/// # Errors
/// A usage error as in `xbuild.yaml:7:5: unknown field 'tgas'`, with the nearest key as a hint.
pub(super) fn parse<T: DeserializeOwned>(name: &str, text: &str) -> Result<T> {
    serde_yaml::from_str(text).map_err(|cause| {
        let message = cause.to_string();
        let place = match cause.location() {
            Some(place) => format!("{name}:{}:{}", place.line(), place.column()),
            None => name.to_owned(),
        };
        let said = match message.find(" at line ") {
            Some(end) => &message[..end],
            None => &message,
        };
        // Hints of xbuild's own errors come on lines of their own.
        let mut lines = said.split("\nhint: ");
        // There is no unit in YAML, only nothing.
        let text = lines.next().unwrap_or_default().replace('`', "'").replace(": unit value,", ": nothing,");
        let error = lines.fold(Error::usage(format!("{place}: {text}")), Error::hint);
        match suggestion(said) {
            Some(key) => error.hint(format!("did you mean '{key}'?")),
            None => error,
        }
    })
}

/// Reads a file that is to be parsed.
///
/// # Errors
/// A usage error when it is not there, cannot be read, or is larger than any honest one.
pub(super) fn read(path: &Path) -> Result<String> {
    let failed = || format!("cannot read {}", path.display());
    let size = std::fs::metadata(path).or_usage(failed)?.len();
    if size > LARGEST {
        return Err(Error::usage(format!("{} has {size} bytes, and may have {LARGEST}", path.display())));
    }
    std::fs::read_to_string(path).or_usage(failed)
}

/// The expected key nearest to the unknown one in a message as in ``unknown field `a`, expected one of `b`, `c` ``.
fn suggestion(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("unknown field `").or_else(|| message.split_once("unknown variant `"))?;
    let mut names = rest.split('`').step_by(2);
    let unknown = names.next()?;
    nearest(unknown, names)
}

/// The candidate that takes the fewest changes, if these are few.
pub(crate) fn nearest<'a>(unknown: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let (distance, best) = candidates.into_iter().map(|name| (edits(unknown, name), name)).min()?;
    (distance <= 1 + unknown.len() / 4).then(|| best.to_owned())
}

/// Insertions, deletions, changes and swaps of neighbours between two texts.
fn edits(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut table = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in table.iter_mut().enumerate() {
        row[0] = i;
    }
    table[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let change = table[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = change.min(table[i - 1][j] + 1).min(table[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(table[i - 2][j - 2] + 1);
            }
            table[i][j] = best;
        }
    }
    table[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[expect(dead_code, reason = "only its name matters")]
        tags: Option<u8>,
    }

    #[test]
    fn an_unknown_key_is_placed_and_a_near_one_offered() {
        let error = parse::<Sample>("x.yaml", "tags: 1\ntgas: 2\n").unwrap_err();
        assert!(error.to_string().starts_with("x.yaml:2:1: unknown field 'tgas'"), "{error}");
        assert_eq!(error.hints(), ["did you mean 'tags'?"]);
    }

    #[test]
    fn hostile_yaml_is_an_error() {
        let bomb = "a: &a [1,1,1,1,1,1,1,1,1]\n".to_owned()
            + &('b'..='z')
                .map(|c| {
                    let before = (c as u8 - 1) as char;
                    format!("{c}: &{c} [{}]\n", vec![format!("*{before}"); 9].join(","))
                })
                .collect::<String>();
        for text in ["tags: [", "\ttags: 1", "tags: 1\ntags: 2", "- 1", "tags: text", "tags: {", &bomb] {
            assert!(parse::<Sample>("x", text).is_err(), "{text}");
        }
    }
}

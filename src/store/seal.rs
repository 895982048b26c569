//! What shows that a record is as it was written: a byte of a figure may change and leave a record that can be read.

use serde::Serialize;

use crate::domain::{Digest, Error, Result, ResultExt};

const BEGIN: &str = "{\"seal\":\"";
const END: &str = "\",";

/// An object as JSON, with the digest of all the rest as its first field, which readers may pass over.
pub(super) fn sealed(value: &impl Serialize) -> Result<Vec<u8>> {
    let text = serde_json::to_string(value).or_bug(|| "cannot write a record".into())?;
    let rest = text.strip_prefix('{').ok_or_else(|| Error::bug("a record that is no object"))?;
    Ok(format!("{BEGIN}{}{END}{rest}", Digest::of(rest.as_bytes())).into_bytes())
}

/// Whether that is still so.
pub(super) fn is_intact(text: &[u8]) -> bool {
    let parts = std::str::from_utf8(text).ok().and_then(|text| text.strip_prefix(BEGIN)?.split_once(END));
    parts.is_some_and(|(seal, rest)| seal == Digest::of(rest.as_bytes()).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_that_changed_breaks_the_seal() {
        let text = sealed(&std::collections::BTreeMap::from([("wall", 0.25)])).unwrap();
        assert!(is_intact(&text));
        let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(value["wall"], 0.25);
        for place in 0..text.len() {
            let mut other = text.clone();
            other[place] ^= 1;
            assert!(!is_intact(&other), "{}", String::from_utf8_lossy(&other));
        }
    }
}

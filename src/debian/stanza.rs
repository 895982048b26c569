//! Paragraphs of `Field: value` lines, as in control files and dpkg's status file.

use crate::domain::{Error, Result};

/// One paragraph: fields in the order in which they stand, values with their continuation lines as they are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Stanza(Vec<(String, String)>);

impl Stanza {
    /// Reads every paragraph of a text.
    pub(crate) fn parse_all(text: &str) -> Result<Vec<Stanza>> {
        let mut all = Vec::new();
        let mut current = Stanza::default();
        for line in text.lines() {
            if line.trim().is_empty() {
                if !current.0.is_empty() {
                    all.push(std::mem::take(&mut current));
                }
            } else if line.starts_with([' ', '\t']) {
                let Some((_, value)) = current.0.last_mut() else {
                    return Err(Error::environment(format!("'{line}' continues no field")));
                };
                value.push('\n');
                value.push_str(line);
            } else {
                let (name, value) = line
                    .split_once(':')
                    .filter(|(name, _)| !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic()))
                    .ok_or_else(|| Error::environment(format!("'{line}' is not 'Field: value'")))?;
                current.0.push((name.to_owned(), value.trim_start().to_owned()));
            }
        }
        if !current.0.is_empty() {
            all.push(current);
        }
        Ok(all)
    }

    /// The value of a field, by its name in any case.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Sets a field; a new one goes to the second place, right after `Package`.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        match self.0.iter_mut().find(|(field, _)| field.eq_ignore_ascii_case(name)) {
            Some(field) => field.1 = value.into(),
            None => self.0.insert(1.min(self.0.len()), (name.to_owned(), value.into())),
        }
    }

    /// Adds a field at the end.
    pub(crate) fn push(&mut self, name: &str, value: impl Into<String>) {
        self.0.push((name.to_owned(), value.into()));
    }

    /// The text of it, with an empty line at its end.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for (name, value) in &self.0 {
            let gap = if value.is_empty() || value.starts_with('\n') { "" } else { " " };
            text += &format!("{name}:{gap}{value}\n");
        }
        text + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_survives_reading_and_writing() {
        let text =
            "Package: make\nVersion: 4.4\nConffiles:\n /etc/a newconffile\nDescription: x\n .\n more\n\nPackage: b\n\n";
        let all = Stanza::parse_all(text).unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].get("version"), Some("4.4"));
        assert_eq!(all.iter().map(Stanza::text).collect::<String>(), text);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [" continues", "no colon", ": x", "<html>\n"] {
            assert!(Stanza::parse_all(text).is_err(), "{text}");
        }
    }
}

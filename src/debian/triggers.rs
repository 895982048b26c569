//! dpkg's triggers: which packages want to hear of what, and which of it has happened.

use std::collections::BTreeMap;

use crate::domain::{Error, Result};

/// What a package's `triggers` file has it listen to: the trigger, and the line that dpkg keeps for it.
pub(crate) fn interests(file: &str, package: &str) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for line in file.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_ascii_whitespace();
        let (Some(directive), Some(trigger)) = (words.next(), words.next()) else { continue };
        let suffix = match directive {
            "interest" | "interest-await" => "",
            "interest-noawait" => "/noawait",
            _ => continue,
        };
        let legal = |b: u8| b.is_ascii_graphic() && b != b'/';
        if !trigger.starts_with('/') && (trigger.starts_with('.') || !trigger.bytes().all(legal)) {
            return Err(Error::environment(format!("has the trigger '{trigger}', which is neither a name nor a path")));
        }
        found.push((trigger.to_owned(), format!("{package}{suffix}")));
    }
    Ok(found)
}

/// dpkg's files on triggers: `File` for paths, and one for each other name.
pub(crate) fn interest_files(
    interests: &[(String, String)],
    below: impl Fn(&str) -> String,
) -> BTreeMap<String, String> {
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    for (trigger, listener) in interests {
        let (name, line) = match trigger.starts_with('/') {
            true => ("File", format!("{trigger} {listener}\n")),
            false => (trigger.as_str(), format!("{listener}\n")),
        };
        *files.entry(name.to_owned()).or_insert_with(|| below(name)) += &line;
    }
    files
}

/// The text of dpkg's `Unincorp`: paths that packages of lower layers listen to, and that new files lie in.
///
/// New packages need not be told: they look round when they are configured.
pub(crate) fn happened<'a>(listened: &str, paths: impl Iterator<Item = &'a [u8]>) -> String {
    let mut triggers: Vec<&str> = listened
        .lines()
        .filter_map(|line| line.split_ascii_whitespace().next())
        .filter(|t| t.starts_with('/'))
        .collect();
    triggers.sort_unstable();
    triggers.dedup();
    let mut seen = vec![false; triggers.len()];
    for path in paths {
        for (trigger, seen) in triggers.iter().zip(&mut seen) {
            let rest = path.strip_prefix(trigger.as_bytes());
            *seen |= rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"));
        }
    }
    triggers.iter().zip(seen).filter(|(_, seen)| *seen).map(|(trigger, _)| format!("{trigger} -\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interests_are_kept_as_dpkg_keeps_them() {
        let file = "# comment\ninterest-noawait ldconfig\ninterest /usr/share/x\nactivate-noawait other\n";
        let found = interests(file, "libc-bin").unwrap();
        let files = interest_files(&found, |name| if name == "File" { "/a b\n".into() } else { String::new() });
        assert_eq!(files["ldconfig"], "libc-bin/noawait\n");
        assert_eq!(files["File"], "/a b\n/usr/share/x libc-bin\n");
        assert_eq!(files.len(), 2);
    }

    #[test]
    fn names_that_are_paths_are_refused() {
        for name in ["../x", "a/b", ".hidden"] {
            assert!(interests(&format!("interest {name}"), "p").is_err(), "{name}");
        }
    }

    #[test]
    fn only_whole_components_are_in_a_path() {
        let paths: [&[u8]; 3] = [b"/usr/lib/x", b"/usr/library", b"/etc"];
        assert_eq!(happened("/usr/lib a\n/usr/lib b/noawait\n/usr/l c\n/var d\n", paths.into_iter()), "/usr/lib -\n");
    }
}

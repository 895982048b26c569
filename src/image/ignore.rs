//! `.dockerignore`: what of a folder is not in the build context.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::glob::{DoubleStar, Glob};
use crate::domain::{Error, Result};

/// The rules of a `.dockerignore` file; the default excludes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ignore {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    glob: Glob,
    /// The line began with `!`: what matches is in the context after all.
    kept: bool,
}

impl Ignore {
    /// Parses the text of a `.dockerignore`.
    ///
    /// # Errors
    /// A pattern that does not parse, with its line.
    pub fn parse(text: &str) -> Result<Ignore> {
        let mut rules = Vec::new();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (number, line) in text.lines().enumerate() {
            if line.starts_with('#') {
                continue;
            }
            let line = line.trim();
            let (kept, pattern) = line.strip_prefix('!').map_or((false, line), |rest| (true, rest.trim()));
            let mut parts: Vec<&str> = Vec::new();
            for part in pattern.split('/') {
                match part {
                    "" | "." => {}
                    ".." => drop(parts.pop()),
                    part => parts.push(part),
                }
            }
            if parts.is_empty() {
                continue;
            }
            let glob = Glob::new(parts.join("/").as_bytes(), DoubleStar::CrossesFolders).map_err(|why| {
                Error::usage(format!(".dockerignore:{}: the pattern '{line}' is wrong: {why}", number + 1))
            })?;
            rules.push(Rule { glob, kept });
        }
        Ok(Ignore { rules })
    }

    /// Whether a path relative to the context is excluded: the last rule that matches it or a folder above it decides.
    pub fn excludes(&self, path: &Path) -> bool {
        let bytes = path.as_os_str().as_bytes();
        let above = bytes.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(end, _)| &bytes[..end]);
        let prefixes: Vec<&[u8]> = above.chain([bytes]).collect();
        self.rules.iter().fold(false, |excluded, rule| {
            // A rule that would change nothing need not be tried.
            if excluded != rule.kept || !prefixes.iter().any(|prefix| rule.glob.matches(prefix)) {
                excluded
            } else {
                !rule.kept
            }
        })
    }

    /// Whether something inside an excluded folder may be in the context after all.
    pub(super) fn has_exceptions(&self) -> bool {
        self.rules.iter().any(|rule| rule.kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_matching_rule_decides() {
        let ignore =
            Ignore::parse("# note\r\n\r\n/dist\n*.md\n!README.md\n**/*.o\nsrc/**/tmp\n./a/../b/\n.\n").unwrap();
        for (path, excluded) in [
            ("dist", true),
            ("dist/amd64/x", true),
            ("sub/dist", false),
            ("x.md", true),
            ("README.md", false),
            ("docs/x.md", false),
            ("a/b/c.o", true),
            ("src/tmp/x", true),
            ("src/a/b/tmp", true),
            ("b/x", true),
            ("a", false),
        ] {
            assert_eq!(ignore.excludes(Path::new(path)), excluded, "{path}");
        }
        let error = Ignore::parse("x\n[a").unwrap_err();
        assert_eq!(error.to_string(), ".dockerignore:2: the pattern '[a' is wrong: its '[' is never closed");
    }

    #[test]
    fn an_exception_reaches_into_an_excluded_folder() {
        let ignore = Ignore::parse("*\n!dist/router").unwrap();
        assert!(ignore.excludes(Path::new("dist")) && ignore.excludes(Path::new("dist/other")));
        assert!(!ignore.excludes(Path::new("dist/router")));
    }
}

//! `.dockerignore`: what of a folder is not in the build context.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

use super::glob::{DoubleStar, Glob};
use super::{ParseError, Span};
use crate::domain::{Result, ResultExt};

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
    /// A pattern that does not parse, with its place.
    pub fn parse(text: &str) -> Result<Ignore, ParseError> {
        let mut rules = Vec::new();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (number, line) in text.lines().enumerate() {
            if line.starts_with('#') || line.trim().is_empty() {
                continue;
            }
            let column = 1 + line.chars().take_while(|c| c.is_whitespace()).count();
            let line = line.trim();
            let wrong =
                |why: &str| Span { line: number + 1, column }.error(format!("the pattern '{line}' is wrong: {why}"));
            let (kept, pattern) = line.strip_prefix('!').map_or((false, line), |rest| (true, rest.trim()));
            if pattern.is_empty() {
                return Err(wrong("nothing follows its '!'").hint("name what is in the context after all, as in !keep"));
            }
            let pattern = clean(pattern);
            let pattern = pattern.strip_prefix('/').filter(|rest| !rest.is_empty()).unwrap_or(&pattern);
            let glob = Glob::new(pattern.as_bytes(), DoubleStar::CrossesFolders).map_err(wrong)?;
            rules.push(Rule { glob, kept });
        }
        Ok(Ignore { rules })
    }

    /// The rules for a Dockerfile: those of `<Dockerfile>.dockerignore` beside it, else those of `.dockerignore` in the
    /// context, else none.
    ///
    /// # Errors
    /// A file that cannot be read, a pattern that does not parse.
    pub fn of(dockerfile: &Path, context: &Path) -> Result<Ignore> {
        let mut own = dockerfile.as_os_str().to_owned();
        own.push(".dockerignore");
        for path in [PathBuf::from(own), context.join(".dockerignore")] {
            match fs::read_to_string(&path) {
                Ok(text) => return Ignore::parse(&text).map_err(|error| error.in_file(&path)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error).or_usage(|| format!("cannot read {}", path.display())),
            }
        }
        Ok(Ignore::default())
    }

    /// Whether a path relative to the context is excluded: the last rule that matches it or a folder above it decides.
    pub fn excludes(&self, path: &Path) -> bool {
        let bytes = path.as_os_str().as_bytes();
        if bytes.is_empty() || self.rules.is_empty() {
            return false;
        }
        let above = bytes.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(end, _)| &bytes[..end]);
        // What matched a folder matches all below it. A rule that would have changed nothing for a folder was not tried on
        // it, so that it does not: moby decides likewise.
        let mut matched = vec![false; self.rules.len()];
        let mut excluded = false;
        for prefix in above.chain([bytes]) {
            excluded = false;
            for (rule, matched) in self.rules.iter().zip(&mut matched) {
                *matched = *matched || (excluded == rule.kept && rule.glob.matches(prefix));
                if *matched {
                    excluded = !rule.kept;
                }
            }
        }
        excluded
    }

    /// Whether something inside an excluded folder may be in the context after all.
    pub(super) fn has_exceptions(&self) -> bool {
        self.rules.iter().any(|rule| rule.kept)
    }
}

/// A pattern made lexically plain, as Go's `filepath.Clean` has it.
fn clean(pattern: &str) -> String {
    let rooted = pattern.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in pattern.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if rooted => {}
            part => parts.push(part),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excludes(rules: &str, path: &str) -> bool {
        Ignore::parse(rules).unwrap_or_else(|error| panic!("{rules}: {error}")).excludes(Path::new(path))
    }

    #[test]
    fn the_last_matching_rule_decides() {
        let ignore =
            Ignore::parse("# note\r\n\r\n/dist\n*.md\n!README.md\n**/*.o\nsrc/**/tmp\n./a/../b/\n.\n  trailing  \n")
                .unwrap();
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
            ("trailing", true),
        ] {
            assert_eq!(ignore.excludes(Path::new(path)), excluded, "{path}");
        }
    }

    #[test]
    fn an_exception_reaches_into_an_excluded_folder() {
        let ignore = Ignore::parse("*\n!dist/router").unwrap();
        assert!(ignore.excludes(Path::new("dist")) && ignore.excludes(Path::new("dist/other")));
        assert!(!ignore.excludes(Path::new("dist/router")));
    }

    #[test]
    fn rules_are_moby_s() {
        for (rules, path, excluded) in [
            ("!x.go\n*.go", "x.go", true),
            ("*.go\n!x.go", "x.go", false),
            ("docs\n!docs/README.md", "docs/README.md", false),
            ("docs/\n! docs/README.md  ", "docs/README.md", false),
            ("**\n!util/docker/web", "util/docker/web/foo", false),
            ("**\n!util/docker/web\nutil/docker/web/foo", "util/docker/web/foo", true),
            ("**/**", "dir/file", true),
            ("**/", "file", true),
            ("dir/**", "dir", false),
            ("dir/**", "dir/dir2/file", true),
            ("**/dir", "dir/file", true),
            ("**/dir2/*", "dir/dir2/file", true),
            ("**file", "dir/file", true),
            ("**file", "afile", true),
            ("**file*", "afile", false),
            ("**/file*.txt*", "dir/dir/file.txt", true),
            ("a**/*.txt", "a/dir/dir/file.txt", true),
            ("a**/*.txt", "a.txt", true),
            ("a/*.txt", "a/dir/file.txt", false),
            ("a/*.txt**", "a/file.txt", true),
            ("a[b-d]e", "ace", true),
            ("a[^b-d]e", "aze", true),
            ("a[!b]c", "a!c", true),
            ("a[!b]c", "axc", false),
            (".*", "foo", false),
            ("a\\\\", "a\\", true),
            ("a\\*b", "a*b", true),
            ("a(b)c/def", "a(b)c/xyz", false),
            ("a.|)$(}+{bc", "a.|)$(}+{bc", true),
            ("a?b", "a☺b", true),
            ("a???b", "a☺b", false),
            ("[a-ζ]*", "α", true),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/f", true),
            ("[\\]a]", "]", true),
            ("../x", "x", false),
            ("a/../../x", "x", false),
            ("/", "x", false),
            ("\u{feff}x", "x", true),
            // A folder's own rule was not tried before anything in it was excluded.
            ("**/*.txt\n!a", "a/x.txt", true),
            ("a\n!a/b\n*/b/c", "a/b/c", true),
        ] {
            assert_eq!(excludes(rules, path), excluded, "{rules} {path}");
        }
    }

    #[test]
    fn wrong_patterns_have_a_place() {
        for (text, line, column, message) in [
            ("x\n  [a", 2, 3, "the pattern '[a' is wrong: its '[' is never closed"),
            ("!", 1, 1, "the pattern '!' is wrong: nothing follows its '!'"),
            ("[]a]", 1, 1, "the pattern '[]a]' is wrong: ']' needs a backslash in '[...]'"),
            ("[x-]", 1, 1, "the pattern '[x-]' is wrong: '-' needs a backslash in '[...]'"),
            ("a\\", 1, 1, "the pattern 'a\\' is wrong: it ends in a backslash"),
        ] {
            let error = Ignore::parse(text).unwrap_err();
            assert_eq!((error.line, error.column, error.message.as_str()), (line, column, message));
        }
    }

    #[test]
    fn a_dockerfile_may_have_rules_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let (dockerfile, context) = (dir.path().join("a.Dockerfile"), dir.path().join("context"));
        fs::create_dir(&context).unwrap();
        assert_eq!(Ignore::of(&dockerfile, &context).unwrap(), Ignore::default());
        fs::write(context.join(".dockerignore"), "shared").unwrap();
        assert!(Ignore::of(&dockerfile, &context).unwrap().excludes(Path::new("shared")));
        fs::write(dir.path().join("a.Dockerfile.dockerignore"), "own").unwrap();
        let ignore = Ignore::of(&dockerfile, &context).unwrap();
        assert!(ignore.excludes(Path::new("own")) && !ignore.excludes(Path::new("shared")));
        fs::write(context.join(".dockerignore"), "[").unwrap();
        let error = Ignore::of(&dir.path().join("b"), &context).unwrap_err().to_string();
        assert!(
            error.ends_with("context/.dockerignore:1:1: the pattern '[' is wrong: its '[' is never closed"),
            "{error}"
        );
    }
}

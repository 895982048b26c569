//! Shell patterns over paths, in time linear in pattern times path, so that no pattern can hang a build.

/// A compiled pattern: `*`, `?`, `[a-z]`, `\x`, and `**` where asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Glob(Vec<Token>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Byte(u8),
    /// One byte that is no slash.
    Any,
    /// One byte of a set, or not of it; never a slash.
    Class {
        negated: bool,
        ranges: Vec<(u8, u8)>,
    },
    /// Any number of bytes without a slash.
    Star,
    /// `**/` is two tokens: this one may be passed over together with the next.
    Folders,
    /// Anything up to a slash that ends it.
    UpToSlash,
    /// `**`: anything.
    Everything,
}

/// Whether `**` crosses folders, as in `.dockerignore`, or is no different from `*`, as in COPY.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DoubleStar {
    CrossesFolders,
    IsStar,
}

/// Whether a text holds anything that a pattern gives a meaning.
pub(super) fn is_pattern(text: &[u8]) -> bool {
    text.iter().any(|b| matches!(b, b'*' | b'?' | b'['))
}

impl Glob {
    /// Compiles a pattern; the error is what is wrong with it.
    pub(super) fn new(pattern: &[u8], double: DoubleStar) -> Result<Glob, &'static str> {
        let mut tokens = Vec::new();
        let mut rest = pattern;
        while let [first, tail @ ..] = rest {
            rest = tail;
            match first {
                b'*' if double == DoubleStar::CrossesFolders && tail.starts_with(b"*") => {
                    rest = &tail[1..];
                    if rest.starts_with(b"/") {
                        rest = &rest[1..];
                        tokens.extend([Token::Folders, Token::UpToSlash]);
                    } else {
                        tokens.push(Token::Everything);
                    }
                }
                b'*' => tokens.push(Token::Star),
                b'?' => tokens.push(Token::Any),
                b'[' => {
                    let (token, after) = class(tail)?;
                    tokens.push(token);
                    rest = after;
                }
                b'\\' => {
                    let (byte, after) = tail.split_first().ok_or("it ends in a backslash")?;
                    tokens.push(Token::Byte(*byte));
                    rest = after;
                }
                byte => tokens.push(Token::Byte(*byte)),
            }
        }
        Ok(Glob(tokens))
    }

    /// Whether the whole text matches.
    pub(super) fn matches(&self, text: &[u8]) -> bool {
        let tokens = &self.0;
        // `states[i]`: the text so far can be matched by the tokens before `i`.
        let mut states = vec![false; tokens.len() + 1];
        states[0] = true;
        self.skip_empty(&mut states);
        for byte in text {
            let mut next = vec![false; tokens.len() + 1];
            for (at, token) in tokens.iter().enumerate().filter(|(at, _)| states[*at]) {
                match token {
                    Token::Byte(wanted) => next[at + 1] |= wanted == byte,
                    Token::Any => next[at + 1] |= *byte != b'/',
                    Token::Class { negated, ranges } => {
                        let inside = ranges.iter().any(|(low, high)| (*low..=*high).contains(byte));
                        next[at + 1] |= *byte != b'/' && inside != *negated;
                    }
                    Token::Star => next[at] |= *byte != b'/',
                    Token::Everything => next[at] = true,
                    Token::Folders => {}
                    Token::UpToSlash => {
                        next[at] = true;
                        next[at + 1] |= *byte == b'/';
                    }
                }
            }
            states = next;
            self.skip_empty(&mut states);
        }
        states[tokens.len()]
    }

    /// Steps over tokens that may match nothing.
    fn skip_empty(&self, states: &mut [bool]) {
        for (at, token) in self.0.iter().enumerate().filter(|(_, token)| !matches!(token, Token::Byte(_))) {
            match token {
                Token::Star | Token::Everything if states[at] => states[at + 1] = true,
                Token::Folders if states[at] => {
                    states[at + 1] = true;
                    states[at + 2] = true;
                }
                _ => {}
            }
        }
    }
}

fn class(mut rest: &[u8]) -> Result<(Token, &[u8]), &'static str> {
    const OPEN: &str = "its '[' is never closed";
    let negated = matches!(rest.first(), Some(b'^' | b'!'));
    if negated {
        rest = &rest[1..];
    }
    let mut ranges = Vec::new();
    loop {
        let mut take = || -> Result<u8, &'static str> {
            let (byte, after) = rest.split_first().ok_or(OPEN)?;
            rest = after;
            if *byte != b'\\' {
                return Ok(*byte);
            }
            let (byte, after) = rest.split_first().ok_or(OPEN)?;
            rest = after;
            Ok(*byte)
        };
        let low = take()?;
        let high = if rest.first() == Some(&b'-') && rest.get(1).is_some_and(|b| *b != b']') {
            rest = &rest[1..];
            let (byte, after) = rest.split_first().ok_or(OPEN)?;
            rest = after;
            *byte
        } else {
            low
        };
        ranges.push((low, high));
        if rest.first() == Some(&b']') {
            return Ok((Token::Class { negated, ranges }, &rest[1..]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_go_s_do() {
        for (pattern, text, wanted) in [
            ("*.go", "a.go", true),
            ("*.go", "a/b.go", false),
            ("a?c", "abc", true),
            ("a?c", "a/c", false),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("yarn.loc[k]", "yarn.lock", true),
            ("**/x", "x", true),
            ("**/x", "a/b/x", true),
            ("**/x", "ax", false),
            ("a/**", "a/b/c", true),
            ("a/**/b", "a/b", true),
            ("a/**/b", "a/xb", false),
            ("**", "a/b", true),
        ] {
            let glob = Glob::new(pattern.as_bytes(), DoubleStar::CrossesFolders).unwrap();
            assert_eq!(glob.matches(text.as_bytes()), wanted, "{pattern} {text}");
        }
        let glob = Glob::new(b"**/x", DoubleStar::IsStar).unwrap();
        assert!(glob.matches(b"a/x") && !glob.matches(b"a/b/x"));
        assert!(Glob::new(b"[a", DoubleStar::IsStar).is_err());
        assert!(Glob::new(b"a\\", DoubleStar::IsStar).is_err());
    }

    #[test]
    fn no_pattern_hangs() {
        let glob = Glob::new("*a".repeat(200).as_bytes(), DoubleStar::CrossesFolders).unwrap();
        assert!(!glob.matches(&[b'a'; 150]));
    }
}

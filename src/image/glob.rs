//! Shell patterns over paths, in time of pattern times path, so that no pattern can hang a build.

/// A compiled pattern: `*`, `?`, `[a-z]`, `\x`, and `**` where asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Glob(Vec<Token>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Char(char),
    /// One character that is no slash.
    Any,
    /// One character of a set, or not of it.
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
    /// Any number of characters without a slash.
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
        let pattern: Vec<char> = chars(pattern).collect();
        let mut tokens = Vec::new();
        let mut rest = pattern.as_slice();
        while let [first, tail @ ..] = rest {
            rest = tail;
            match first {
                '*' if double == DoubleStar::CrossesFolders && tail.starts_with(&['*']) => {
                    rest = &tail[1..];
                    // `**` before a plain text is any beginning; otherwise it is any number of whole folders.
                    let plain = tokens.is_empty() && !rest.iter().any(|c| matches!(c, '*' | '?' | '[' | ']' | '\\'));
                    let slash = rest.starts_with(&['/']);
                    rest = &rest[usize::from(slash)..];
                    if rest.is_empty() || (plain && !slash) {
                        tokens.push(Token::Everything);
                    } else {
                        tokens.extend([Token::Folders, Token::UpToSlash]);
                    }
                }
                '*' => tokens.push(Token::Star),
                '?' => tokens.push(Token::Any),
                '[' => {
                    let (token, after) = class(tail)?;
                    tokens.push(token);
                    rest = after;
                }
                '\\' => {
                    let (literal, after) = tail.split_first().ok_or("it ends in a backslash")?;
                    tokens.push(Token::Char(*literal));
                    rest = after;
                }
                literal => tokens.push(Token::Char(*literal)),
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
        for c in chars(text) {
            let mut next = vec![false; tokens.len() + 1];
            for (at, token) in tokens.iter().enumerate().filter(|(at, _)| states[*at]) {
                match token {
                    Token::Char(wanted) => next[at + 1] |= *wanted == c,
                    Token::Any => next[at + 1] |= c != '/',
                    Token::Class { negated, ranges } => {
                        let inside = ranges.iter().any(|(low, high)| (*low..=*high).contains(&c));
                        next[at + 1] |= inside != *negated;
                    }
                    Token::Star => next[at] |= c != '/',
                    Token::Everything => next[at] = true,
                    Token::Folders => {}
                    Token::UpToSlash => {
                        next[at] = true;
                        next[at + 1] |= c == '/';
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
        for (at, token) in self.0.iter().enumerate().filter(|(_, token)| !matches!(token, Token::Char(_))) {
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

/// The characters of a name; each byte that belongs to none counts as one.
fn chars(text: &[u8]) -> impl Iterator<Item = char> {
    text.utf8_chunks().flat_map(|chunk| {
        let wrong = std::iter::repeat_n(char::REPLACEMENT_CHARACTER, chunk.invalid().len());
        chunk.valid().chars().chain(wrong)
    })
}

fn class(mut rest: &[char]) -> Result<(Token, &[char]), &'static str> {
    fn take(rest: &mut &[char]) -> Result<char, &'static str> {
        const OPEN: &str = "its '[' is never closed";
        let mut next = || {
            let (c, after) = rest.split_first().ok_or(OPEN)?;
            *rest = after;
            Ok(*c)
        };
        match next()? {
            '\\' => next(),
            '-' => Err("'-' needs a backslash in '[...]'"),
            ']' => Err("']' needs a backslash in '[...]'"),
            c => Ok(c),
        }
    }
    let negated = rest.first() == Some(&'^');
    rest = &rest[usize::from(negated)..];
    let mut ranges = Vec::new();
    loop {
        let low = take(&mut rest)?;
        let high = match rest.first() {
            Some('-') => {
                rest = &rest[1..];
                // What is wrong with `[a-]` is its dash.
                if rest.first() == Some(&']') {
                    return Err("'-' needs a backslash in '[...]'");
                }
                take(&mut rest)?
            }
            _ => low,
        };
        ranges.push((low, high));
        if rest.first() == Some(&']') {
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
            ("[!a]x", "!x", true),
            ("[!a]x", "bx", false),
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
        for wrong in ["[a", "a\\", "[", "[^", "[^bc", "[]a]", "[-]", "[x-]", "[-x]", "[a-b-c]"] {
            assert!(Glob::new(wrong.as_bytes(), DoubleStar::IsStar).is_err(), "{wrong}");
        }
        let glob = Glob::new(b"a?b", DoubleStar::IsStar).unwrap();
        assert!(glob.matches("aéb".as_bytes()) && glob.matches(b"a\xffb") && !glob.matches(b"a\xff\xffb"));
    }

    #[test]
    fn no_pattern_hangs() {
        let glob = Glob::new("*a".repeat(200).as_bytes(), DoubleStar::CrossesFolders).unwrap();
        assert!(!glob.matches(&[b'a'; 150]));
    }
}

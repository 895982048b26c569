//! The patterns of `${x#p}`, `${x%p}` and `${x/p/y}`: `*` and `?`, in bounded time.

/// Steps of matching after which a pattern counts as too costly.
const MOST_STEPS: usize = 1 << 24;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Char(char),
    Any,
    Star,
}

/// Which of several matches at one place counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    Shortest,
    Longest,
}

/// A compiled pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Token>);

impl Pattern {
    /// Compiles a pattern; the error is what is wrong with it.
    pub(super) fn new(text: &str) -> Result<Pattern, String> {
        let mut tokens = Vec::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            tokens.push(match c {
                '*' => Token::Star,
                '?' => Token::Any,
                // A brace or a slash is escaped because of what stands around the pattern.
                '\\' => match chars.next() {
                    Some(c @ ('*' | '?' | '\\' | '}' | '/')) => Token::Char(c),
                    Some(c) => return Err(format!("there is no escape '\\{c}'")),
                    None => return Err("it ends in a backslash".into()),
                },
                c => Token::Char(c),
            });
        }
        Ok(Pattern(tokens))
    }

    /// The length of the match at the start of a text.
    fn matched(&self, text: &[char], length: Length, steps: &mut usize) -> Result<Option<usize>, String> {
        let tokens = &self.0;
        let step_over = |states: &mut [bool]| {
            for (at, token) in tokens.iter().enumerate() {
                if states[at] && *token == Token::Star {
                    states[at + 1] = true;
                }
            }
        };
        let mut states = vec![false; tokens.len() + 1];
        states[0] = true;
        step_over(&mut states);
        let mut found = None;
        for at in 0..=text.len() {
            if states[tokens.len()] {
                found = Some(at);
                if length == Length::Shortest {
                    break;
                }
            }
            let Some(c) = text.get(at) else { break };
            *steps += states.len();
            if *steps > MOST_STEPS {
                return Err("it takes too long".into());
            }
            let mut next = vec![false; tokens.len() + 1];
            for (at, token) in tokens.iter().enumerate().filter(|(at, _)| states[*at]) {
                match token {
                    Token::Char(wanted) => next[at + 1] |= wanted == c,
                    Token::Any => next[at + 1] |= *c != '\n',
                    Token::Star => next[at] |= *c != '\n',
                }
            }
            if !next.contains(&true) {
                break;
            }
            step_over(&mut next);
            states = next;
        }
        Ok(found)
    }

    /// A text without the match at its start.
    pub(super) fn trim_start(&self, text: &str, length: Length) -> Result<String, String> {
        let chars: Vec<char> = text.chars().collect();
        let end = self.matched(&chars, length, &mut 0)?.unwrap_or(0);
        Ok(chars[end..].iter().collect())
    }

    /// A text without the match at its end.
    pub(super) fn trim_end(&self, text: &str, length: Length) -> Result<String, String> {
        let reversed = Pattern(self.0.iter().rev().copied().collect());
        let chars: Vec<char> = text.chars().rev().collect();
        let end = reversed.matched(&chars, length, &mut 0)?.unwrap_or(0);
        Ok(chars[end..].iter().rev().collect())
    }

    /// A text with the first match, or every match, replaced; a match is as long as it can be.
    pub(super) fn replace(&self, text: &str, with: &str, all: bool) -> Result<String, String> {
        let chars: Vec<char> = text.chars().collect();
        let mut out = String::new();
        let (mut at, mut steps, mut after_match) = (0, 0, false);
        while at <= chars.len() {
            let length = self.matched(&chars[at..], Length::Longest, &mut steps)?;
            match length {
                Some(length) if length > 0 || !after_match => {
                    out.push_str(with);
                    if length == 0 {
                        out.extend(chars.get(at));
                        at += 1;
                    }
                    at += length;
                    after_match = length > 0;
                    if !all {
                        break;
                    }
                }
                _ => {
                    out.extend(chars.get(at));
                    at += 1;
                    after_match = false;
                }
            }
        }
        out.extend(chars.get(at..).unwrap_or_default());
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replacing_knows_empty_and_long_matches() {
        for (pattern, text, all, wanted) in [
            ("", "xy", false, ".xy"),
            ("", "xy", true, ".x.y."),
            ("x", "xxy", false, ".xy"),
            ("x", "xxy", true, "..y"),
            ("x*", "axbx", false, "a."),
            ("?", "äb", true, ".."),
            ("z", "xy", true, "xy"),
            ("*", "", true, "."),
        ] {
            assert_eq!(Pattern::new(pattern).unwrap().replace(text, ".", all).as_deref(), Ok(wanted), "{pattern}");
        }
    }

    #[test]
    fn no_pattern_hangs() {
        let pattern = Pattern::new(&"*a".repeat(500)).unwrap();
        let text = "a".repeat(10_000);
        assert!(pattern.trim_start(&text, Length::Shortest).is_ok());
        assert_eq!(Pattern::new("*b").unwrap().replace(&text, "", true).unwrap_err(), "it takes too long");
    }
}

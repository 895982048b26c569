//! The commands in a line of shell, as far as rules must know them: no expansion, no control flow.

/// A command: its words without quotes, assignments before it left out.
pub(super) type Command = Vec<String>;

/// Words that stand before a command and are none.
const KEYWORDS: [&str; 12] = ["if", "then", "else", "elif", "do", "while", "until", "!", "{", "time", "exec", "sudo"];

/// A script cut into commands, and whether a pipe is between any of them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Script {
    pub(super) commands: Vec<Command>,
    pub(super) pipes: bool,
    pub(super) sudo: bool,
}

impl Script {
    pub(super) fn parse(text: &str) -> Script {
        let mut script = Script::default();
        let (mut words, mut word, mut in_word) = (Vec::new(), String::new(), false);
        let mut characters = text.chars().peekable();
        while let Some(c) = characters.next() {
            match c {
                '\\' => match characters.next() {
                    Some('\n') | None => {}
                    Some(next) => (word.push(next), in_word = true).1,
                },
                '\'' => {
                    in_word = true;
                    word.extend(characters.by_ref().take_while(|c| *c != '\''));
                }
                '"' => {
                    in_word = true;
                    while let Some(c) = characters.next().filter(|c| *c != '"') {
                        let next = if c == '\\' { characters.next().unwrap_or(c) } else { c };
                        word.push(next);
                    }
                }
                '#' if !in_word => while characters.next_if(|c| *c != '\n').is_some() {},
                '$' if characters.peek() == Some(&'(') => {
                    // What is in it counts as commands of their own.
                    characters.next();
                    finish_word(&mut words, &mut word, &mut in_word);
                    script.add(&mut words);
                }
                '>' | '<' => {
                    // A number before it is a file descriptor, what comes after it no argument.
                    if word.chars().all(|c| c.is_ascii_digit()) {
                        word.clear();
                        in_word = false;
                    }
                    finish_word(&mut words, &mut word, &mut in_word);
                    while characters.next_if(|c| matches!(c, '>' | '<' | '&' | ' ' | '|')).is_some() {}
                    while characters.next_if(|c| !c.is_whitespace() && !matches!(c, ';' | '|' | '&')).is_some() {}
                }
                ' ' | '\t' => finish_word(&mut words, &mut word, &mut in_word),
                '\n' | ';' | '&' | '|' | '(' | ')' | '`' => {
                    finish_word(&mut words, &mut word, &mut in_word);
                    script.add(&mut words);
                    let doubled = characters.next_if_eq(&c).is_some();
                    script.pipes |= c == '|' && !doubled;
                }
                other => (word.push(other), in_word = true).1,
            }
        }
        finish_word(&mut words, &mut word, &mut in_word);
        script.add(&mut words);
        script
    }

    fn add(&mut self, words: &mut Vec<String>) {
        let mut words = std::mem::take(words);
        loop {
            match words.first() {
                Some(word) if KEYWORDS.contains(&word.as_str()) => {
                    self.sudo |= word == "sudo";
                    words.remove(0);
                }
                Some(word) if is_assignment(word) => _ = words.remove(0),
                Some(word) if word == "}" || word == "fi" || word == "done" => _ = words.remove(0),
                Some(_) => break self.commands.push(words),
                None => break,
            }
        }
    }

    /// The commands of a program, by the last part of its path.
    pub(super) fn of<'a>(&'a self, program: &'a str) -> impl Iterator<Item = &'a [String]> {
        let named = move |command: &&Command| command[0].rsplit('/').next() == Some(program);
        self.commands.iter().filter(named).map(|command| &command[1..])
    }
}

fn finish_word(words: &mut Vec<String>, word: &mut String, in_word: &mut bool) {
    if std::mem::take(in_word) {
        words.push(std::mem::take(word));
    }
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

/// The arguments that are no options; options in `valued` take the word after them.
pub(super) fn operands<'a>(arguments: &'a [String], valued: &[&str]) -> Vec<&'a str> {
    let mut operands = Vec::new();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if valued.contains(&argument.as_str()) {
            arguments.next();
        } else if !argument.starts_with('-') {
            operands.push(argument.as_str());
        }
    }
    operands
}

/// Whether any of some options is given, also `-y` among `-qy`.
pub(super) fn has(arguments: &[String], options: &[&str]) -> bool {
    arguments.iter().any(|argument| {
        options.iter().any(|option| {
            let short = option.len() == 2 && argument.starts_with('-') && !argument.starts_with("--");
            argument == option
                || (option.starts_with("--") && argument.strip_prefix(option).is_some_and(|rest| rest.starts_with('=')))
                || (short && argument[1..].contains(&option[1..]))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_into_commands() {
        let script = Script::parse(
            "A=1 apt-get update && (cd /x; 'a b' \"c\\\"d\" >/dev/null 2>&1) || if [ x ]; then y; fi\nz # a | b",
        );
        let commands: Vec<String> = script.commands.iter().map(|command| command.join("|")).collect();
        assert_eq!(commands, ["apt-get|update", "cd|/x", "a b|c\"d", "[|x|]", "y", "z"]);
        assert!(!script.pipes && Script::parse("a | b").pipes && !Script::parse("a || b").pipes);
        assert_eq!(Script::parse("x $(curl a) y").of("curl").count(), 1);
    }

    #[test]
    fn options_are_told_from_operands() {
        let words = |text: &str| Script::parse(text).commands.remove(0);
        assert!(has(&words("install -qy a"), &["-y", "--yes"]) && !has(&words("install --any a"), &["-y"]));
        assert_eq!(operands(&words("install -t stable a b=1"), &["-t"]), ["install", "a", "b=1"]);
    }

    #[test]
    fn no_text_is_too_strange() {
        for text in ["", "'", "\"", "\\", "$(", "`", "|||", "a>", "<<<", "\"\\", "((((", "é'ü", "{ }", "if"] {
            Script::parse(text);
        }
    }
}

//! Templates in minijinja's language, strict: a name without a value is an error.
//!
//! A line that holds nothing but a `{% %}` leaves no empty line.

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, ErrorKind, UndefinedBehavior};

use super::Expanded;
use super::origins::{LineOrigin, Origins, Piece};
use crate::config::Variables;
use crate::domain::{Error, Result};

/// More than any template of a Dockerfile takes, and over in less than a second.
const STEPS: u64 = 1_000_000;

/// Around the number of a line, before the line: characters that have no meaning, and that no Dockerfile holds.
const MARK: [char; 2] = ['\u{f8f0}', '\u{f8f1}'];

pub(super) fn expand(variables: &Variables, file: &str, text: &str) -> Result<Expanded> {
    let out = render(variables, text).map_err(|error| told(&error, variables, file, text))?;
    let origins = origins(variables, text, &out);
    Ok(Expanded { text: out, origins })
}

fn render(variables: &Variables, text: &str) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_debug(true);
    environment.set_fuel(Some(STEPS));
    let mut syntax = SyntaxConfig::builder();
    environment.set_syntax(syntax.keep_trailing_newline(true).trim_blocks(true).lstrip_blocks(true).build()?);
    environment.template_from_str(text)?.render(variables.values())
}

/// The error with the place that it is about.
fn told(error: &minijinja::Error, variables: &Variables, file: &str, text: &str) -> Error {
    let place = error.range().and_then(|range| Some((text.get(..range.start)?, text.get(range)?)));
    let (line, column) = match place {
        Some((before, _)) => {
            let start = before.rfind('\n').map_or(0, |end| end + 1);
            (before.matches('\n').count() + 1, before[start..].chars().count() + 1)
        }
        None => (error.line().unwrap_or(1), 1),
    };
    let at = format!("{file}:{line}:{column}");
    let name = place.map_or("", |(_, expression)| expression.trim());
    if error.kind() == ErrorKind::UndefinedError && !name.is_empty() {
        let cause = variables.unknown(name.split(['.', '[', '|', ' ']).next().unwrap_or_default());
        let message = cause.as_ref().map_or_else(|| format!("'{name}' has no value"), ToString::to_string);
        let told = Error::usage(format!("{at}: {message}"));
        return cause.iter().flat_map(Error::hints).fold(told, Error::hint);
    }
    let detail = error.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
    Error::usage(format!("{at}: {}{detail}", error.kind()))
}

/// Finds out by expanding the template again, with a mark before each line. Where the marks would change the outcome,
/// no better is known than the line that looks the same.
fn origins(variables: &Variables, text: &str, out: &str) -> Origins {
    let lines: Vec<&str> = text.split('\n').collect();
    let marked = render(variables, &mark(&lines)).ok().and_then(|marked| read_marks(&marked, out));
    let mut last = 1;
    let numbers = marked.unwrap_or_else(|| {
        let same = |line: &str| lines.iter().position(|known| *known == line).map(|index| index + 1);
        out.split('\n')
            .map(|line| {
                last = same(line).unwrap_or(last);
                last
            })
            .collect()
    });
    let origin = |(line, number): (&str, usize)| {
        let template = lines.get(number - 1).copied().unwrap_or_default();
        LineOrigin { line: number, pieces: pieces(template, line) }
    };
    Origins::new(out.split('\n').zip(numbers).map(origin).collect())
}

/// What both lines begin with comes from itself, what differs from the place where they part.
fn pieces(template: &str, line: &str) -> Vec<Piece> {
    let same = template.chars().zip(line.chars()).take_while(|(a, b)| a == b).count();
    let mut pieces = vec![Piece { start: 1, from: 1, put_in: false }];
    if template != line {
        pieces.push(Piece { start: same + 1, from: same + 1, put_in: true });
    }
    pieces
}

/// The template with marks in its lines, but for those that are empty, or begin within a tag or with one.
fn mark(lines: &[&str]) -> String {
    let mut out = String::new();
    let mut tag: Option<&str> = None;
    for (index, line) in lines.iter().enumerate() {
        let body = line.trim_start();
        let takes_blanks = ["{%", "{#", "{{-"].iter().any(|start| body.starts_with(start));
        if tag.is_none() && !takes_blanks && !body.is_empty() {
            // Behind the blanks, which a tag on a line before may take away.
            out.push_str(&line[..line.len() - body.len()]);
            out.extend([MARK[0].to_string(), (index + 1).to_string(), MARK[1].to_string()]);
            out.push_str(body);
        } else {
            out.push_str(line);
        }
        tag = open_tag(line, tag);
        if index + 1 < lines.len() {
            out.push('\n');
        }
    }
    out
}

/// The end that a tag still wants at the end of a line.
fn open_tag<'a>(line: &str, mut tag: Option<&'a str>) -> Option<&'a str> {
    let mut rest = line;
    loop {
        match tag {
            Some(end) => {
                let Some(place) = rest.find(end) else { return tag };
                rest = &rest[place + end.len()..];
                tag = None;
            }
            None => {
                let starts = [("{{", "}}"), ("{%", "%}"), ("{#", "#}")];
                let found = starts.iter().filter_map(|(start, end)| Some((rest.find(start)?, *end))).min();
                let (place, end) = found?;
                rest = &rest[place + 2..];
                tag = Some(end);
            }
        }
    }
}

/// The number of each line of the text, if the marked text is the text but for its marks.
fn read_marks(marked: &str, text: &str) -> Option<Vec<usize>> {
    let (mut plain, mut numbers, mut last) = (String::new(), Vec::new(), 1);
    for (index, line) in marked.split('\n').enumerate() {
        let mut first = None;
        let mut rest = line;
        if index > 0 {
            plain.push('\n');
        }
        while let Some((before, after)) = rest.split_once(MARK[0]) {
            let (number, after) = after.split_once(MARK[1])?;
            let number: usize = number.parse().ok()?;
            first = first.or(Some(number));
            plain.push_str(before);
            rest = after;
        }
        plain.push_str(rest);
        last = first.unwrap_or(last);
        numbers.push(last);
    }
    (plain == text).then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Arch;

    fn variables(arch: Arch) -> Variables {
        let mut variables = Variables::of_arch(arch);
        variables.set("account", "me");
        variables.set("words", "one two");
        variables.set_missing("version", "not a git repository");
        variables
    }

    fn expanded(text: &str) -> Expanded {
        expand(&variables(Arch::Arm64), "T", text).unwrap()
    }

    #[test]
    fn names_conditions_and_loops_expand() {
        let text = "FROM {{ account }}/x{{ arch.suffix }}\n{% if arch.name != 'amd64' %}\nCOPY a /\n{% endif %}\n{% for w in words|split %}\nENV {{ w }}=1\n{% endfor %}\nCMD x\n";
        let expanded = expanded(text);
        assert_eq!(expanded.text, "FROM me/x-arm64\nCOPY a /\nENV one=1\nENV two=1\nCMD x\n");
        let lines: Vec<usize> = (1..=5).map(|line| expanded.origins.find(line, 1).0).collect();
        assert_eq!(lines, [1, 3, 6, 6, 8]);
        assert_eq!(expanded.origins.find(1, 5), (1, 5));
        assert_eq!(expanded.origins.find(1, 12), (1, 6));
    }

    #[test]
    fn blanks_that_tags_take_away_keep_the_places() {
        let text = "FROM x\n  {%- if true -%}\n\n    ENV a=1 {# a\nnote #} b=2\n  {%- endif %}\n\nCMD {{\n account }}\nUSER 1\n{% raw %}\nRUN {{ x }}\n{% endraw %}\nCMD y\n";
        let expanded = expanded(text);
        assert_eq!(expanded.text, "FROM xENV a=1  b=2\nCMD me\nUSER 1\nRUN {{ x }}\nCMD y\n");
        let lines: Vec<usize> = (1..=5).map(|line| expanded.origins.find(line, 1).0).collect();
        assert_eq!(lines, [1, 8, 10, 12, 14]);
    }

    #[test]
    fn marks_that_would_show_are_not_used() {
        let text = "FROM x\n{% set block %}\nfour\n{% endset %}\nENV N={{ block|length }}\nCMD y\n";
        let expanded = expanded(text);
        assert_eq!(expanded.text, "FROM x\nENV N=5\nCMD y\n");
        assert_eq!(expanded.origins.find(3, 2), (6, 2));
    }

    #[test]
    fn what_is_wrong_is_placed() {
        for (text, wanted, hint) in [
            ("FROM x\nUSER {{ acount }}\n", "T:2:9: there is no variable 'acount'", "did you mean 'account'?"),
            (
                "{{ version }}",
                "T:1:4: 'version' has no value: not a git repository",
                "give one with --set version=VALUE",
            ),
            ("FROM {{ arch.nme }}\n", "T:1:9: 'arch.nme' has no value", ""),
            ("FROM x\n{% if %}\n", "T:2:", ""),
            ("FROM x\n{{ account", "T:2:", ""),
            ("{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}", "T:1:", ""),
        ] {
            let error = expand(&variables(Arch::Amd64), "T", text).unwrap_err();
            assert!(error.to_string().starts_with(wanted), "{text}: {error}");
            assert_eq!(error.hints().first().copied().unwrap_or_default(), hint, "{text}");
        }
    }
}

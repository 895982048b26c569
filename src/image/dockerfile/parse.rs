//! From text to [`Dockerfile`].

use super::line;
use super::words::Rest;
use super::{Command, Copy, CopyKind, Dockerfile, From, Healthcheck, Instruction, Pair, ParseError, Span, Stage, Step};
use super::{Word, variable};

const KEYWORDS: [&str; 18] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

impl Dockerfile {
    /// Parses the text of a Dockerfile.
    ///
    /// # Errors
    /// The first thing that is wrong or not supported, with its place.
    pub fn parse(text: &str) -> Result<Dockerfile, ParseError> {
        let lines = line::split(text)?;
        let mut file = Dockerfile { escape: lines.escape, arguments: Vec::new(), stages: Vec::new() };
        for line in &lines.lines {
            let end = line.text.find(char::is_whitespace).unwrap_or(line.text.len());
            let keyword = line.text[..end].to_ascii_uppercase();
            let span = line.span(0);
            let mut rest = Rest::new(line, end, lines.escape);
            if !KEYWORDS.contains(&keyword.as_str()) {
                return Err(unknown(&keyword, &line.text[..end], span));
            }
            refuse(&keyword, span, &rest)?;
            if rest.is_empty() {
                return Err(span.error(format!("{keyword} needs an argument")));
            }
            match (keyword.as_str(), file.stages.last_mut()) {
                ("FROM", None) => file.stages.push(Stage { from: from(&mut rest, span)?, steps: Vec::new() }),
                ("FROM", Some(_)) => {
                    return Err(span
                        .error("a second FROM: several stages are not supported yet")
                        .hint("build programs with 'binaries:' in xbuild.yaml, and copy them with 'files:'"));
                }
                ("ARG", None) => file.arguments.extend(rest.arguments()?),
                (_, None) => {
                    return Err(span
                        .error(format!("{keyword} before FROM"))
                        .hint("a Dockerfile starts with FROM; only ARG may stand before it"));
                }
                (_, Some(stage)) => {
                    let instruction = instruction(&keyword, &mut rest)?;
                    stage.steps.push(Step { span, text: line.text.trim().to_owned(), instruction });
                }
            }
        }
        if file.stages.is_empty() {
            let last = text.lines().count().max(1);
            let error = Span { line: last, column: 1 }.error("there is no FROM");
            return Err(error.hint("start with 'FROM scratch' or the name of an image"));
        }
        Ok(file)
    }
}

fn unknown(keyword: &str, typed: &str, span: Span) -> ParseError {
    let error = span.error(format!("unknown instruction '{typed}'"));
    let distance = |known: &&&str| {
        let length = known.len().max(keyword.len());
        let same = known.bytes().zip(keyword.bytes()).filter(|(a, b)| a == b).count();
        let tail = known.bytes().rev().zip(keyword.bytes().rev()).filter(|(a, b)| a == b).count();
        length - same.max(tail)
    };
    match KEYWORDS.iter().min_by_key(distance) {
        Some(near) if distance(&near) * 2 <= near.len() => error.hint(format!("did you mean {near}?")),
        _ => error.hint(format!("there are {}", KEYWORDS.join(", "))),
    }
}

/// What the language has and xbuild does not execute yet.
fn refuse(keyword: &str, span: Span, rest: &Rest<'_>) -> Result<(), ParseError> {
    match keyword {
        "RUN" => {
            return Err(span
                .error("RUN is not supported yet: an image is made of files that are there already")
                .hint("make the file in a 'binaries:' command, or take a base image that has it, and COPY it"));
        }
        "ONBUILD" => return Err(span.error("ONBUILD is not supported yet").hint("write its instruction itself")),
        _ => {}
    }
    if matches!(keyword, "COPY" | "ADD") && rest.json().is_none() {
        let heredoc = |word: &&Word| {
            let name = word.text.strip_prefix("<<").map(|name| name.trim_start_matches(['-', '"', '\'']));
            name.is_some_and(|name| name.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
        };
        if let Some(word) = rest.plain_words().iter().find(heredoc) {
            let error = word.span.error(format!("the heredoc '{}' is not supported yet", word.text));
            return Err(error.hint("put its text into a file of the build context, and COPY that"));
        }
    }
    Ok(())
}

/// Takes the flags that an instruction knows; each at most once.
fn flags<const N: usize>(
    rest: &mut Rest<'_>,
    keyword: &str,
    known: [&str; N],
) -> Result<[Option<Word>; N], ParseError> {
    let mut values = [const { None }; N];
    for Pair { name, value } in rest.flags()? {
        let Some(index) = known.iter().position(|known| name.text[2..] == **known) else {
            let later = ["from", "link", "parents", "exclude", "checksum", "keep-git-dir", "unpack"];
            let yet = if later.contains(&&name.text[2..]) { "is not supported yet" } else { "does not exist" };
            let error = name.span.error(format!("{} of {keyword} {yet}", name.text));
            return Err(match (&name.text[2..], N) {
                ("from", _) => error.hint("list the file in the image's 'files:', and COPY it from the context"),
                (_, 0) => error.hint(format!("{keyword} has no options here")),
                _ => error.hint(format!("there are --{}", known.join(", --"))),
            });
        };
        let value = value.filter(|value| !value.text.is_empty());
        let value = value.ok_or_else(|| name.span.error(format!("{} has no value", name.text)))?;
        if values[index].replace(value).is_some() {
            return Err(name.span.error(format!("{} is given twice", name.text)));
        }
    }
    Ok(values)
}

fn from(rest: &mut Rest<'_>, span: Span) -> Result<From, ParseError> {
    let [platform] = flags(rest, "FROM", ["platform"])?;
    let mut words = rest.plain_words().into_iter();
    let image = words.next().ok_or_else(|| span.error("FROM names no image"))?;
    let name = match (words.next(), words.next()) {
        (None, _) => None,
        (Some(keyword), Some(name)) if keyword.text.eq_ignore_ascii_case("as") => {
            let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            if !name.text.starts_with(|c: char| c.is_ascii_alphabetic()) || !name.text.chars().all(legal) {
                return Err(name.span.error(format!("'{}' is not the name of a stage", name.text)));
            }
            Some(name.text.to_lowercase())
        }
        (Some(word), _) => return Err(word.span.error(format!("'{}' is not 'AS name'", word.text))),
    };
    match words.next() {
        Some(word) => Err(word.span.error(format!("'{}' after FROM's end", word.text))),
        None => Ok(From { span, image, platform, name }),
    }
}

fn command(rest: &Rest<'_>) -> Command {
    rest.json().map_or_else(|| Command::Shell(rest.text().to_owned()), Command::Exec)
}

fn copy(rest: &mut Rest<'_>, kind: CopyKind) -> Result<Copy, ParseError> {
    let start = *rest;
    let [chown, chmod] = flags(rest, kind.keyword(), ["chown", "chmod"])?;
    let mut sources = rest.json_or_words();
    match sources.pop() {
        Some(destination) if !sources.is_empty() => Ok(Copy { kind, sources, destination, chown, chmod }),
        _ => Err(start.error(format!("{} needs a source and a destination", kind.keyword()))),
    }
}

fn instruction(keyword: &str, rest: &mut Rest<'_>) -> Result<Instruction, ParseError> {
    if !matches!(keyword, "ADD" | "COPY" | "HEALTHCHECK" | "CMD" | "ENTRYPOINT" | "MAINTAINER") {
        flags(rest, keyword, [])?;
    }
    Ok(match keyword {
        "ADD" => Instruction::Copy(copy(rest, CopyKind::Add)?),
        "ARG" => Instruction::Arg(rest.arguments()?),
        "CMD" => Instruction::Cmd(command(rest)),
        "COPY" => Instruction::Copy(copy(rest, CopyKind::Copy)?),
        "ENTRYPOINT" => Instruction::Entrypoint(command(rest)),
        "ENV" => Instruction::Env(rest.pairs(keyword)?),
        "EXPOSE" => Instruction::Expose(rest.plain_words()),
        "HEALTHCHECK" => Instruction::Healthcheck(healthcheck(rest)?),
        "LABEL" => Instruction::Label(rest.pairs(keyword)?),
        "MAINTAINER" => Instruction::Maintainer(rest.text().to_owned()),
        "SHELL" => match rest.json() {
            Some(shell) if !shell.is_empty() => Instruction::Shell(shell),
            _ => return Err(rest.error("SHELL wants a JSON array").hint(r#"SHELL ["/bin/sh", "-c"]"#)),
        },
        "STOPSIGNAL" => Instruction::StopSignal(rest.whole()),
        "USER" => Instruction::User(rest.whole()),
        "VOLUME" => Instruction::Volume(rest.json_or_words()),
        "WORKDIR" => Instruction::WorkDir(rest.whole()),
        _ => return Err(rest.error(format!("{keyword} is not supported yet"))),
    })
}

fn healthcheck(rest: &mut Rest<'_>) -> Result<Healthcheck, ParseError> {
    let names = ["interval", "timeout", "start-period", "start-interval", "retries"];
    let [interval, timeout, start_period, start_interval, retries] = flags(rest, "HEALTHCHECK", names)?;
    let duration = |word: Option<Word>| match word {
        None => Ok(0),
        Some(word) => variable::duration(&word.text)
            .ok_or_else(|| word.span.error(format!("'{}' is not a duration", word.text)).hint("as in 30s, 1m30s")),
    };
    let text = rest.text();
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    if text[..end].eq_ignore_ascii_case("none") && end == text.len() {
        return Ok(Healthcheck::None);
    }
    if !text[..end].eq_ignore_ascii_case("cmd") || end == text.len() {
        return Err(rest.error("HEALTHCHECK is followed by NONE, or by CMD and a command"));
    }
    let retries = match retries {
        None => 0,
        Some(word) => word.text.parse().map_err(|_| word.span.error(format!("'{}' is not a number", word.text)))?,
    };
    Ok(Healthcheck::Command {
        command: command(&rest.skip(end)),
        interval: duration(interval)?,
        timeout: duration(timeout)?,
        start_period: duration(start_period)?,
        start_interval: duration(start_interval)?,
        retries,
    })
}

//! From text to [`Dockerfile`].

use super::duration::duration;
use super::flags::Flags;
use super::heredoc::Mark;
use super::line::{LogicalLine, Reader};
use super::words::Rest;
use super::{Command, Copy, CopyKind, CopySource, Dockerfile, From, Healthcheck, Heredoc, Instruction, MountFlag};
use super::{OnBuild, ParseError, Run, Span, Stage, Step, Word};

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
    /// The first thing that is wrong, with its place.
    pub fn parse(text: &str) -> Result<Dockerfile, ParseError> {
        Dockerfile::parse_expanded(text, &|span| span)
    }

    /// Parses a text that was made from another: `place` leads from a place of the text to the one that is told.
    ///
    /// # Errors
    /// The same, with places in the other text.
    pub fn parse_expanded(text: &str, place: &dyn Fn(Span) -> Span) -> Result<Dockerfile, ParseError> {
        let mut reader = Reader::new(text, place);
        let mut file = Dockerfile { escape: reader.escape, arguments: Vec::new(), stages: Vec::new() };
        while let Some(line) = reader.next()? {
            let statement = Statement::read(&line, &mut reader)?;
            let (keyword, span) = (statement.keyword, statement.span);
            match (keyword, file.stages.last_mut()) {
                ("FROM", _) => file.stages.push(Stage { from: from(statement.rest, span)?, steps: Vec::new() }),
                ("ARG", None) => {
                    let Instruction::Arg(pairs) = statement.instruction()? else { continue };
                    file.arguments.extend(pairs);
                }
                (_, None) => {
                    return Err(span
                        .error(format!("{keyword} before FROM"))
                        .hint("a Dockerfile starts with FROM; only ARG may stand before it"));
                }
                (_, Some(stage)) => {
                    let (text, instruction) = (line.text.trim().to_owned(), statement.instruction()?);
                    stage.steps.push(Step { span, text, instruction });
                }
            }
        }
        file.escape = reader.escape;
        if file.stages.is_empty() {
            let last = text.lines().count().max(1);
            let error = place(Span { line: last, column: 1 }).error("there is no FROM");
            return Err(error.hint("start with 'FROM scratch' or the name of an image"));
        }
        Ok(file)
    }
}

impl Step {
    /// Parses the text of an ONBUILD, as a base image's configuration has it; places are those in the text.
    ///
    /// # Errors
    /// A text that is not one instruction, or one that ONBUILD does not take.
    pub fn parse_trigger(text: &str) -> Result<Step, ParseError> {
        let start = Span { line: 1, column: 1 };
        let mut reader = Reader::new(text, &|span| span);
        let line = reader.next()?.ok_or_else(|| start.error("the ONBUILD trigger is empty"))?;
        let statement = Statement::read(&line, &mut reader)?;
        allowed_in_onbuild(statement.keyword, statement.span)?;
        let (span, instruction) = (statement.span, statement.instruction()?);
        match reader.next()? {
            Some(next) => Err(next.span(0).error("an ONBUILD trigger is one instruction")),
            None => Ok(Step { span, text: line.text.trim().to_owned(), instruction }),
        }
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

/// The keyword at the front of a text, its place, and what comes after it.
fn keyword<'a>(rest: &Rest<'a>) -> Result<(&'static str, Span, Rest<'a>), ParseError> {
    let text = rest.text();
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    let typed = text[..end].to_ascii_uppercase();
    let span = rest.span();
    let known = KEYWORDS.iter().find(|known| **known == typed).ok_or_else(|| unknown(&typed, &text[..end], span))?;
    let after = rest.skip(end);
    if after.is_empty() {
        return Err(span.error(format!("{known} needs an argument")));
    }
    Ok((known, span, after))
}

fn allowed_in_onbuild(keyword: &str, span: Span) -> Result<(), ParseError> {
    if matches!(keyword, "ONBUILD" | "FROM" | "MAINTAINER") {
        return Err(span.error(format!("{keyword} is not allowed in ONBUILD")));
    }
    Ok(())
}

/// An instruction with its here-documents, its arguments not looked at yet.
struct Statement<'a> {
    keyword: &'static str,
    span: Span,
    rest: Rest<'a>,
    heredocs: Vec<Heredoc>,
}

impl<'a> Statement<'a> {
    fn read(line: &'a LogicalLine, reader: &mut Reader<'_>) -> Result<Statement<'a>, ParseError> {
        let (keyword, span, rest) = keyword(&Rest::new(line, 0, reader.escape))?;
        let (inner, mut arguments) = match keyword {
            "ONBUILD" => self::keyword(&rest).map(|(inner, _, arguments)| (inner, arguments))?,
            _ => (keyword, rest),
        };
        let mut heredocs = Vec::new();
        if matches!(inner, "ADD" | "COPY" | "RUN") && line.text.contains("<<") {
            arguments.flags()?;
            if arguments.json()?.is_none() {
                for (span, mark) in Mark::all(line) {
                    heredocs.push(reader.heredoc(&mark, span)?);
                }
            }
        }
        Ok(Statement { keyword, span, rest, heredocs })
    }

    fn instruction(self) -> Result<Instruction, ParseError> {
        let Statement { keyword, span, mut rest, heredocs } = self;
        let takes: &[&str] = match keyword {
            "ADD" => &["chown", "chmod", "link", "exclude", "checksum", "keep-git-dir", "unpack"],
            "COPY" => &["from", "chown", "chmod", "link", "exclude", "parents"],
            "HEALTHCHECK" => &["interval", "timeout", "start-period", "start-interval", "retries"],
            "RUN" => &["mount", "network", "security"],
            _ => &[],
        };
        let flags = Flags::take(&mut rest, keyword, takes)?;
        if rest.is_empty() {
            return Err(span.error(format!("{keyword} needs an argument")));
        }
        Ok(match keyword {
            "ADD" => Instruction::Copy(copy(&rest, CopyKind::Add, flags, heredocs)?),
            "ARG" => Instruction::Arg(rest.arguments()?),
            "CMD" => Instruction::Cmd(command(&rest)?),
            "COPY" => Instruction::Copy(copy(&rest, CopyKind::Copy, flags, heredocs)?),
            "ENTRYPOINT" => Instruction::Entrypoint(command(&rest)?),
            "ENV" => Instruction::Env(rest.pairs(keyword)?),
            "EXPOSE" => Instruction::Expose(rest.plain_words()),
            "HEALTHCHECK" => Instruction::Healthcheck(healthcheck(&rest, flags)?),
            "LABEL" => Instruction::Label(rest.pairs(keyword)?),
            "MAINTAINER" => Instruction::Maintainer(rest.text().to_owned()),
            "ONBUILD" => Instruction::OnBuild(onbuild(&rest, heredocs)?),
            "RUN" => Instruction::Run(run(&rest, flags, heredocs)?),
            "SHELL" => match rest.json()? {
                Some(shell) if !shell.is_empty() => Instruction::Shell(shell),
                _ => return Err(rest.error("SHELL wants a JSON array").hint(r#"SHELL ["/bin/sh", "-c"]"#)),
            },
            "STOPSIGNAL" => Instruction::StopSignal(rest.whole()),
            "USER" => Instruction::User(rest.whole()),
            "VOLUME" => Instruction::Volume(volume(&rest)?),
            "WORKDIR" => Instruction::WorkDir(rest.whole()),
            _ => return Err(span.error(format!("{keyword} is out of place here"))),
        })
    }
}

fn onbuild(rest: &Rest<'_>, heredocs: Vec<Heredoc>) -> Result<OnBuild, ParseError> {
    let (keyword, span, inner) = keyword(rest)?;
    allowed_in_onbuild(keyword, span)?;
    let mut text = rest.text().to_owned();
    for heredoc in &heredocs {
        text.push('\n');
        text.push_str(&heredoc.raw);
        text.push_str(&heredoc.name);
    }
    let instruction = Box::new(Statement { keyword, span, rest: inner, heredocs }.instruction()?);
    Ok(OnBuild { text, instruction })
}

fn from(mut rest: Rest<'_>, span: Span) -> Result<From, ParseError> {
    let mut flags = Flags::take(&mut rest, "FROM", &["platform"])?;
    let mut words = rest.plain_words().into_iter();
    let image = words.next().ok_or_else(|| span.error("FROM names no image"))?;
    let name = match (words.next(), words.next()) {
        (None, _) => None,
        (Some(keyword), Some(name)) if keyword.text.eq_ignore_ascii_case("as") => {
            let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            if !name.text.starts_with(|c: char| c.is_ascii_alphabetic()) || !name.text.chars().all(legal) {
                let error = name.span.error(format!("'{}' is not the name of a stage", name.text));
                return Err(error.hint("a name is a letter, then letters, digits, '-', '_' and '.'"));
            }
            if name.text.eq_ignore_ascii_case("scratch") {
                return Err(name.span.error("a stage cannot be named 'scratch': that is the empty image"));
            }
            Some(name.text.to_ascii_lowercase())
        }
        (Some(word), _) => return Err(word.span.error(format!("'{}' is not 'AS name'", word.text))),
    };
    match words.next() {
        Some(word) => Err(word.span.error(format!("'{}' after FROM's end", word.text))),
        None => Ok(From { span, image, platform: flags.one("platform")?, name }),
    }
}

fn command(rest: &Rest<'_>) -> Result<Command, ParseError> {
    Ok(rest.json()?.map_or_else(|| Command::Shell(rest.text().to_owned()), Command::Exec))
}

fn run(rest: &Rest<'_>, mut flags: Flags, heredocs: Vec<Heredoc>) -> Result<Run, ParseError> {
    let mode = |word: Option<Word>, flag: &str, known: &[&str]| match word {
        Some(word) if !known.contains(&word.text.as_str()) => {
            let error = word.span.error(format!("--{flag} cannot be '{}'", word.text));
            Err(error.hint(format!("there are {}", known.join(", "))))
        }
        other => Ok(other),
    };
    let command = command(rest)?;
    if command == Command::Exec(Vec::new()) {
        return Err(rest.error("RUN names no program"));
    }
    Ok(Run {
        command,
        heredocs,
        mounts: flags.many("mount")?.into_iter().map(MountFlag::parse).collect::<Result<_, _>>()?,
        network: mode(flags.one("network")?, "network", &["default", "none", "host"])?,
        security: mode(flags.one("security")?, "security", &["sandbox", "insecure"])?,
    })
}

fn copy(rest: &Rest<'_>, kind: CopyKind, mut flags: Flags, heredocs: Vec<Heredoc>) -> Result<Copy, ParseError> {
    let keyword = kind.keyword();
    let mut words = rest.json_or_words()?;
    let is_json = rest.json()?.is_some();
    let destination = words.pop().filter(|_| !words.is_empty());
    let destination = destination.ok_or_else(|| {
        let error = rest.error(format!("{keyword} needs a source and a destination"));
        error.hint(format!("{keyword} SOURCE... DESTINATION"))
    })?;
    let mark = |word: &Word| if is_json { None } else { Mark::parse(&word.text) };
    if mark(&destination).is_some() {
        return Err(destination.span.error(format!("the here-document '{}' is no destination", destination.text)));
    }
    let mut heredocs = heredocs.into_iter();
    let mut sources = Vec::new();
    for word in words {
        if !is_json && matches!(word.text.as_str(), "<<" | "<<-") {
            let error = word.span.error(format!("'{}' is not followed by a name", word.text));
            return Err(error.hint("write the here-document without a blank, as in <<EOF"));
        }
        sources.push(match mark(&word) {
            None => CopySource::Path(word),
            Some(_) => CopySource::Heredoc(
                heredocs.next().ok_or_else(|| word.span.error(format!("'{}' has no text", word.text)))?,
            ),
        });
    }
    let from = flags.one("from")?;
    if let Some(word) = from.as_ref().filter(|word| word.text.contains('$')) {
        let error = word.span.error(format!("--from={}: variables are not expanded in --from", word.text));
        return Err(error.hint(format!("name a stage for it, 'FROM {} AS name', and take that", word.text)));
    }
    let checksum = flags.one("checksum")?;
    if let Some(word) = checksum.as_ref().filter(|_| sources.len() != 1) {
        return Err(word.span.error("--checksum is for a single source"));
    }
    Ok(Copy {
        kind,
        from,
        sources,
        destination,
        chown: flags.one("chown")?,
        chmod: flags.one("chmod")?,
        link: flags.switch("link")?.unwrap_or_default(),
        parents: flags.switch("parents")?.unwrap_or_default(),
        excludes: flags.many("exclude")?,
        checksum,
        keep_git_dir: flags.switch("keep-git-dir")?.unwrap_or_default(),
        unpack: flags.switch("unpack")?,
    })
}

fn volume(rest: &Rest<'_>) -> Result<Vec<Word>, ParseError> {
    let words = rest.json_or_words()?;
    match words.iter().find(|word| word.text.trim().is_empty()) {
        Some(word) => Err(word.span.error("a VOLUME without a path")),
        None if words.is_empty() => Err(rest.error("VOLUME names nothing")),
        None => Ok(words),
    }
}

fn healthcheck(rest: &Rest<'_>, mut flags: Flags) -> Result<Healthcheck, ParseError> {
    let mut time = |name| match flags.one(name)? {
        None => Ok(0),
        Some(word) => match duration(&word.text) {
            None => Err(word.span.error(format!("'{}' is not a duration", word.text)).hint("as in 30s, 1m30s")),
            Some(1..1_000_000) => Err(word.span.error(format!("'{}' is shorter than 1ms", word.text))),
            Some(time) => Ok(time),
        },
    };
    let (interval, timeout) = (time("interval")?, time("timeout")?);
    let (start_period, start_interval) = (time("start-period")?, time("start-interval")?);
    let text = rest.text();
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    if text[..end].eq_ignore_ascii_case("none") && end == text.len() {
        return Ok(Healthcheck::None);
    }
    if !text[..end].eq_ignore_ascii_case("cmd") || end == text.len() {
        return Err(rest.error("HEALTHCHECK is followed by NONE, or by CMD and a command"));
    }
    let retries = match flags.one("retries")? {
        None => 0,
        Some(word) => {
            let number: Option<u32> = word.text.parse().ok().filter(|number| *number <= i32::MAX as u32);
            number.ok_or_else(|| word.span.error(format!("'{}' is not a number", word.text)))?.into()
        }
    };
    let command = command(&rest.skip(end))?;
    Ok(Healthcheck::Command { command, interval, timeout, start_period, start_interval, retries })
}

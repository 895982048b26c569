//! What the history of an image says of an instruction, in Docker's words.

use super::settings::Settings;
use crate::domain::without_password;
use crate::image::{Copy, CopySource, Instruction, ParseError};

/// The text, once the instruction was applied; `None` for one that leaves no line.
pub(super) fn text(instruction: &Instruction, settings: &Settings) -> Result<Option<String>, ParseError> {
    let runtime = &settings.runtime;
    let quoted = |words: &Option<Vec<String>>| {
        let words: Vec<String> = words.iter().flatten().map(|word| format!("{word:?}")).collect();
        format!("[{}]", words.join(" "))
    };
    let pairs = |keyword: &str, pairs: &[crate::image::Pair]| {
        let pairs = settings.expand_pairs(pairs)?;
        let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        Ok::<_, ParseError>(format!("{keyword} {}", pairs.join(" ")))
    };
    let words = |words: &[crate::image::Word]| {
        let words: Result<Vec<String>, ParseError> = words.iter().map(|word| settings.expand(word)).collect();
        Ok::<_, ParseError>(format!("[{}]", words?.join(" ")))
    };
    Ok(Some(match instruction {
        Instruction::Arg(pairs) => {
            let worth = |name: &str| settings.scope.arguments().filter(|(known, _)| *known == name).last()?.1;
            let pair = |pair: &crate::image::Pair| {
                let name = &pair.name.text;
                worth(name).map_or_else(|| name.clone(), |value| format!("{name}={value}"))
            };
            format!("ARG {}", pairs.iter().map(pair).collect::<Vec<_>>().join(" "))
        }
        Instruction::Cmd(_) => format!("CMD {}", quoted(&runtime.cmd)),
        Instruction::Copy(instruction) => copy(instruction, settings)?,
        Instruction::Entrypoint(_) => format!("ENTRYPOINT {}", quoted(&runtime.entrypoint)),
        Instruction::Env(list) => pairs("ENV", list)?,
        Instruction::Expose(ports) => format!("EXPOSE {}", words(ports)?),
        Instruction::Healthcheck(_) => {
            let test = runtime.healthcheck.as_ref().map(|check| check.test.clone());
            format!("HEALTHCHECK {}", quoted(&test))
        }
        Instruction::Label(list) => pairs("LABEL", list)?,
        Instruction::Maintainer(author) => format!("MAINTAINER {author}"),
        Instruction::OnBuild(_) => return Ok(None),
        Instruction::Run(run) => format!("RUN {} # buildkit", command(&settings.command(run), settings)),
        Instruction::Shell(shell) => format!("SHELL [{}]", shell.join(" ")),
        Instruction::StopSignal(_) => format!("STOPSIGNAL {}", runtime.stop_signal.as_deref().unwrap_or_default()),
        Instruction::User(_) => format!("USER {}", runtime.user),
        Instruction::Volume(volumes) => format!("VOLUME {}", words(volumes)?),
        Instruction::WorkDir(_) => format!("WORKDIR {}", runtime.working_dir),
    }))
}

/// A command after the arguments that it had: `|1 NAME=value /bin/sh -c make`.
fn command(argv: &[String], settings: &Settings) -> String {
    let mut arguments: Vec<(&str, String)> = Vec::new();
    for (name, value) in settings.scope.arguments() {
        let value = settings.scope.get(name).or(value).unwrap_or_default();
        let pair = format!("{name}={value}");
        match arguments.iter_mut().find(|(known, _)| *known == name) {
            Some(known) => known.1 = pair,
            None => arguments.push((name, pair)),
        }
    }
    let count = arguments.len();
    let mut words: Vec<String> = if count == 0 { Vec::new() } else { vec![format!("|{count}")] };
    words.extend(arguments.into_iter().map(|(_, pair)| pair));
    words.extend(argv.iter().cloned());
    words.join(" ")
}

fn copy(copy: &Copy, settings: &Settings) -> Result<String, ParseError> {
    let mut words = vec![copy.kind.keyword().to_owned()];
    if copy.parents {
        words.push("--parents".to_owned());
    }
    for (flag, value) in [("chown", &copy.chown), ("chmod", &copy.chmod)] {
        if let Some(word) = value {
            words.push(format!("--{flag}={}", settings.expand(word)?));
        }
    }
    let (paths, texts): (Vec<_>, Vec<_>) =
        copy.sources.iter().partition(|source| matches!(source, CopySource::Path(_)));
    for source in paths.into_iter().chain(texts) {
        words.push(match source {
            // Whoever has the image can read it.
            CopySource::Path(word) => without_password(&settings.expand(word)?),
            CopySource::Heredoc(heredoc) => format!("<<{}", heredoc.name),
        });
    }
    words.push(settings.expand(&copy.destination)?);
    Ok(words.join(" ") + " # buildkit")
}

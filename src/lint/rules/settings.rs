//! Instructions that set what a container starts with.

use crate::image::{Command, Healthcheck, Instruction, Stage};
use crate::lint::{Finding, Level};

fn unquoted(text: &str) -> &str {
    text.trim_matches(['"', '\''])
}

/// As OCI wants it: letters, digits, dots and dashes, in lower case, beginning and ending with a letter or digit.
fn legal_label(key: &str) -> bool {
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let inner = |c: char| edge(c) || matches!(c, '.' | '-' | '_' | '/');
    key.contains('$')
        || (key.starts_with(|c: char| c.is_ascii_lowercase())
            && key.ends_with(edge)
            && key.chars().all(inner)
            && !["..", "--", "__"].iter().any(|double| key.contains(double)))
}

pub(super) fn check(stage: &Stage, last: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    let (mut commands, mut entrypoints, mut healthchecks) = (0, 0, 0);
    let mut user = None;
    for step in &stage.steps {
        let mut add = |level, code, message: String| findings.push(Finding::new(step.span, level, code, message));
        let mut once = |count: &mut usize, level, code, keyword: &str| {
            *count += 1;
            if *count == 2 {
                add(level, code, format!("of several {keyword} only the last counts"));
            }
        };
        match &step.instruction {
            Instruction::Cmd(_) => once(&mut commands, Level::Warning, "DL4003", "CMD"),
            Instruction::Entrypoint(_) => once(&mut entrypoints, Level::Error, "DL4004", "ENTRYPOINT"),
            Instruction::Healthcheck(_) => once(&mut healthchecks, Level::Error, "DL3012", "HEALTHCHECK"),
            _ => {}
        }
        match &step.instruction {
            Instruction::Cmd(Command::Shell(_)) | Instruction::Entrypoint(Command::Shell(_)) => {
                add(
                    Level::Warning,
                    "DL3025",
                    "write it as [\"program\", \"argument\"]: a shell in between takes no signals on".into(),
                );
            }
            Instruction::Healthcheck(Healthcheck::Command { .. } | Healthcheck::None) => {}
            Instruction::Maintainer(_) => {
                add(
                    Level::Error,
                    "DL4000",
                    "MAINTAINER is deprecated: LABEL org.opencontainers.image.authors=..".into(),
                );
            }
            Instruction::WorkDir(word) => {
                let path = unquoted(&word.text);
                if !path.starts_with('/') && !path.starts_with('$') && path.chars().nth(1) != Some(':') {
                    let text = format!("'{path}' is relative: say where it is");
                    findings.push(Finding::new(word.span, Level::Error, "DL3000", text));
                }
            }
            Instruction::User(word) => user = Some(word),
            Instruction::Expose(words) => {
                for word in words.iter().filter(|word| !word.text.contains('$')) {
                    let ports = unquoted(&word.text).split('/').next().unwrap_or_default().to_owned();
                    if ports.split('-').any(|port| port.parse::<u16>().is_err()) {
                        let text = format!("'{}' is no port: they end at 65535", word.text);
                        findings.push(Finding::new(word.span, Level::Error, "DL3011", text));
                    }
                }
            }
            Instruction::Label(pairs) => {
                for key in pairs.iter().map(|pair| &pair.name).filter(|key| !legal_label(unquoted(&key.text))) {
                    let text = format!("'{}' is no proper key of a label: lower case, as in org.example.key", key.text);
                    findings.push(Finding::new(key.span, Level::Style, "DL3048", text));
                }
            }
            Instruction::Env(pairs) if pairs.len() > 1 => {
                for (index, pair) in pairs.iter().enumerate() {
                    let value = pair.value.as_ref().map_or("", |value| value.text.as_str());
                    let uses =
                        |name: &str| value.contains(&format!("${{{name}}}")) || value.ends_with(&format!("${name}"));
                    let earlier = pairs[..index].iter().find(|other| uses(&other.name.text));
                    if let Some(other) = earlier {
                        let text = format!("{} is not yet set here: use an ENV of its own", other.name.text);
                        findings.push(Finding::new(pair.name.span, Level::Error, "DL3044", text));
                    }
                }
            }
            _ => {}
        }
    }
    if let Some(word) = user.filter(|_| last) {
        let name = unquoted(&word.text).split(':').next().unwrap_or_default();
        if matches!(name, "root" | "0") {
            let text = "the image runs as root: choose another USER last";
            findings.push(Finding::new(word.span, Level::Warning, "DL3002", text));
        }
    }
    findings
}

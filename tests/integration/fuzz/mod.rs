//! Parsers of what others wrote: whatever the bytes, an answer, and the right one.

mod driver;
mod layer;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use driver::Target;
use xbuild::domain::Arch;
use xbuild::image::{
    CopySource, Dockerfile, FileMode, Ignore, Instruction, ParseError, Scope, Source, Step, Triggers, Word,
};

const DOCKERFILE: Target = Target {
    name: "dockerfile",
    words: &[
        "\\",
        "\n",
        "\r\n",
        "\"",
        "'",
        "$",
        "${",
        "}",
        ":-",
        "--",
        "=",
        ",",
        "é",
        "\u{feff}",
        "<<",
        "<<-E\n",
        "\nE\n",
        "[",
        "]",
        " ",
        "\t",
        "#",
        "# escape=`\n",
        "FROM ",
        "FROM x AS y\n",
        " AS ",
        "RUN ",
        "COPY ",
        "ADD ",
        "ONBUILD ",
        "ENV ",
        "ARG ",
        "HEALTHCHECK ",
        "SHELL ",
        "--from=",
        "--mount=type=",
        "--chmod=",
        "--link",
        "type=cache",
        "target=/x",
        "\0",
        "\\\n",
    ],
    property: dockerfile,
};

const DOCKERIGNORE: Target = Target {
    name: "dockerignore",
    words: &[
        "*", "**", "**/", "/", "!", "?", "[", "]", "[^", "-", "\\", "\n", "..", ".", "#", " ", "é", "a", "\u{feff}",
        "\r\n",
    ],
    property: dockerignore,
};

const VARIABLE: Target = Target {
    name: "variable",
    words: &[
        "$", "${", "}", "a", "{", ":", "-", "+", "?", "#", "##", "%", "%%", "/", "//", "*", "\\", "'", "\"", " ", "<<",
        "é", "\n", "$a", "${a", ":-", "1", "_",
    ],
    property: variable,
};

#[test]
fn any_dockerfile_has_an_answer() {
    driver::run(&DOCKERFILE);
}

#[test]
fn any_dockerignore_has_an_answer() {
    driver::run(&DOCKERIGNORE);
}

#[test]
fn any_word_has_an_answer() {
    driver::run(&VARIABLE);
}

#[test]
fn a_planted_bug_is_found() {
    fn property(input: &[u8]) -> String {
        let answer = dockerfile(input);
        let text = String::from_utf8_lossy(input);
        let file = Dockerfile::parse(&text);
        let stages = file.map(|file| file.stages).unwrap_or_default();
        let mut triggers = stages.iter().flat_map(|stage| &stage.steps).filter_map(|step| match &step.instruction {
            Instruction::OnBuild(trigger) => Some(trigger),
            _ => None,
        });
        // No seed has it.
        assert!(!triggers.any(|trigger| matches!(&*trigger.instruction, Instruction::Healthcheck(_))), "planted");
        answer
    }
    let failure = driver::search(&Target { property, ..DOCKERFILE }, Duration::from_secs(120), 1).unwrap_err();
    assert_eq!(failure.why, "the property fails");
    assert!(failure.input.len() < 100, "not shortened: {}", failure.input.escape_ascii());
}

/// A message without what was quoted from the input.
fn kind(error: &ParseError) -> String {
    error.message.split('\'').step_by(2).collect()
}

/// An instruction's name, and the shape of what it says.
fn shape(instruction: &Instruction) -> String {
    let text = format!("{instruction:?}");
    let mut names: Vec<&str> = text.split(|c: char| !c.is_ascii_alphabetic()).filter(|name| name.len() > 2).collect();
    names.sort_unstable();
    names.dedup();
    names.truncate(12);
    names.join(" ")
}

fn dockerfile(input: &[u8]) -> String {
    let text = String::from_utf8_lossy(input);
    let file = match Dockerfile::parse(&text) {
        Ok(file) => file,
        Err(error) => {
            assert!((1..=text.lines().count().max(1)).contains(&error.line) && error.column > 0, "{error}");
            return kind(&error);
        }
    };
    if !text.contains('\r') && !text.contains("<<") {
        assert_eq!(Dockerfile::parse(&text.replace('\n', "\r\n")).as_ref(), Ok(&file), "line endings change something");
    }
    if !text.starts_with('\u{feff}') {
        assert_eq!(Dockerfile::parse(&format!("\u{feff}{text}")).as_ref(), Ok(&file), "a mark changes something");
    }
    let given = BTreeMap::from([("A".to_owned(), "a".to_owned())]);
    let mut scope = match Scope::of_file(&file, Arch::Arm, Arch::Amd64, &given) {
        Ok(scope) => scope,
        Err(error) => return kind(&error),
    };
    let mut answer = String::new();
    for target in 0..file.stages.len() {
        match file.graph(Some(&target.to_string()), &Triggers::new(), &|word| scope.expand(word)) {
            Ok(graph) => {
                let known = |source: &Source, user: usize| match source {
                    Source::Stage(stage) => *stage < user && graph.stages.iter().any(|known| known.index == *stage),
                    _ => true,
                };
                let mut last = None;
                for stage in &graph.stages {
                    assert!(last < Some(stage.index), "stages are out of order");
                    last = Some(stage.index);
                    assert!(known(&stage.base, stage.index), "a base is missing");
                    assert!(stage.uses.iter().all(|(_, source)| known(source, stage.index)), "a source is missing");
                }
                assert_eq!(last, Some(target));
            }
            Err(error) => answer.push_str(&kind(&error)),
        }
    }
    scope.enter_stage([]);
    for step in file.stages.iter().flat_map(|stage| &stage.steps) {
        answer.push_str(&shape(&step.instruction));
        execute(&step.instruction, &mut scope);
    }
    answer
}

/// Looks at everything that an instruction says.
fn execute(instruction: &Instruction, scope: &mut Scope) {
    let expand = |word: &Word| drop(scope.expand(word));
    match instruction {
        Instruction::Arg(pairs) => pairs.iter().for_each(|pair| drop(scope.declare(pair))),
        Instruction::Env(pairs) | Instruction::Label(pairs) => {
            pairs.iter().flat_map(|pair| &pair.value).for_each(expand);
        }
        Instruction::Expose(words) | Instruction::Volume(words) => words.iter().for_each(expand),
        Instruction::User(word) | Instruction::WorkDir(word) | Instruction::StopSignal(word) => expand(word),
        Instruction::Run(run) => {
            run.script();
            run.mounts.iter().for_each(|mount| drop(mount.resolve(&|word| scope.expand(word))));
        }
        Instruction::Copy(copy) => {
            drop(copy.chmod.as_ref().map(|word| FileMode::parse(&word.text).map(|mode| mode.apply(0o644, false))));
            for source in &copy.sources {
                match source {
                    CopySource::Path(word) => expand(word),
                    CopySource::Heredoc(heredoc) => drop(scope.expand_heredoc(heredoc)),
                }
            }
        }
        Instruction::OnBuild(trigger) => {
            drop(Step::parse_trigger(&trigger.text));
            execute(&trigger.instruction, scope);
        }
        _ => {}
    }
}

fn dockerignore(input: &[u8]) -> String {
    let text = String::from_utf8_lossy(input);
    let paths = ["a", "a/b", "a/b/c.txt", "é/x", "dir/-", "!a", ".hidden/[x]"];
    let ignore = match Ignore::parse(&text) {
        Ok(ignore) => ignore,
        Err(error) => {
            assert!((1..=text.lines().count()).contains(&error.line) && error.column > 0, "{error}");
            return kind(&error);
        }
    };
    let own = text.lines().map(|line| line.trim_start_matches(['!', '/', ' '])).filter(|line| !line.is_empty());
    own.for_each(|path| _ = ignore.excludes(Path::new(path)));
    let all = Ignore::parse(&format!("{text}\n**")).expect("a rule more");
    let none = Ignore::parse(&format!("{text}\n!**")).expect("a rule more");
    assert!(paths.iter().all(|path| all.excludes(Path::new(path))), "the last rule excludes all");
    assert!(!paths.iter().any(|path| none.excludes(Path::new(path))), "the last rule excludes nothing");
    paths.map(|path| if ignore.excludes(Path::new(path)) { 'x' } else { '.' }).iter().collect()
}

fn variable(input: &[u8]) -> String {
    let text = String::from_utf8_lossy(input).into_owned();
    let file = Dockerfile::parse("FROM a\nUSER a\n").expect("it is right");
    let mut scope = Scope::of_file(&file, Arch::Arm, Arch::Amd64, &BTreeMap::new()).expect("it is right");
    for (name, value) in [("a", "/some/path.tar.gz"), ("empty", ""), ("b", "*?\\"), ("c", "a b  c")] {
        scope.set(name.to_owned(), value.to_owned());
    }
    let Instruction::User(word) = &file.stages[0].steps[0].instruction else { unreachable!() };
    let expand = |text: String| scope.expand(&Word { text, ..word.clone() });
    if !text.contains('\'') {
        assert_eq!(expand(format!("'{text}'")).as_ref(), Ok(&text), "single quotes keep everything");
    }
    let escaped: String = text.chars().flat_map(|c| ['\\', c]).collect();
    assert_eq!(expand(escaped).as_ref(), Ok(&text), "what is escaped stays");
    match expand(text.clone()) {
        Err(error) => {
            assert!(error.line >= 2 && error.column > 0, "{error}");
            kind(&error)
        }
        Ok(value) => {
            if !text.contains(['$', '\'', '"', '\\']) {
                assert_eq!(value, text, "nothing in it has a meaning");
            }
            let operators: String = text.chars().filter(|c| ":-+?#%/{}\"'\\".contains(*c)).take(6).collect();
            format!("{operators} {}", value.len().min(8))
        }
    }
}

//! The parser, seen from outside.

use std::collections::BTreeMap;

use super::*;
use crate::domain::Arch;

fn steps(text: &str) -> Vec<Instruction> {
    let steps = Dockerfile::parse(text).unwrap().stages.remove(0).steps;
    steps.into_iter().map(|step| step.instruction).collect()
}

fn texts(words: &[Word]) -> Vec<&str> {
    words.iter().map(|word| word.text.as_str()).collect()
}

#[test]
fn a_whole_file() {
    let file = Dockerfile::parse(
        "# syntax=docker/dockerfile:1\nARG BASE=scratch V\nFROM --platform=$TARGETPLATFORM ${BASE} AS Final\n\
         copy --chown=1:2 --chmod=755 a b \\\n # note\n  /bin/\nADD [\"x y\", \"/z\"]\nENV A=1 B=\"2 3\"\nENV C d e\n\
         CMD [\"/a\", \"b\"]\nENTRYPOINT exec /a \"b\nEXPOSE 80 53/udp\nHEALTHCHECK --interval=5s CMD [\"/ok\"]\n",
    )
    .unwrap();
    assert_eq!(file.arguments.len(), 2);
    let stage = &file.stages[0];
    assert_eq!((stage.from.image.text.as_str(), stage.from.name.as_deref()), ("${BASE}", Some("final")));
    assert_eq!(stage.from.platform.as_ref().unwrap().text, "$TARGETPLATFORM");
    let Instruction::Copy(copy) = &stage.steps[0].instruction else { panic!() };
    assert_eq!((texts(&copy.sources), copy.destination.text.as_str()), (vec!["a", "b"], "/bin/"));
    assert_eq!(copy.destination.span, Span { line: 6, column: 3 });
    assert_eq!(copy.chown.as_ref().unwrap().text, "1:2");
    let Instruction::Copy(add) = &stage.steps[1].instruction else { panic!() };
    assert_eq!((add.kind, texts(&add.sources)), (CopyKind::Add, vec!["x y"]));
    let Instruction::Env(pairs) = &stage.steps[2].instruction else { panic!() };
    assert_eq!(pairs[1].value.as_ref().unwrap().text, "\"2 3\"");
    let Instruction::Env(pairs) = &stage.steps[3].instruction else { panic!() };
    assert_eq!(pairs[0].value.as_ref().unwrap().text, "d e");
    assert_eq!(stage.steps[4].instruction, Instruction::Cmd(Command::Exec(vec!["/a".into(), "b".into()])));
    assert_eq!(stage.steps[5].instruction, Instruction::Entrypoint(Command::Shell("exec /a \"b".into())));
    assert!(matches!(&stage.steps[7].instruction, Instruction::Healthcheck(Healthcheck::Command { interval, .. })
        if *interval == 5_000_000_000));
}

#[test]
fn line_endings_and_a_mark_change_nothing() {
    let text = "FROM scratch\nENV a=1 \\\n  b=2\nLABEL x=y\n";
    let windows = format!("\u{feff}{}", text.replace('\n', "\r\n"));
    assert_eq!(steps(text), steps(&windows));
}

#[test]
fn errors_say_where_and_what_to_do() {
    for (text, line, column, message, hint) in [
        ("FROM scratch\n  RUN make\n", 2, 3, "RUN is not supported yet", "COPY it"),
        ("FROM a AS b\n\nFROM scratch\n", 3, 1, "several stages are not supported yet", "files:"),
        ("FROM a\nCOPY --from=b /x /y", 2, 6, "--from of COPY is not supported yet", "files:"),
        ("FROM a\nCOPY --froom=b /x /y", 2, 6, "--froom of COPY does not exist", "--chown, --chmod"),
        ("FROM a\nCOPY \\\n <<EOF /x\nhi\nEOF\n", 3, 2, "the heredoc '<<EOF' is not supported yet", "into a file"),
        ("FROM a\nONBUILD COPY a b", 2, 1, "ONBUILD is not supported yet", ""),
        ("FROM a\nCOPPY a b", 2, 1, "unknown instruction 'COPPY'", "did you mean COPY?"),
        ("FROM a\nÄÖ", 2, 1, "unknown instruction 'ÄÖ'", "there are ADD"),
        ("FROM a\nCOPY a", 2, 6, "COPY needs a source and a destination", ""),
        ("FROM a\nENV é=1 \"b", 2, 9, "the quote \" is never closed", ""),
        ("FROM a\nENV a=1 b", 2, 9, "'b' is not of the form name=value", ""),
        ("FROM a\nENV a", 2, 5, "ENV a has no value", "ENV a=value"),
        ("FROM a\nENTRYPOINT", 2, 1, "ENTRYPOINT needs an argument", ""),
        ("COPY a b", 1, 1, "COPY before FROM", ""),
        ("# nothing\n", 1, 1, "there is no FROM", "FROM scratch"),
        ("FROM a b", 1, 8, "'b' is not 'AS name'", ""),
        ("FROM a\nSHELL sh", 2, 7, "SHELL wants a JSON array", "-c"),
        ("FROM a\nHEALTHCHECK --interval=x CMD y", 2, 24, "'x' is not a duration", "30s"),
        ("FROM a\nUSER x\0", 2, 7, "a NUL byte", ""),
    ] {
        let error = Dockerfile::parse(text).unwrap_err();
        assert_eq!((error.line, error.column), (line, column), "{text}: {error}");
        assert!(error.message.contains(message), "{error}");
        assert!(error.hint.unwrap_or_default().contains(hint), "{text}");
    }
}

#[test]
fn any_text_gives_an_answer() {
    for text in [
        "",
        "\\",
        "FROM",
        "FROM \\",
        "FROM a\nCOPY --",
        "FROM a\nCOPY [",
        "FROM a\nENV =",
        "FROM a\nARG $",
        "\r\n\\\r\n",
    ] {
        drop(Dockerfile::parse(text));
    }
}

#[test]
fn arguments_have_docker_s_scopes() {
    let file =
        Dockerfile::parse("ARG A=1\nARG B=${A}2\nFROM x:$B\nARG A\nARG B=own\nARG TARGETARCH\nARG GIVEN=no\n").unwrap();
    let given = BTreeMap::from([("GIVEN".to_owned(), "yes".to_owned()), ("TYPO".to_owned(), String::new())]);
    let mut scope = Scope::of_file(&file, Arch::Arm, Arch::Amd64, &given).unwrap();
    assert_eq!(scope.expand(&file.stages[0].from.image).unwrap(), "x:12");
    assert_eq!(scope.get("BUILDPLATFORM"), Some("linux/amd64"));
    scope.enter_stage([]);
    assert_eq!((scope.get("A"), scope.get("TARGETARCH")), (None, None));
    for step in &file.stages[0].steps {
        let Instruction::Arg(pairs) = &step.instruction else { panic!() };
        pairs.iter().for_each(|pair| scope.declare(pair).unwrap());
    }
    let values = ["A", "B", "TARGETARCH", "GIVEN"].map(|name| scope.get(name));
    assert_eq!(values, [Some("1"), Some("own"), Some("arm"), Some("yes")]);
    scope.set("A".into(), "env".into());
    assert_eq!(scope.get("A"), Some("env"));
    assert_eq!(scope.unused(&file).collect::<Vec<_>>(), ["TYPO"]);
}

#[test]
fn no_mutation_of_a_file_makes_the_parser_panic() {
    let seed = "# escape=\\\nARG A=${B:-x}\r\nFROM --platform=$T a AS b\nCOPY --chown=1:2 [\"a\", \"b\"] \\\n # c\n é/\n\
        ENV A=\"b c\" D='e'\nLABEL x y\nHEALTHCHECK --retries=3 CMD [\"x\"]\nEXPOSE 80\nWORKDIR ${A:+b}\nSHELL [\"a\"]\n";
    let pieces =
        ["\\", "\n", "\"", "'", "$", "{", "}", "--", "=", "é", "<<", "[", " ", "\t", "#", ":", "FROM", "\u{feff}", "0"];
    let mut state = 7u64;
    let mut random = |limit: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % limit
    };
    let rounds = std::env::var("XBUILD_FUZZ_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(3000);
    for _ in 0..rounds {
        let mut text: Vec<char> = seed.chars().collect();
        for _ in 0..=random(6) {
            let (at, take) = (random(text.len()), random(4));
            let end = (at + take).min(text.len());
            text.splice(at..end, pieces[random(pieces.len())].chars());
        }
        let text: String = text.into_iter().collect();
        let Ok(file) = Dockerfile::parse(&text) else { continue };
        let Ok(scope) = Scope::of_file(&file, Arch::Arm, Arch::Amd64, &BTreeMap::new()) else { continue };
        for step in &file.stages[0].steps {
            if let Instruction::WorkDir(word) = &step.instruction {
                drop(scope.expand(word));
            }
            if let Instruction::Env(pairs) | Instruction::Label(pairs) = &step.instruction {
                pairs.iter().flat_map(|pair| &pair.value).for_each(|word| drop(scope.expand(word)));
            }
        }
    }
}

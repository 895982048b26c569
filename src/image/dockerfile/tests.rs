//! The parser, seen from outside.

use std::collections::BTreeMap;

use super::*;
use crate::domain::Arch;

fn steps(text: &str) -> Vec<Instruction> {
    let steps = Dockerfile::parse(text).unwrap().stages.remove(0).steps;
    steps.into_iter().map(|step| step.instruction).collect()
}

fn source_name(source: &CopySource) -> &str {
    match source {
        CopySource::Path(word) => &word.text,
        CopySource::Heredoc(heredoc) => &heredoc.name,
    }
}

fn sources(copy: &Copy) -> Vec<&str> {
    copy.sources.iter().map(source_name).collect()
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
    assert_eq!((sources(copy), copy.destination.text.as_str()), (vec!["a", "b"], "/bin/"));
    assert_eq!(copy.destination.span, Span { line: 6, column: 3 });
    assert_eq!(copy.chown.as_ref().unwrap().text, "1:2");
    let Instruction::Copy(add) = &stage.steps[1].instruction else { panic!() };
    assert_eq!((add.kind, sources(add)), (CopyKind::Add, vec!["x y"]));
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
        ("FROM a\nCOPY --froom=b /x /y", 2, 6, "COPY has no option '--froom'", "--from, --chown, --chmod"),
        ("FROM a\nCOPY --checksum=b /x /y", 2, 6, "COPY has no option '--checksum'", "an option of ADD"),
        ("FROM a\nCMD --x", 2, 5, "CMD has no option '--x'", "'--' before it"),
        ("FROM a\nCOPY --from=$b /x /y", 2, 13, "variables are not expanded in --from", "FROM $b AS name"),
        ("FROM a\nCOPY --link=yes /x /y", 2, 13, "--link is true or false, not 'yes'", ""),
        ("FROM a\nCOPY --chown=1 --chown=2 a b", 2, 16, "--chown is given twice", ""),
        ("FROM a\nCOPY --chown a b", 2, 6, "--chown has no value", ""),
        ("FROM a\nADD --checksum=x a b c", 2, 16, "--checksum is for a single source", ""),
        ("FROM a\nCOPY \\\n <<EOF /x\nhi\n EOF\n", 3, 2, "the here-document 'EOF' has no end", "just EOF"),
        ("FROM a\nCOPY << EOF /x\nEOF\n", 2, 6, "'<<' is not followed by a name", "<<EOF"),
        ("FROM a\nCOPY a <<EOF\nEOF\n", 2, 8, "the here-document '<<EOF' is no destination", ""),
        ("FROM a\nCOPY 'a <<EOF /\nEOF\n", 2, 9, "'<<EOF' has no text", ""),
        ("FROM a\nRUN --network=x y", 2, 15, "--network cannot be 'x'", "default, none, host"),
        ("FROM a\nRUN --security=x y", 2, 16, "--security cannot be 'x'", "sandbox, insecure"),
        ("FROM a\nRUN --mount=typ=bind y", 2, 13, "--mount has no option 'typ'", "type"),
        ("FROM a\nRUN []", 2, 5, "RUN names no program", ""),
        ("FROM a\nRUN [\"a\", 1]", 2, 5, "1 in a JSON array", ""),
        ("FROM a\nRUN --network=none", 2, 1, "RUN needs an argument", ""),
        ("FROM a\nONBUILD ONBUILD RUN x", 2, 9, "ONBUILD is not allowed in ONBUILD", ""),
        ("FROM a\nONBUILD FROM x", 2, 9, "FROM is not allowed in ONBUILD", ""),
        ("FROM a\nONBUILD MAINTAINER x", 2, 9, "MAINTAINER is not allowed in ONBUILD", ""),
        ("FROM a\nONBUILD NOPE x", 2, 9, "unknown instruction 'NOPE'", ""),
        ("FROM a\nONBUILD COPY x", 2, 14, "COPY needs a source and a destination", ""),
        ("FROM a AS 1x", 1, 11, "'1x' is not the name of a stage", "letter"),
        ("FROM a AS scratch", 1, 11, "a stage cannot be named 'scratch'", ""),
        ("FROM a\nVOLUME [\"\"]", 2, 8, "a VOLUME without a path", ""),
        ("FROM a\nARG =x", 2, 5, "ARG has a value without a name", ""),
        ("FROM a\nHEALTHCHECK --interval=5ns CMD y", 2, 24, "'5ns' is shorter than 1ms", ""),
        ("FROM a\nHEALTHCHECK --retries=-1 CMD y", 2, 23, "'-1' is not a number", ""),
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
fn several_stages_with_every_option_of_copy() {
    let file = Dockerfile::parse(
        "FROM a AS one\nRUN x\nFROM b\nCOPY --from=one --chown=\"a b\" --chmod=u+x --link --parents=true --exclude=*.o \
         --exclude='x y' /a/./b /c/\nADD --checksum=sha256:0 --keep-git-dir --unpack=false --link=false http://x /y\n",
    )
    .unwrap();
    assert_eq!(file.stages.len(), 2);
    let [Step { instruction: Instruction::Copy(copy), .. }, Step { instruction: Instruction::Copy(add), .. }] =
        file.stages[1].steps.as_slice()
    else {
        panic!()
    };
    let text = |word: &Option<Word>| word.as_ref().map(|word| word.text.clone()).unwrap_or_default();
    assert_eq!((text(&copy.from), text(&copy.chown), text(&copy.chmod)), ("one".into(), "a b".into(), "u+x".into()));
    assert_eq!((copy.link, copy.parents, copy.unpack), (true, true, None));
    assert_eq!(copy.excludes.iter().map(|word| word.text.as_str()).collect::<Vec<_>>(), ["*.o", "x y"]);
    assert_eq!(text(&add.checksum), "sha256:0");
    assert_eq!((add.link, add.keep_git_dir, add.unpack), (false, true, Some(false)));
}

fn run(text: &str) -> Run {
    match steps(text).remove(0) {
        Instruction::Run(run) => run,
        other => panic!("{other:?}"),
    }
}

#[test]
fn run_has_three_forms() {
    let plain = run("FROM a\nRUN --network=none --mount=type=tmpfs,target=/t --mount=target=/s a \\\n # no\n  && b\n");
    assert_eq!(plain.script(), Script::Shell("a   && b".into()));
    assert_eq!((plain.mounts.len(), plain.network.unwrap().text.as_str()), (2, "none"));
    assert_eq!(plain.mounts[1].options[0].name.span, Span { line: 2, column: 57 });
    let exec = run("FROM a\nRUN [\"a\", \"<<EOF\"]\n");
    assert_eq!((exec.script(), exec.heredocs.len()), (Script::Exec(vec!["a".into(), "<<EOF".into()]), 0));
    assert_eq!(run("FROM a\nRUN [ -e x ] && y\n").script(), Script::Shell("[ -e x ] && y".into()));

    let script = run("FROM a\nRUN <<-EOF\n\tset -e\n\t# a comment of the shell's\n\n\tmake \\\n\t all\nEOF\n");
    assert_eq!(script.script(), Script::Shell("set -e\n# a comment of the shell's\n\nmake \\\n all\n".into()));
    let program = run("FROM a\nRUN << 'my end'\n#!/usr/bin/env python3\nprint(1)\nmy end\n");
    let text = "#!/usr/bin/env python3\nprint(1)\n".to_owned();
    assert_eq!(program.script(), Script::Program { name: "my end".into(), text });
    let several = run("FROM a\nRUN cat <<A 3<<-B > x\n$1\nA\n\tb\n\tB\n");
    assert_eq!(several.script(), Script::Shell("cat <<A 3<<-B > x\n$1\nA\n\tb\nB".into()));
    assert_eq!(several.heredocs[1].text, "b\n");
    // Bit shifts and quotes are none.
    assert_eq!(run("FROM a\nRUN echo $((1<<2)) '<<EOF'\n").heredocs, []);
}

#[test]
fn copy_takes_here_documents() {
    let text = "ARG who=you\nFROM a\nARG who\nCOPY --chmod=755 x <<A <<-'B' /d/\nit's $who \\$who\n# no comment\nA\n\t$who\nB\nUSER z\n";
    let file = Dockerfile::parse(text).unwrap();
    let steps = &file.stages[0].steps;
    let Instruction::Copy(copy) = &steps[1].instruction else { panic!() };
    assert_eq!(sources(copy), ["x", "A", "B"]);
    let mut scope = Scope::of_file(&file, Arch::Arm, Arch::Amd64, &BTreeMap::new()).unwrap();
    let Instruction::Arg(pairs) = &steps[0].instruction else { panic!() };
    scope.declare(&pairs[0]).unwrap();
    let texts: Vec<String> = copy.sources[1..]
        .iter()
        .map(|source| match source {
            CopySource::Heredoc(heredoc) => scope.expand_heredoc(heredoc).unwrap(),
            CopySource::Path(_) => panic!(),
        })
        .collect();
    assert_eq!(texts, ["it's you $who\n# no comment\n", "$who\n"]);
    assert_eq!(steps[2].span.line, 10);

    let file = Dockerfile::parse("FROM a\nCOPY \\\n <<A /\nfine\n  ${none:?must be given}\nA\n").unwrap();
    let Instruction::Copy(copy) = &file.stages[0].steps[0].instruction else { panic!() };
    let CopySource::Heredoc(heredoc) = &copy.sources[0] else { panic!() };
    let error = scope.expand_heredoc(heredoc).unwrap_err();
    assert_eq!(error.to_string(), "5:10: none: must be given");
}

#[test]
fn onbuild_holds_an_instruction() {
    let text = "FROM a\nONBUILD run --network=none cat <<-E \\\n > x\n\t1\n\tE\nONBUILD ENV a=$b\n";
    let steps = steps(text);
    let [Instruction::OnBuild(first), Instruction::OnBuild(second)] = steps.as_slice() else { panic!() };
    assert_eq!(first.text, "run --network=none cat <<-E  > x\n\t1\nE");
    assert_eq!(second.text, "ENV a=$b");
    let step = Step::parse_trigger(&first.text).unwrap();
    let (Instruction::Run(run), Instruction::Run(again)) = (&*first.instruction, &step.instruction) else { panic!() };
    assert_eq!(run.script(), again.script());
    for (text, message) in [
        ("", "the ONBUILD trigger is empty"),
        ("RUN a\nRUN b", "an ONBUILD trigger is one instruction"),
        ("FROM a", "FROM is not allowed in ONBUILD"),
    ] {
        assert_eq!(Step::parse_trigger(text).unwrap_err().message, message);
    }
}

#[test]
fn escape_changes_the_continuation_and_the_escapes() {
    let file = Dockerfile::parse("# syntax=x\n# escape=`\nFROM a\nENV p=c:\\a `\n q=`$x\nWORKDIR C:\\\n").unwrap();
    let scope = Scope::of_file(&file, Arch::Arm, Arch::Amd64, &BTreeMap::new()).unwrap();
    let Instruction::Env(pairs) = &file.stages[0].steps[0].instruction else { panic!() };
    let values: Vec<String> = pairs.iter().map(|pair| scope.expand(pair.value.as_ref().unwrap()).unwrap()).collect();
    assert_eq!(values, ["c:\\a", "$x"]);
    let Instruction::WorkDir(word) = &file.stages[0].steps[1].instruction else { panic!() };
    assert_eq!(scope.expand(word).unwrap(), "C:\\");
}

#[test]
fn a_stage_goes_on_with_the_scope_of_the_one_below() {
    let file =
        Dockerfile::parse("ARG V=1\nFROM a AS one\nARG V\nENV E=$V\nARG E=2\nFROM one AS last\nARG W\n").unwrap();
    let given = BTreeMap::from([("http_proxy".to_owned(), "p".to_owned()), ("TARGETARCH".to_owned(), "x".to_owned())]);
    let mut scope = Scope::of_file(&file, Arch::Arm, Arch::Amd64, &given).unwrap();
    assert_eq!((scope.get("TARGETSTAGE"), scope.get("TARGETARCH")), (Some("last"), Some("x")));
    scope.enter_stage([("PATH".to_owned(), "/bin".to_owned())]);
    let mut apply = |step: &Step| match &step.instruction {
        Instruction::Arg(pairs) => pairs.iter().for_each(|pair| scope.declare(pair).unwrap()),
        Instruction::Env(pairs) => {
            let value = scope.expand(pairs[0].value.as_ref().unwrap()).unwrap();
            scope.set(pairs[0].name.text.clone(), value);
        }
        _ => panic!(),
    };
    file.stages.iter().flat_map(|stage| &stage.steps).for_each(&mut apply);
    assert_eq!(scope.variables().collect::<Vec<_>>(), [("E", "2"), ("PATH", "/bin"), ("V", "1")]);
    assert_eq!(scope.arguments().collect::<Vec<_>>(), [("V", Some("1")), ("E", Some("2")), ("W", None)]);
    let proxies = scope.proxies();
    assert_eq!(proxies.keys().collect::<Vec<_>>(), ["HTTP_PROXY", "http_proxy"]);
    assert_eq!(scope.get("http_proxy"), None);
    assert_eq!(scope.unused(&file).count(), 0);
}

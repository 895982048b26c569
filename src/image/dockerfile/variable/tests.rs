//! What words are worth.

use super::*;
use crate::image::dockerfile::{ParseError, Span, Word};

fn lookup(name: &str) -> Option<String> {
    let value = match name {
        "a" => "A",
        "empty" => "",
        "xy" => "xxyy",
        "path" => "/tmp/tmp/bar.txt",
        "special" => "()[]{}^$.*?|\\x",
        "stars" => "a***yy*",
        "pattern" => "\\*",
        "한" => "k",
        _ => return None,
    };
    Some(value.to_owned())
}

fn word(text: &str) -> Word {
    Word { span: Span { line: 3, column: 5 }, text: text.to_owned() }
}

fn expanded(text: &str) -> Result<String, ParseError> {
    expand(&word(text), Syntax::new('\\'), &lookup)
}

#[test]
fn variables_quotes_and_escapes() {
    for (text, value) in [
        ("x$a", "xA"),
        ("${a}b$none", "Ab"),
        ("'$a'", "$a"),
        ("'\\$a'", "\\$a"),
        ("\"$a \\$a \\x\"", "A $a \\x"),
        ("\\$a\\ b", "$a b"),
        ("he\\'llo", "he'llo"),
        ("hello\\", "hello"),
        ("hello\\\\", "hello\\"),
        ("\\${}", "${}"),
        ("${none:-x${a}y}", "xAy"),
        ("${none-${none:-c}}", "c"),
        ("${empty:-x}", "x"),
        ("${empty-x}", ""),
        ("${a:+set}${none:+set}${empty:+set}${empty+set}${none+set}", "setset"),
        ("${none:-'a}b'}", "a}b"),
        ("${none:-b {c}", "b {c"),
        ("${none:-\\${a}z}x", "${az}x"),
        ("${a}}", "A}"),
        ("${a:?}${empty?}", "A"),
        ("$", "$"),
        ("100$%", "100$%"),
        ("$1x", "x"),
        ("$999aaa", "aaa"),
        ("$@@$*$#$?$-$$$!$0", "@"),
        ("${1:-b}${@:-c}", "bc"),
        ("a<b <<c", "a<b <<c"),
        ("안$한", "안k"),
    ] {
        assert_eq!(expanded(text).as_deref(), Ok(value), "{text}");
    }
}

#[test]
fn patterns_cut_and_replace() {
    for (text, value) in [
        ("${xy#x}", "xyy"),
        ("${xy#*}", "xxyy"),
        ("${xy##*}", ""),
        ("${xy##*x}", "yy"),
        ("${xy#*x*y}", "y"),
        ("${xy%y}", "xxy"),
        ("${xy%%x*}", ""),
        ("${xy%x*}", "x"),
        ("${xy%x}", "xxyy"),
        ("${xy#}${xy%}", "xxyyxxyy"),
        ("${xy#$empty}", "xxyy"),
        ("${special#()[]{\\}^$.\\*\\?|\\\\}", "x"),
        ("${stars%%\\**\\*}", "a"),
        ("${path/\\/tmp/} ${path//\\/tmp/}", "/tmp/bar.txt /bar.txt"),
        ("${path//\\//\\/}", "\\/tmp\\/tmp\\/bar.txt"),
        ("${stars/$pattern/.} ${stars//$pattern/.}", "a.**yy* a...yy."),
        ("${path/?mp*/$a}", "/A"),
        ("${xy///}", "xxyy"),
        ("${none#x}${none/a/b}", ""),
    ] {
        assert_eq!(expanded(text).as_deref(), Ok(value), "{text}");
    }
}

#[test]
fn errors_name_the_column() {
    for (text, column, message) in [
        ("x${a", 9, "'${a' is never closed"),
        ("${none:?must be given}", 12, "none: must be given"),
        ("${none?}", 11, "none: it has no value"),
        ("${empty:?}", 13, "empty: it has no value"),
        ("${}", 7, "'${' is not followed by a name"),
        ("${{a}", 7, "'${' is not followed by a name"),
        ("${:-a}", 7, "'${' is not followed by a name"),
        ("${.}", 7, "'${' is not followed by a name"),
        ("${", 7, "'${' is never closed"),
        ("${a:=b}", 9, "':=' after '${a'"),
        ("${a:#b}", 9, "':#' after '${a'"),
        ("${a:b}", 9, "':b' after '${a'"),
        ("${a^^}", 8, "'^' after '${a'"),
        ("${a#\\y}", 8, "the pattern '\\y' is wrong: there is no escape '\\y'"),
        ("${a//b}", 11, "'${a//b}' ends before its '/'"),
        ("a'b", 8, "the quote ' is never closed"),
        ("\n \"b", 4, "the quote \" is never closed"),
    ] {
        let error = expanded(text).unwrap_err();
        assert_eq!((error.column, error.message.as_str()), (column, message), "{text}");
        assert_eq!(error.line, 3 + text.matches('\n').count());
    }
    assert!(expanded(&"${x:-".repeat(1000)).unwrap_err().message.contains("nested"));
    let long = |_: &str| Some("x".repeat(1 << 20));
    let error = expand(&word("$a$a$a$a$a"), Syntax::new('\\'), &long).unwrap_err();
    assert_eq!(error.message, "'$a$a$a$a$a' becomes longer than 4194304 characters");
}

#[test]
fn words_part_at_blanks_that_are_not_quoted() {
    let blanks = |name: &str| (name == "s").then(|| " a  b ".to_owned());
    for (text, words) in [
        ("x$s.", vec!["x", "a", "b", "."]),
        ("x\"$s\".", vec!["x a  b ."]),
        ("hello\\ there y", vec!["hello there", "y"]),
        ("hel'lo there'", vec!["hello there"]),
        ("  ", vec![]),
        ("a << b", vec!["a", "<< b"]),
    ] {
        let split = split(&word(text), Syntax::new('\\'), &blanks).unwrap();
        assert_eq!(split.into_iter().map(|(_, word)| word).collect::<Vec<_>>(), words, "{text}");
    }
}

#[test]
fn a_here_document_keeps_its_quotes() {
    let syntax = Syntax { ignore_quotes: true, ..Syntax::new('\\') };
    let text = expand(&word("it's \"$a\" \\$a '${none:-x}'\n"), syntax, &lookup);
    assert_eq!(text.as_deref(), Ok("it's \"A\" $a 'x'\n"));
}

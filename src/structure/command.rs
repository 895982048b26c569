//! What commands in a container of the image say.

use std::collections::BTreeMap;

use super::variables::expand;
use super::{Verdict, regex};
use crate::config::{CommandTest, SpecVariable, StructureSpec};
use crate::domain::Result;
use crate::image::Runtime;

/// So much of what a command has printed is shown.
const SHOWN_LINES: usize = 20;
const SHOWN_BYTES: usize = 2000;

/// A command test, ready to run: all its commands in one root over the image's layers, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandPlan<'a> {
    test: &'a CommandTest,
    /// The user, if it is not the image's own.
    pub user: Option<&'a str>,
    /// The whole environment.
    pub env: BTreeMap<String, String>,
    command: Vec<String>,
}

/// A command that was run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// How it ended.
    pub end: End,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// With an exit code; a signal counts as 128 and its number, as shells have it.
    Code(i32),
    /// Killed by whoever ran it, and why.
    Killed(String),
}

impl<'a> CommandPlan<'a> {
    /// All command tests of a file, in their order; `own` knows the variables of whoever runs xbuild.
    pub fn all(spec: &'a StructureSpec, image: &Runtime, own: &dyn Fn(&str) -> Option<String>) -> Vec<CommandPlan<'a>> {
        let options = &spec.container_run_options;
        let mut shared: BTreeMap<String, String> =
            image.environment().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        set(&mut shared, &spec.global_env_vars);
        let handed_on = options.env_vars.iter().filter_map(|name| Some((name.clone(), own(name)?)));
        shared.extend(handed_on);
        let plan = |test: &'a CommandTest| {
            let mut env = shared.clone();
            set(&mut env, &test.env_vars);
            let words = [&test.command].into_iter().chain(&test.args);
            // Shells have variables of their own, which are theirs to expand.
            let command = words.map(|word| expand(word, &|name| env.get(name).cloned())).collect();
            CommandPlan { test, user: options.user.as_deref(), env, command }
        };
        spec.command_tests.iter().map(plan).collect()
    }

    /// The test's name.
    pub fn name(&self) -> &'a str {
        &self.test.name
    }

    /// Runs setup, command and teardown by `run`, and compares what comes with what is expected. A setup that fails is a
    /// failure, and ends the test; so is a teardown.
    ///
    /// # Errors
    /// What `run` could not do.
    pub fn check(&self, run: &mut dyn FnMut(&[String]) -> Result<Ran>) -> Result<Verdict> {
        let mut verdict = Verdict::new(&self.test.name);
        for argv in &self.test.setup {
            chore("setup", argv, &run(argv)?, &mut verdict);
            if !verdict.failures.is_empty() {
                break;
            }
        }
        if verdict.failures.is_empty() {
            self.judge(&run(&self.command)?, &mut verdict)?;
        }
        for argv in &self.test.teardown {
            chore("teardown", argv, &run(argv)?, &mut verdict);
        }
        Ok(verdict)
    }

    fn judge(&self, ran: &Ran, verdict: &mut Verdict) -> Result<()> {
        let CommandTest { expected_output, excluded_output, expected_error, excluded_error, exit_code, .. } = self.test;
        verdict.expect(ran.end == End::Code(*exit_code), || {
            format!("the command ended with {}, and not with {}{}", ran.end, End::Code(*exit_code), words(ran))
        });
        for (what, bytes, expected, excluded) in [
            ("standard output", &ran.stdout, expected_output, excluded_output),
            ("standard error", &ran.stderr, expected_error, excluded_error),
        ] {
            for text in expected {
                let matches = regex(text)?.is_match(bytes);
                verdict.expect(matches, || format!("{what} has nothing that matches '{text}'; it is{}", quoted(bytes)));
            }
            for text in excluded {
                let matches = regex(text)?.is_match(bytes);
                verdict.expect(!matches, || format!("{what} has what matches '{text}'; it is{}", quoted(bytes)));
            }
        }
        Ok(())
    }
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            End::Code(code) => write!(f, "exit code {code}"),
            End::Killed(why) => f.write_str(why),
        }
    }
}

/// Sets variables; their values may name those that are set already, and others are worth nothing.
fn set(env: &mut BTreeMap<String, String>, variables: &[SpecVariable]) {
    for SpecVariable { key, value, .. } in variables {
        let value = expand(value, &|name| Some(env.get(name).cloned().unwrap_or_default()));
        env.insert(key.clone(), value);
    }
}

fn chore(what: &str, argv: &[String], ran: &Ran, verdict: &mut Verdict) {
    let succeeded = ran.end == End::Code(0);
    verdict.expect(succeeded, || format!("the {what} `{}` ended with {}{}", argv.join(" "), ran.end, words(ran)));
}

/// What a command that ended badly has to say.
fn words(ran: &Ran) -> String {
    match (ran.stderr.is_empty(), ran.stdout.is_empty()) {
        (false, _) => format!("; standard error is{}", quoted(&ran.stderr)),
        (true, false) => format!("; standard output is{}", quoted(&ran.stdout)),
        (true, true) => String::new(),
    }
}

/// Output as lines of their own, not too many.
fn quoted(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return " empty".to_owned();
    }
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN_BYTES)]);
    let lines: Vec<&str> = text.lines().collect();
    let shown = lines.len().min(SHOWN_LINES);
    let mut out: String = lines[..shown].iter().map(|line| format!("\n  | {line}")).collect();
    if shown < lines.len() || bytes.len() > SHOWN_BYTES {
        out += &format!("\n  and more: {} bytes in all", bytes.len());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(text: &str) -> StructureSpec {
        StructureSpec::parse("spec.yaml", &format!("schemaVersion: 2.0.0\n{text}")).unwrap()
    }

    fn image() -> Runtime {
        Runtime { env: Some(vec!["PATH=/bin".into(), "HOME=/h".into()]), ..Runtime::default() }
    }

    fn ran(code: i32, stdout: &str, stderr: &str) -> Ran {
        Ran { end: End::Code(code), stdout: stdout.into(), stderr: stderr.into() }
    }

    /// The failures of the only test when its command does this.
    fn failures(test: &str, command: &Ran) -> Vec<String> {
        let spec = spec(&format!("commandTests: [{{name: n, command: c, {test}}}]"));
        CommandPlan::all(&spec, &image(), &|_| None)[0].check(&mut |_| Ok(command.clone())).unwrap().failures
    }

    #[test]
    fn output_and_exit_code_are_as_the_spec_says() {
        let said = ran(3, "one\ntwo\n", "oh\n");
        assert_eq!(
            failures(
                "exitCode: 3, expectedOutput: [one, '^one', '(?m)^two$'], excludedOutput: ['^two'], expectedError: ['oh\\n$'], excludedError: [one]",
                &said
            ),
            Vec::<String>::new()
        );
        let wrong =
            failures("expectedOutput: [three], excludedOutput: [one], expectedError: [x], excludedError: [o]", &said);
        assert_eq!(wrong.len(), 5, "{wrong:#?}");
        assert_eq!(wrong[0], "the command ended with exit code 3, and not with exit code 0; standard error is\n  | oh");
        assert_eq!(wrong[1], "standard output has nothing that matches 'three'; it is\n  | one\n  | two");
        assert_eq!(
            failures("expectedOutput: [x]", &ran(0, "", ""))[0],
            "standard output has nothing that matches 'x'; it is empty"
        );
        let killed = Ran { end: End::Killed("killed after 5 s".into()), stdout: Vec::new(), stderr: Vec::new() };
        assert_eq!(
            failures("exitCode: 137", &killed),
            ["the command ended with killed after 5 s, and not with exit code 137"]
        );
    }

    #[test]
    fn a_failed_setup_ends_the_test_but_for_its_teardown() {
        let text = "commandTests: [{name: n, setup: [[a], [b], [c]], command: d, teardown: [[e], [f]]}]";
        let spec = spec(text);
        let plans = CommandPlan::all(&spec, &image(), &|_| None);
        let mut seen = Vec::new();
        let mut run = |argv: &[String]| {
            seen.push(argv.join(" "));
            Ok(ran(i32::from(["b", "e"].contains(&argv[0].as_str())), "", "why"))
        };
        let verdict = plans[0].check(&mut run).unwrap();
        assert_eq!(seen, ["a", "b", "e", "f"]);
        assert_eq!(verdict.failures.len(), 2);
        assert_eq!(verdict.failures[0], "the setup `b` ended with exit code 1; standard error is\n  | why");
    }

    #[test]
    fn variables_come_from_the_image_the_file_and_the_test() {
        let spec = spec(
            "globalEnvVars: [{key: PATH, value: '/g:$PATH'}, {key: E, value: 'a${NONE}b'}]\n\
             containerRunOptions: {user: me, envVars: [OWN, NOT]}\n\
             commandTests: [{name: n, command: $HOME/x, args: ['$PATH $NONE $?'], envVars: [{key: PATH, value: '/t:$PATH'}]}]",
        );
        let plans = CommandPlan::all(&spec, &image(), &|name| (name == "OWN").then(|| "mine".into()));
        let CommandPlan { user, env, command, .. } = &plans[0];
        assert_eq!(*user, Some("me"));
        let pairs: Vec<String> = env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(pairs, ["E=ab", "HOME=/h", "OWN=mine", "PATH=/t:/g:/bin"]);
        assert_eq!(command, &["/h/x", "/t:/g:/bin $NONE $?"]);
    }

    #[test]
    fn much_output_is_cut() {
        let text = quoted("line\n".repeat(1000).as_bytes());
        assert_eq!(text.lines().filter(|line| line.contains('|')).count(), SHOWN_LINES);
        assert!(text.ends_with("and more: 5000 bytes in all"), "{text}");
    }
}

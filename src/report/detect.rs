//! Chooses the mode by what standard error is and what the environment asks for.

use std::io::IsTerminal;

use super::mode::{Colour, Mode};

impl Mode {
    /// The mode for this process: `json` is `--json`, `colour` is `--color`.
    ///
    /// `NO_COLOR`, `CLICOLOR_FORCE`, `CLICOLOR`, `TERM` and `CI` are honoured; the option goes before all of them.
    pub fn detect(json: bool, colour: Colour) -> Mode {
        choose(json, colour, std::io::stderr().is_terminal(), |name| std::env::var(name).ok())
    }
}

fn choose(json: bool, colour: Colour, terminal: bool, variable: impl Fn(&str) -> Option<String>) -> Mode {
    if json {
        return Mode::Json;
    }
    let set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
    let on = |name: &str| variable(name).is_some_and(|value| !matches!(value.as_str(), "" | "0" | "false"));
    let able = terminal && variable("TERM").is_some_and(|term| !matches!(term.as_str(), "" | "dumb"));
    let colour = match colour {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto if set("NO_COLOR") => false,
        Colour::Auto if on("CLICOLOR_FORCE") => true,
        Colour::Auto => able && variable("CLICOLOR").as_deref() != Some("0"),
    };
    // Some CI systems give jobs a terminal, whose every redrawing then stands in the log.
    if able && !on("CI") { Mode::Terminal { colour } } else { Mode::Lines { colour } }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(colour: Colour, terminal: bool, variables: &[(&str, &str)]) -> Mode {
        choose(false, colour, terminal, |name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn terminal_and_environment_decide() {
        let xterm = ("TERM", "xterm");
        let live = |colour| Mode::Terminal { colour };
        let lines = |colour| Mode::Lines { colour };
        for (colour, terminal, variables, expected) in [
            (Colour::Auto, true, &[xterm][..], live(true)),
            (Colour::Auto, false, &[xterm], lines(false)),
            (Colour::Always, false, &[xterm, ("NO_COLOR", "1")], lines(true)),
            (Colour::Never, true, &[xterm, ("CLICOLOR_FORCE", "1")], live(false)),
            (Colour::Auto, true, &[xterm, ("NO_COLOR", "1")], live(false)),
            (Colour::Auto, true, &[xterm, ("NO_COLOR", "")], live(true)),
            (Colour::Auto, true, &[xterm, ("CLICOLOR", "0")], live(false)),
            (Colour::Auto, false, &[xterm, ("CLICOLOR_FORCE", "1")], lines(true)),
            (Colour::Auto, false, &[xterm, ("CLICOLOR_FORCE", "0")], lines(false)),
            (Colour::Auto, false, &[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")], lines(false)),
            (Colour::Auto, true, &[("TERM", "dumb")], lines(false)),
            (Colour::Auto, true, &[], lines(false)),
            (Colour::Auto, true, &[xterm, ("CI", "true")], lines(true)),
            (Colour::Auto, true, &[xterm, ("CI", "false")], live(true)),
        ] {
            assert_eq!(chosen(colour, terminal, variables), expected, "{colour:?} {terminal} {variables:?}");
        }
        assert_eq!(choose(true, Colour::Always, true, |_| None), Mode::Json);
    }
}

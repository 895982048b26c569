//! Findings as a table for a terminal.

use super::{Finding, State};

/// One line per finding; below one that does not fully work, what it is for and what mends it.
pub fn render(findings: &[Finding], colour: bool) -> String {
    let width = findings.iter().map(|finding| finding.name.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for finding in findings {
        let (word, code) = match finding.state {
            State::Works => ("works", 32),
            State::Limited => ("limited", 33),
            State::Missing => ("missing", 31),
        };
        let padded = format!("{word:<7}");
        let word = if colour { format!("\x1b[{code}m{padded}\x1b[0m") } else { padded };
        text += &format!("{:<width$}  {word}  {}\n", finding.name, one_line(&finding.detail));
        if finding.state != State::Works {
            text += &format!("{:<width$}           for: {}\n", "", finding.needed_for);
        }
        if let Some(mend) = &finding.mend {
            text += &format!("{:<width$}           mend: {}\n", "", one_line(mend));
        }
    }
    text
}

/// Words of other programs may hold anything; control characters would reach the terminal.
fn one_line(text: &str) -> String {
    let words = text.split(|letter: char| letter.is_control() || letter == ' ').filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::finding::{DOCKER, NATIVE};
    use super::*;

    fn findings() -> Vec<Finding> {
        vec![
            Finding::works("user namespaces", NATIVE, "a new one takes an id map"),
            Finding::limited("user ids", NATIVE, "alice has\none id").mend("sudo apt-get install uidmap"),
            Finding::missing("docker", DOCKER, "no \x1b[31msocket"),
        ]
    }

    #[test]
    fn a_table_reads_without_colour() {
        assert_eq!(
            render(&findings(), false),
            "user namespaces  works    a new one takes an id map\n\
             user ids         limited  alice has one id\n                          for: the native engine\n                          \
             mend: sudo apt-get install uidmap\n\
             docker           missing  no [31msocket\n                          for: --engine docker\n"
        );
    }

    #[test]
    fn colour_is_on_the_state_alone() {
        let text = render(&findings()[..1], true);
        assert_eq!(text, "user namespaces  \x1b[32mworks  \x1b[0m  a new one takes an id map\n");
    }

    #[test]
    fn json_has_every_field() {
        assert_eq!(
            serde_json::to_string(&findings()[1]).unwrap(),
            "{\"name\":\"user ids\",\"state\":\"limited\",\"detail\":\"alice has\\none id\",\
             \"mend\":\"sudo apt-get install uidmap\",\"needed_for\":\"the native engine\"}"
        );
    }
}

//! Lines that stay: what became of a step, a failure with its output, the summary, errors.

use std::time::Duration;

use crate::domain::Error;

use super::capture::Kept;
use super::escape::harmless;
use super::format::{count, duration, shorten, width};
use super::look::{Look, Tone};
use super::run::{Progress, Run};

/// The column at which names begin: two spaces, the longest word, two spaces.
const NAME: usize = 11;
/// Names are padded to this, where the line is wide enough.
const NAMES: usize = 40;
/// Skipped steps named in a summary, unless all are wanted.
const SKIPPED: usize = 10;

/// How lines are written: with what, and how wide they may be.
#[derive(Clone, Copy)]
pub(super) struct Page {
    pub(super) look: Look,
    /// `None` where nothing would wrap, as in a file.
    pub(super) columns: Option<usize>,
}

impl Page {
    /// One line about a step; `took` is right-aligned in a column of its own, `remark` follows.
    pub(super) fn step(self, word: &str, step: &str, took: Option<Duration>, remark: &str) -> String {
        let limit = self.columns.map_or(usize::MAX, |columns| columns.saturating_sub(1));
        let names = NAMES.min(limit.saturating_sub(NAME + 8)).max(8);
        let longest = limit.saturating_sub(NAME + if took.is_some() { 8 } else { 0 }).max(8);
        let name = shorten(step, longest, self.look);
        let tone = match word {
            "built" => Tone::Good,
            "failed" => Tone::Bad,
            "skipped" => Tone::Odd,
            _ => Tone::Faint,
        };
        let mut line = format!("  {}{}", self.look.paint(tone, word), " ".repeat(NAME - 2 - word.len()));
        line.push_str(&name);
        let mut columns = NAME + width(&name);
        if let Some(took) = took {
            // A name beyond its column takes from the spaces before the time.
            let time = duration(took);
            let spaces = (NAMES.min(names) + 2 + 6).saturating_sub(width(&name) + width(&time)).max(2);
            line.push_str(&" ".repeat(spaces));
            line.push_str(&self.look.paint(Tone::Faint, &time));
            columns += spaces + width(&time);
        }
        let room = limit.saturating_sub(columns + 2);
        if !remark.is_empty() && room > 8 {
            let spaces = if took.is_none() { names.saturating_sub(width(&name)).min(room - 8) } else { 0 };
            let remark = super::format::clip(&harmless(remark, false), room - spaces, self.look);
            line.push_str(&format!("{}  {}", " ".repeat(spaces), self.look.paint(Tone::Faint, &remark)));
        }
        line.push('\n');
        line
    }

    /// A step that has run for a while, for a log.
    pub(super) fn running(self, step: &str, elapsed: Duration, progress: Option<&Progress>, reason: &str) -> String {
        let remark = progress.map(|progress| super::live::words(progress, 40).trim_start().to_owned());
        self.step("running", step, Some(elapsed), remark.as_deref().unwrap_or(reason))
    }

    /// A failed step: the line, the error, and the output that was not shown yet, as the command wrote it.
    ///
    /// The output is neither indented nor wrapped, so that editors and CI systems find file names and lines in it.
    pub(super) fn failure(self, step: &str, took: Duration, error: &str, kept: Option<&Kept>) -> String {
        let mut text = self.step("failed", step, Some(took), "");
        text.push_str(&self.error(error, &[]));
        if let Some(kept) = kept.filter(|kept| kept.lines().next().is_some()) {
            let what = match (kept.dropped(), kept.lines().count() as u64) {
                (0, _) => format!("output of {step}"),
                (dropped, shown) => format!("output of {step}, last {shown} of {}", count(dropped + shown, "line")),
            };
            text.push_str(&self.rule(&what));
            for line in kept.lines() {
                text.push_str(&harmless(line, self.look.colour));
                text.push('\n');
            }
            text.push_str(&self.rule(&format!("end of output of {step}")));
        }
        text
    }

    fn rule(self, title: &str) -> String {
        let title = match self.columns {
            Some(columns) => shorten(title, columns.saturating_sub(9), self.look),
            None => title.to_owned(),
        };
        format!("{}\n", self.look.paint(Tone::Faint, &format!("--- {title} ---")))
    }

    /// One line of a command's output, after the step that it belongs to.
    pub(super) fn output(self, step: &str, line: &str) -> String {
        format!("{} {}\n", self.look.paint(Tone::Faint, &format!("{step} |")), harmless(line, self.look.colour))
    }

    /// An error and what mends it.
    pub(super) fn error(self, message: &str, hints: &[&str]) -> String {
        let mut text = self.labelled(Tone::Bad, "error", message);
        for hint in hints {
            text.push_str(&self.labelled(Tone::Strong, "hint", hint));
        }
        text
    }

    /// Any error of xbuild's.
    pub(super) fn error_value(self, error: &Error) -> String {
        self.error(&error.to_string(), &error.hints())
    }

    /// A warning.
    pub(super) fn warning(self, message: &str) -> String {
        self.labelled(Tone::Odd, "warning", message)
    }

    fn labelled(self, tone: Tone, label: &str, message: &str) -> String {
        let mut lines = message.trim_end().lines();
        let first = harmless(lines.next().unwrap_or_default(), false);
        let mut text = format!("{} {first}\n", self.look.paint(tone, &format!("{label}:")));
        for line in lines {
            let line = harmless(line, false);
            match line.strip_prefix("hint:") {
                Some(hint) => text.push_str(&format!("{}{hint}\n", self.look.paint(Tone::Strong, "hint:"))),
                None => text.push_str(&format!("{line}\n")),
            }
        }
        text
    }

    /// What became of all steps: the numbers, then those that failed or were skipped by name.
    pub(super) fn summary(self, run: &Run, took: Duration, all: bool) -> String {
        let counts = run.counts(["built", "cached", "failed", "skipped", "stopped"]);
        let painted: Vec<String> = counts
            .iter()
            .map(|(word, number)| {
                let tone = if *word == "failed" { Tone::Bad } else { Tone::Plain };
                self.look.paint(tone, &format!("{word} {}", super::format::number(*number as u64)))
            })
            .collect();
        let what = if painted.is_empty() { "nothing to do".to_owned() } else { painted.join(", ") };
        let mut text = format!("{what} in {}\n", duration(took));
        for (step, error) in &run.failed {
            text.push_str(&self.step("failed", step, None, error.lines().next().unwrap_or_default()));
        }
        let shown = if all || run.skipped.len() <= SKIPPED { run.skipped.len() } else { SKIPPED - 1 };
        for (step, needs) in &run.skipped[..shown] {
            text.push_str(&self.step("skipped", step, None, &format!("needs {needs}")));
        }
        if shown < run.skipped.len() {
            let more = format!("and {} more", run.skipped.len() - shown);
            text.push_str(&format!("  {}  {more}\n", self.look.paint(Tone::Odd, "skipped")));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn page(columns: usize, colour: bool) -> Page {
        Page { look: Look { colour, unicode: false }, columns: Some(columns) }
    }

    fn time(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn steps_stand_in_columns() {
        let lines = |page: Page| {
            page.step("built", "binary/router/s390x", Some(time(3_200)), "")
                + &page.step("built", "library/libpcap@1.10.5/ppc64le", Some(time(65_000)), "recipe changed")
                + &page.step("cached", "archive/debian-trixie/go", None, "")
                + &page.step(
                    "failed",
                    "image/a-rather-long-name-for-an-image-if-you-ask-me/ppc64le",
                    Some(time(38)),
                    "",
                )
        };
        assert_eq!(
            lines(page(80, false)),
            "  built    binary/router/s390x                         3.2s
  built    library/libpcap@1.10.5/ppc64le            1m 05s  recipe changed
  cached   archive/debian-trixie/go
  failed   image/a-rather-long-name-for-an-image-if-you-ask-me/ppc64le  38ms
"
        );
        assert_eq!(
            lines(page(40, false)),
            "  built    binary/router/s390x     3.2s
  built    library/l..5/ppc64le  1m 05s
  cached   archive/debian-trixie/go
  failed   image/a-r..e/ppc64le    38ms
"
        );
    }

    #[test]
    fn colour_only_adds() {
        assert_eq!(
            page(80, true).step("built", "binary/router/s390x", Some(time(3_200)), "new"),
            "  \x1b[32mbuilt\x1b[0m    binary/router/s390x                         \x1b[2m3.2s\x1b[0m  \x1b[2mnew\x1b[0m\n"
        );
        assert_eq!(page(80, true).error("no", &["try"]), "\x1b[1;31merror:\x1b[0m no\n\x1b[1mhint:\x1b[0m try\n");
    }

    #[test]
    fn failures_show_error_and_output() {
        let mut kept = Kept::default();
        kept.push("router.go:3:5: \x1b[31mundefined\x1b[0m: foo\x1b[2J");
        assert_eq!(
            page(80, false).failure("binary/router/s390x", time(900), "go build: exit status 2\nmore", Some(&kept)),
            "  failed   binary/router/s390x                         0.9s
error: go build: exit status 2
more
--- output of binary/router/s390x ---
router.go:3:5: undefined: foo
--- end of output of binary/router/s390x ---
"
        );
        for number in 0..1234 {
            kept.push(&format!("line {number}"));
        }
        let text = page(80, true).failure("binary/router/s390x", time(900), "x", Some(&kept));
        assert!(text.contains("output of binary/router/s390x, last 200 of 1,235 lines ---"), "{text}");
        assert!(text.contains("\nline 1034\n") && !text.contains("line 1033\n"));
        let silent = page(80, false).failure("binary/router/s390x", time(900), "x", Some(&Kept::default()));
        assert!(!silent.contains("---"));
    }

    #[test]
    fn errors_chain_and_hint() {
        let error = Error::usage("cannot read xbuild.yaml").because(Error::usage("no key 'nam'").hint("try 'name'"));
        assert_eq!(
            page(80, false).error_value(&error),
            "error: cannot read xbuild.yaml: no key 'nam'\nhint: try 'name'\n"
        );
    }

    #[test]
    fn summaries() {
        let mut run = Run::new(Instant::now());
        assert_eq!(page(80, false).summary(&run, time(12), false), "nothing to do in 12ms\n");
        run.cached = 1043;
        assert_eq!(page(80, false).summary(&run, time(12), false), "cached 1,043 in 12ms\n");
        run.built = 12;
        run.failed.push(("binary/router/s390x".into(), "go build: exit status 2\nhint: x".into()));
        run.skipped.push(("image/router/s390x".into(), "binary/router/s390x".into()));
        assert_eq!(
            page(80, false).summary(&run, time(12_300), false),
            "built 12, cached 1,043, failed 1, skipped 1 in 12.3s
  failed   binary/router/s390x                       go build: exit status 2
  skipped  image/router/s390x                        needs binary/router/s390x
"
        );
        assert_eq!(
            page(40, false).summary(&run, time(12_300), false),
            "built 12, cached 1,043, failed 1, skipped 1 in 12.3s
  failed   binary/router/s390x
  skipped  image/router/s390x
"
        );
        for number in 0..20 {
            run.skipped.push((format!("image/i{number}/arm"), "x".into()));
        }
        let text = page(80, false).summary(&run, time(1), false);
        assert_eq!(text.lines().count(), 12);
        assert!(text.ends_with("  skipped  and 12 more\n"), "{text}");
        assert_eq!(page(80, false).summary(&run, time(1), true).lines().count(), 23);
    }
}

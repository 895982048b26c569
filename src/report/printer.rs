//! Takes events from any thread and tells them.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::domain::{Error, Event, Events, Outcome};

use super::json;
use super::live::live;
use super::look::Look;
use super::mode::{Mode, Verbosity};
use super::run::{Progress, Run, Running};
use super::screen::{Screen, Size};
use super::tell::Page;

/// Nothing is drawn before a step has run for so long, so that quick runs leave no trace of it.
const PATIENCE: Duration = Duration::from_millis(100);
/// How often running steps are drawn again.
const FRAME: Duration = Duration::from_millis(100);
/// A log is told of a step that runs for longer than this, ..
const LOG_AFTER: Duration = Duration::from_secs(1);
/// .. and then this often that it still does; CI systems stop jobs that are silent for minutes.
const LOG_EVERY: Duration = Duration::from_secs(10);
/// How often a program is told of a step's progress at most.
const JSON_EVERY: Duration = Duration::from_millis(100);

/// Tells events, errors and the summary on standard error.
///
/// Dropping it clears what is drawn, as [`Printer::finish`] does.
pub struct Printer {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// Something has started to run, or all is over.
    wake: Condvar,
}

struct State {
    mode: Mode,
    verbosity: Verbosity,
    look: Look,
    run: Run,
    screen: Screen,
    warned: BTreeSet<String>,
    /// Draws while steps run; there is none until the first starts.
    ticker: Option<JoinHandle<()>>,
    over: bool,
}

impl Printer {
    /// A printer on standard error; the run's time counts from here.
    pub fn new(mode: Mode, verbosity: Verbosity) -> Printer {
        Printer::on(mode, verbosity, Box::new(std::io::stderr()), Box::new(terminal_size_of_stderr))
    }

    fn on(
        mode: Mode,
        verbosity: Verbosity,
        out: Box<dyn Write + Send>,
        size: Box<dyn Fn() -> Option<Size> + Send>,
    ) -> Printer {
        let look = match mode {
            Mode::Terminal { colour } | Mode::Lines { colour } => Look::new(colour),
            Mode::Json => Look { colour: false, unicode: false },
        };
        let state = State {
            mode,
            verbosity,
            look,
            run: Run::new(Instant::now()),
            screen: Screen::new(out, size),
            warned: BTreeSet::new(),
            ticker: None,
            over: false,
        };
        Printer { shared: Arc::new(Shared { state: Mutex::new(state), wake: Condvar::new() }) }
    }

    /// Where the work sends its events: cheap to clone, safe to use from any thread.
    pub fn events(&self) -> Events {
        let shared = Arc::clone(&self.shared);
        Events::new(move |event| take(&shared, event))
    }

    /// Tells an error: `error: message: cause`, then a `hint:` line for each thing that may mend it.
    pub fn error(&self, error: &Error) {
        let mut state = self.shared.lock();
        let text = match state.mode {
            Mode::Json => json::error(error, state.run.began.elapsed()),
            _ => state.page().error_value(error),
        };
        state.stay(&text, Instant::now());
        state.show(Instant::now());
    }

    /// Ends the drawing and tells what became of all steps; those that never ended count as stopped.
    pub fn summary(&self) {
        self.finish();
        let mut state = self.shared.lock();
        let took = state.run.began.elapsed();
        let text = match (state.mode, state.verbosity) {
            (Mode::Json, _) => json::summary(&state.run, took),
            (_, Verbosity::Quiet) => return,
            (_, verbosity) => state.page().summary(&state.run, took, verbosity == Verbosity::Verbose),
        };
        state.stay(&text, Instant::now());
    }

    /// Clears what is drawn. Events that come later are told, but nothing is drawn again.
    pub fn finish(&self) {
        let ticker = {
            let mut state = self.shared.lock();
            state.over = true;
            state.screen.show(&[], Instant::now());
            state.ticker.take()
        };
        self.shared.wake.notify_all();
        if let Some(ticker) = ticker {
            // It ends by itself; one that panicked has nothing left to clear.
            let _ = ticker.join();
        }
    }
}

impl Drop for Printer {
    fn drop(&mut self) {
        self.finish();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere is reported by whoever panicked; what is told remains of use.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn take(shared: &Arc<Shared>, event: Event) {
    let mut state = shared.lock();
    let idle = state.run.running.is_empty();
    let now = Instant::now();
    if state.mode == Mode::Json {
        state.take_for_program(event, now);
        return;
    }
    state.take(event, now);
    if idle && !state.run.running.is_empty() && !state.over && state.verbosity > Verbosity::Quiet {
        if state.ticker.is_none() {
            let shared = Arc::clone(shared);
            // Without the thread, steps are told when they end.
            state.ticker = std::thread::Builder::new().name("report".into()).spawn(move || tick(&shared)).ok();
        }
        shared.wake.notify_all();
    }
}

fn tick(shared: &Shared) {
    let mut state = shared.lock();
    while !state.over {
        state.tick(Instant::now());
        let idle = state.run.running.is_empty() && !state.screen.is_drawn();
        state = if idle {
            shared.wake.wait(state).unwrap_or_else(PoisonError::into_inner)
        } else {
            shared.wake.wait_timeout(state, FRAME).unwrap_or_else(PoisonError::into_inner).0
        };
    }
}

impl State {
    fn page(&self) -> Page {
        let columns = match self.mode {
            Mode::Terminal { .. } => Some(self.screen.size().map_or(80, |(columns, _)| columns)),
            Mode::Lines { .. } | Mode::Json => None,
        };
        Page { look: self.look, columns }
    }

    /// Adds lines that stay.
    fn stay(&mut self, text: &str, now: Instant) {
        if !text.is_empty() && self.screen.push(text, now) {
            self.show(now);
        }
    }

    /// Brings everything up to date.
    fn show(&mut self, now: Instant) {
        let drawing = matches!(self.mode, Mode::Terminal { .. })
            && self.verbosity > Verbosity::Quiet
            && !self.over
            && !self.run.running.is_empty()
            && (self.screen.is_drawn() || self.run.longest(now) >= PATIENCE);
        let lines = match self.screen.size() {
            Some((columns, rows)) if drawing => live(&self.run, now, self.look, columns, rows),
            _ => Vec::new(),
        };
        self.screen.show(&lines, now);
    }

    fn tick(&mut self, now: Instant) {
        match self.mode {
            Mode::Terminal { .. } => self.show(now),
            Mode::Lines { .. } => {
                let page = self.page();
                let mut text = String::new();
                for running in &mut self.run.running {
                    let elapsed = now.saturating_duration_since(running.since);
                    let due = match running.told {
                        None => elapsed >= LOG_AFTER,
                        Some(told) => now.saturating_duration_since(told) >= LOG_EVERY,
                    };
                    if due {
                        running.told = Some(now);
                        text += &page.running(&running.step, elapsed, running.progress.as_ref(), &running.reason);
                    }
                }
                self.stay(&text, now);
            }
            Mode::Json => {}
        }
    }

    fn take_for_program(&mut self, event: Event, now: Instant) {
        if let Event::Progress { step, what, done, total } = &event {
            let progress = Progress { what, done: *done, total: *total };
            if let Some(running) = self.run.find(step) {
                let same = running.progress.is_some_and(|before| before.what == *what) && *total != Some(*done);
                let recent = running.told.is_some_and(|told| now.saturating_duration_since(told) < JSON_EVERY);
                if same && recent {
                    return;
                }
                (running.progress, running.told) = (Some(progress), Some(now));
            }
        }
        let text = json::event(&event, now.saturating_duration_since(self.run.began));
        self.stay(&text, now);
        match event {
            Event::Waiting { step } => self.run.wait(step, now),
            Event::Started { step, reason } => self.run.start(step, reason, now),
            Event::Finished { step, outcome, .. } => {
                self.run.take(&step);
                self.count(step, outcome);
            }
            _ => {}
        }
    }

    fn count(&mut self, step: String, outcome: Outcome) {
        match outcome {
            Outcome::Built => self.run.built += 1,
            Outcome::Cached => self.run.cached += 1,
            Outcome::Failed(error) => self.run.failed.push((step, error)),
            Outcome::Skipped(needs) => self.run.skipped.push((step, needs)),
        }
    }

    fn take(&mut self, event: Event, now: Instant) {
        match event {
            Event::Planned { steps } => self.run.planned += steps,
            Event::Waiting { step } => self.run.wait(step, now),
            Event::Started { step, reason } => self.run.start(step, reason, now),
            Event::Progress { step, what, done, total } => {
                if let Some(running) = self.run.find(&step) {
                    running.progress = Some(Progress { what, done, total });
                }
            }
            Event::Output { step, stream, text } => {
                let (page, verbose) = (self.page(), self.verbosity == Verbosity::Verbose);
                let mut told = String::new();
                match self.run.find(&step) {
                    Some(Running { lines, kept, .. }) => lines.push(stream, &text, |line| match verbose {
                        true => told += &page.output(&step, line),
                        false => kept.push(line),
                    }),
                    // A straggler after its step's end.
                    None if verbose => text.lines().for_each(|line| told += &page.output(&step, line)),
                    None => {}
                }
                self.stay(&told, now);
            }
            Event::Warning { text } => {
                // The same is often true of five architectures.
                if self.verbosity > Verbosity::Quiet && self.warned.insert(text.clone()) {
                    self.stay(&self.page().warning(&text), now);
                }
            }
            Event::Finished { step, outcome, took } => self.finished(step, outcome, took, now),
        }
    }

    fn finished(&mut self, step: String, outcome: Outcome, took: Duration, now: Instant) {
        let mut running = self.run.take(&step);
        let mut text = String::new();
        // All cached is the common case: no look at the terminal's size then.
        if self.verbosity < Verbosity::Verbose && matches!(outcome, Outcome::Cached | Outcome::Skipped(_)) {
            self.count(step, outcome);
            return;
        }
        let (page, verbose) = (self.page(), self.verbosity == Verbosity::Verbose);
        if let Some(Running { lines, kept, .. }) = &mut running {
            lines.finish(|line| match verbose {
                true => text += &page.output(&step, line),
                false => kept.push(line),
            });
        }
        let reason = running.as_ref().map_or("", |running| running.reason.as_str());
        match &outcome {
            Outcome::Built if self.verbosity == Verbosity::Quiet => {}
            Outcome::Built => text += &page.step("built", &step, Some(took), if verbose { reason } else { "" }),
            Outcome::Cached => text += &page.step("cached", &step, None, ""),
            Outcome::Skipped(needs) => text += &page.step("skipped", &step, None, &format!("needs {needs}")),
            Outcome::Failed(error) => {
                // What was shown as it came is not shown again.
                let kept = running.as_ref().map(|running| &running.kept).filter(|_| !verbose);
                text += &page.failure(&step, took, error, kept);
            }
        }
        self.count(step, outcome);
        self.stay(&text, now);
    }
}

fn terminal_size_of_stderr() -> Option<Size> {
    let (columns, rows) = terminal_size::terminal_size_of(std::io::stderr())?;
    Some((columns.0.into(), rows.0.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Stream;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Written {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    const LINES: Mode = Mode::Lines { colour: false };
    const TERMINAL: Mode = Mode::Terminal { colour: false };

    fn printer(mode: Mode, verbosity: Verbosity) -> (Printer, Events, Written) {
        let written = Written::default();
        let printer = Printer::on(mode, verbosity, Box::new(written.clone()), Box::new(|| Some((80, 24))));
        let events = printer.events();
        (printer, events, written)
    }

    fn started(step: &str) -> Event {
        Event::Started { step: step.into(), reason: "new".into() }
    }

    fn output(step: &str, text: &str) -> Event {
        Event::Output { step: step.into(), stream: Stream::Stdout, text: text.into() }
    }

    fn finished(step: &str, outcome: Outcome) -> Event {
        Event::Finished { step: step.into(), outcome, took: Duration::from_secs(1) }
    }

    /// One step that succeeds and one that fails, both with output.
    fn two_steps(events: &Events) {
        for step in ["a", "b"] {
            events.emit(started(step));
            events.emit(output(step, "from "));
        }
        for step in ["a", "b"] {
            events.emit(output(step, &format!("{step}\nrest of {step}")));
        }
        events.emit(finished("a", Outcome::Built));
        events.emit(finished("b", Outcome::Failed("exit status 2".into())));
    }

    const BUILT: &str = "  built    a                                           1.0s\n";
    const FAILED: &str = "  failed   b                                           1.0s\nerror: exit status 2\n";
    const OUTPUT: &str = "--- output of b ---\nfrom b\nrest of b\n--- end of output of b ---\n";

    #[test]
    fn only_a_failure_shows_output() {
        for mode in [LINES, TERMINAL] {
            let (_printer, events, written) = printer(mode, Verbosity::Normal);
            two_steps(&events);
            assert_eq!(written.text(), format!("{BUILT}{FAILED}{OUTPUT}"));
        }
    }

    #[test]
    fn quiet_tells_failures_only() {
        let (printer, events, written) = printer(TERMINAL, Verbosity::Quiet);
        events.emit(Event::Warning { text: "odd".into() });
        two_steps(&events);
        printer.summary();
        assert_eq!(written.text(), format!("{FAILED}{OUTPUT}"));
        assert!(printer.shared.lock().ticker.is_none());
    }

    #[test]
    fn verbose_tells_output_by_the_line_and_once() {
        let (_printer, events, written) = printer(LINES, Verbosity::Verbose);
        two_steps(&events);
        let built = BUILT.trim_end();
        assert_eq!(
            written.text(),
            format!("a | from a\nb | from b\na | rest of a\n{built}  new\nb | rest of b\n{FAILED}")
        );
    }

    #[test]
    fn nothing_happens_where_all_is_cached() {
        let (printer, events, written) = printer(TERMINAL, Verbosity::Normal);
        events.emit(Event::Planned { steps: 60 });
        for number in 0..60 {
            events.emit(finished(&format!("binary/{number}/arm"), Outcome::Cached));
        }
        assert_eq!(written.text(), "");
        assert!(printer.shared.lock().ticker.is_none());
        printer.summary();
        assert!(written.text().starts_with("cached 60 in "));
    }

    #[test]
    fn long_steps_are_drawn_and_cleared() {
        let (printer, events, written) = printer(TERMINAL, Verbosity::Normal);
        events.emit(started("a"));
        std::thread::sleep(PATIENCE / 2);
        assert_eq!(written.text(), "");
        while !written.text().contains("  0s  new") {
            std::thread::sleep(FRAME / 10);
        }
        printer.finish();
        assert!(written.text().ends_with("\x1b[1A\x1b[2K"));
        let length = written.text().len();
        printer.summary();
        assert!(written.text()[length..].starts_with("stopped 1 in "));
    }

    #[test]
    fn many_threads_may_tell() {
        let (printer, events, written) = printer(LINES, Verbosity::Verbose);
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let events = events.clone();
                scope.spawn(move || {
                    let step = format!("step{thread}");
                    events.emit(started(&step));
                    for _ in 0..100 {
                        events.emit(output(&step, "half a line, "));
                        events.emit(output(&step, "and the rest\n"));
                    }
                    events.emit(finished(&step, Outcome::Built));
                });
            }
        });
        printer.finish();
        let text = written.text();
        assert_eq!(text.lines().filter(|line| line.ends_with(" | half a line, and the rest")).count(), 800);
        assert_eq!(text.lines().filter(|line| line.starts_with("  built    step")).count(), 8);
    }

    #[test]
    fn programs_hear_little_of_progress_but_its_end() {
        let (printer, events, written) = printer(Mode::Json, Verbosity::Quiet);
        events.emit(started("a"));
        for done in 0..=1000 {
            events.emit(Event::Progress { step: "a".into(), what: "downloading", done, total: Some(1000) });
        }
        events.emit(finished("a", Outcome::Built));
        printer.error(&Error::usage("no"));
        printer.summary();
        let text = written.text();
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(lines.len() < 100, "{} lines", lines.len());
        assert!(lines.iter().any(|line| line["event"] == "progress" && line["done"] == 1000));
        assert_eq!(lines.last().map(|line| line["built"].clone()), Some(1.into()));
    }
}

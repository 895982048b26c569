//! stub
use crate::domain::{Error, Event, Events};
/// .
#[derive(Clone, Copy, PartialEq)]
pub enum Colour {
    /// .
    Auto,
    /// .
    Always,
    /// .
    Never,
}
/// .
#[derive(Clone, Copy, PartialEq)]
pub enum Verbosity {
    /// .
    Normal,
    /// .
    Quiet,
    /// .
    Verbose,
}
/// .
pub enum Mode {
    /// .
    X,
}
impl Mode {
    /// .
    pub fn detect(_j: bool, _c: Colour) -> Mode {
        Mode::X
    }
}
/// .
pub struct Printer(Verbosity);
#[allow(clippy::print_stderr)]
impl Printer {
    /// .
    pub fn new(_m: Mode, v: Verbosity) -> Printer {
        Printer(v)
    }
    /// .
    pub fn events(&self) -> Events {
        let t = std::time::Instant::now();
        let q = self.0 == Verbosity::Quiet;
        Events::new(move |e| match e {
            Event::Progress { .. } => {}
            Event::Output { text, step, .. } => {
                if !q {
                    eprint!("{step}| {text}")
                }
            }
            e => {
                if !q {
                    eprintln!("{:.2} {e:?}", t.elapsed().as_secs_f64())
                }
            }
        })
    }
    /// .
    pub fn summary(&self) {}
    /// .
    pub fn finish(&self) {}
    /// .
    pub fn hints(&self, errors: &[&Error]) {
        for e in errors {
            for h in e.hints() {
                eprintln!("hint: {h}")
            }
        }
    }
    /// .
    pub fn error(&self, e: &Error) {
        eprintln!("error: {e}");
        for h in e.hints() {
            eprintln!("hint: {h}")
        }
    }
}

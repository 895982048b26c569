//! Tells people and programs what happens: events become live lines, plain lines or JSON, all on standard error.

mod capture;
mod detect;
mod escape;
mod format;
mod json;
mod live;
mod look;
mod mode;
mod printer;
mod row;
mod run;
mod screen;
mod tell;

pub use mode::{Colour, Mode, Verbosity};
pub use printer::Printer;

//! The edge: arguments in, exit code out; one verb per file.

mod arguments;
mod asked;
mod assembly;
mod bases;
mod binaries;
mod build;
mod cache;
mod command_tests;
mod commands;
mod dockerfiles;
mod doctor;
mod engine_images;
mod examine;
mod examples;
mod export;
mod foresight;
mod image_inputs;
mod images;
mod lint;
mod lint_project;
mod load;
mod misspelt;
mod plan;
mod run;
mod secrets;
mod setup;
mod test;
mod test_files;
mod toolchain;
mod verify;

use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Verb};
use setup::Setup;

use crate::domain::{Error, ErrorKind, Result};
use crate::engine::native::sandbox::Waiting;
use crate::report::{Mode, Printer};

/// Runs the program on the process's arguments.
pub(crate) fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Nobody is left to tell when this fails.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    // Before there are threads, which is when it is quickest.
    let waiting = run::start(&arguments);
    let global = &arguments.global;
    let printer = Printer::new(Mode::detect(global.json, global.colour()), global.verbosity());
    let result = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // Work that blocks has threads of its own; this one hears signals meanwhile.
        .worker_threads(1)
        .build()
        .map_err(|cause| Error::environment("cannot start").because(cause))
        .and_then(|runtime| {
            let result = runtime.block_on(dispatch(&arguments, &printer, waiting));
            // Sandboxes end with their sockets; nothing else is worth waiting for.
            runtime.shutdown_background();
            result
        });
    printer.finish();
    match result {
        Ok(code) => code,
        Err(error) => {
            if error.kind() == ErrorKind::Interrupted {
                printer.summary();
            }
            printer.error(&error);
            ExitCode::from(error.kind().exit_code())
        }
    }
}

async fn dispatch(arguments: &Arguments, printer: &Printer, waiting: Option<Waiting>) -> Result<ExitCode> {
    let setup = Setup::new(&arguments.global, printer);
    match &arguments.verb {
        Verb::Toolchain(options) => toolchain::run(&setup, options).await,
        Verb::Binaries(options) => binaries::run(&setup, options).await,
        Verb::Test(options) => test::run(&setup, options).await,
        Verb::Images(options) => images::run(&setup, options).await,
        Verb::Lint(options) => lint::run(&setup, options),
        Verb::Run(options) => run::run(&setup, options, waiting).await,
        Verb::Shell(options) => run::shell(&setup, options, waiting).await,
        Verb::Plan(options) => plan::run(&setup, options),
        Verb::Verify(options) => verify::run(&setup, options),
        Verb::Doctor => doctor::run(&setup),
        Verb::Cache(options) => cache::run(&setup, options),
    }
}

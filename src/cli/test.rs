//! `xbuild test`

use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::arguments::TestOptions;
use super::build::build;
use super::setup::{Loaded, Setup, exit};
use crate::config::Binary;
use crate::domain::{Arch, Error, ErrorKind, Event, Name, Outcome, Result};
use crate::engine::native::Root;
use crate::engine::{Execution, ProgramTest, run_test};
use crate::plan::{Builders, Goal, Plan, StepId, Work, plan, test_command};

pub(super) async fn run(setup: &Setup<'_>, options: &TestOptions) -> Result<ExitCode> {
    let selection = &options.selection;
    let project = setup.project(&selection.arch.arches)?;
    let loaded = setup.load(project, selection.update)?;
    let goal = Goal::Tests(selection.names.clone());
    let plan = plan(&loaded.project, &loaded.facts, &goal)?;
    let built = build(&loaded, &plan, &goal).await?;
    let mut tasks = tokio::task::JoinSet::new();
    let mut failures = built.failures();
    for (name, binary) in &loaded.project.binaries {
        if !selection.names.is_empty() && !selection.names.contains(name) {
            continue;
        }
        let Some(text) = command(name, binary, &options.arguments) else { continue };
        for arch in &binary.arches {
            let id = StepId::new(&["test", name.as_str(), arch.name()]);
            match prepare(&loaded, &plan, &built.execution, name, binary, *arch, &text)? {
                Ok(test) => {
                    let workshop = loaded.workshop.clone();
                    let slot = workshop.slots.clone();
                    tasks.spawn(async move {
                        let _slot = slot.acquire_owned().await;
                        let events = workshop.events.clone();
                        let step = id.to_string();
                        events.emit(Event::Started { step: step.clone(), reason: "tests always run".into() });
                        let started = Instant::now();
                        let result = tokio::task::spawn_blocking(move || run_test(&workshop, &test, id.as_str())).await;
                        let result = result.unwrap_or_else(|error| Err(Error::bug("a test panicked").because(error)));
                        let outcome = Outcome::of(&result);
                        events.emit(Event::Finished { step, outcome, took: started.elapsed() });
                        result.err().map(|error| error.kind())
                    });
                }
                Err(needed) => {
                    let outcome = Outcome::Skipped(needed.to_string());
                    let step = id.to_string();
                    loaded.workshop.events.emit(Event::Finished { step, outcome, took: Duration::ZERO });
                }
            }
        }
    }
    let none = tasks.is_empty() && failures.is_empty();
    while let Some(result) = tasks.join_next().await {
        failures.extend(result.unwrap_or(Some(ErrorKind::Bug)));
    }
    loaded.workshop.stop.check()?;
    setup.printer.summary();
    if none {
        return Err(Error::usage("no program has a test")
            .hint("give one with `test:`, or run a program with `xbuild test NAME -- ARGUMENTS`"));
    }
    Ok(exit(&failures))
}

/// The program's test, or a run of the program with the given arguments.
fn command(name: &Name, binary: &Binary, arguments: &[String]) -> Option<String> {
    if arguments.is_empty() {
        return binary.test.clone();
    }
    let quoted: Vec<String> = arguments.iter().map(|word| format!("'{}'", word.replace('\'', r"'\''"))).collect();
    let output = binary.output_names(name).first().map(ToString::to_string).unwrap_or_default();
    Some(format!("exec {output} {}", quoted.join(" ")))
}

/// A test that can run, or the step that it waits for in vain.
fn prepare(
    loaded: &Loaded,
    plan: &Plan,
    execution: &Execution,
    name: &Name,
    binary: &Binary,
    arch: Arch,
    text: &str,
) -> Result<Result<ProgramTest, StepId>> {
    let id = StepId::new(&["binary", name.as_str(), arch.name()]);
    let Some(record) = execution.done(&id) else { return Ok(Err(id)) };
    let program = plan.steps.iter().find_map(|step| match &step.work {
        Work::Program(program) if step.id == id => Some(program),
        _ => None,
    });
    let program = program.ok_or_else(|| Error::bug(format!("the plan has no step {id}")))?;
    let mut root = Root::default();
    for (ids, keys) in [(&program.root, &mut root.compilers), (&program.libraries, &mut root.libraries)] {
        for id in ids {
            match execution.done(id) {
                Some(record) => keys.push(record.key),
                None => return Ok(Err(id.clone())),
            }
        }
    }
    let mut emulator = None;
    let brings_emulators = !matches!(loaded.facts.builders, Builders::Host(_));
    if arch != loaded.facts.host && brings_emulators {
        let emulators = plan.steps.iter().find(|step| matches!(&step.work, Work::Packages(l) if !l.keep.is_empty()));
        let id = emulators.map(|step| step.id.clone()).ok_or_else(|| Error::bug("a test without an emulator"))?;
        let Some(layer) = execution.done(&id) else { return Ok(Err(id)) };
        let program = crate::config::Variables::of_arch(arch).expand(&loaded.project.toolchain.emulator.program)?;
        emulator = Some((layer.key, program));
    }
    let command = test_command(&loaded.project, &loaded.facts, binary, arch, text)?;
    Ok(Ok(ProgramTest { arch, root, outputs: record.key, emulator, command }))
}

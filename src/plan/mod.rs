//! Pure planning: a project becomes typed steps, with everything that each of them depends on.

mod dockerfile;
mod environment;
mod needs;
mod planner;
mod render;
mod step;

pub use dockerfile::render_dockerfile;
pub use environment::{OUTPUT, SOURCE, prefix};
pub use planner::{BuilderCommand, Facts, Goal, builder_command, plan, test_command};
pub use render::{Format, State, render};
pub use step::{
    ArchiveLayer, Command, ImageBuild, LibraryBuild, OutputFile, PackageLayer, Plan, Preparation, Program,
    ProgramBuild, ProgramSource, Step, StepId, Work,
};

//! Pure planning: a project becomes typed steps, with everything that each of them depends on.

mod builders;
mod dockerfile;
mod environment;
mod facts;
mod host_tools;
mod image;
mod instructions;
mod names;
mod needs;
mod planner;
mod render;
mod step;

pub use builders::{Builders, builder_images};
pub use dockerfile::render_dockerfile;
pub use environment::{CACHE, OUTPUT, PATH, SOURCE, SSH_AGENT, prefix};
pub use facts::{BaseName, Facts};
pub use host_tools::{FoundTool, HostTool, HostTools};
pub use instructions::{InstructionState, InstructionView, Instructions, StageView};
pub use names::ProjectImages;
pub use planner::{BuilderCommand, Goal, builder_command, plan, test_command};
pub use render::{Format, State, render};
pub use step::{
    ArchiveLayer, BaseBuild, BuilderImage, Command, EmulatorFile, ImageBuild, LibraryBuild, OutputFile, PackageLayer,
    Plan, Preparation, Program, ProgramBuild, ProgramSource, Step, StepId, Work,
};

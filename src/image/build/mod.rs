//! Building: the stages of a Dockerfile become layers and configurations, and the last one an image.
//!
//! ```text
//! image     which stages there are, and what becomes of the last
//! rehearsal what is wrong with the instructions themselves, before anything is built
//! stage     one stage, instruction by instruction: settings, copy, add, run
//! stack     its layers; view: what they hold together; folders: their files in the store
//! scan      what a command left, as entries
//! ```

mod add;
mod agent;
mod context;
mod copy;
mod files;
mod folders;
mod git;
mod history;
mod image;
mod listing;
mod rehearsal;
mod request;
mod run;
mod scan;
mod settings;
mod stack;
mod stage;
mod users;
mod view;

pub use context::Context;
pub use folders::{Folders, Ownership};
pub use image::{BuiltImage, build, index, stage_arch, stages};
pub use request::{
    Base, Download, Note, Repository, RepositoryRequest, Request, RunRequest, Services, StepMount, Steps, Target,
};
pub use stage::FinishedStage;

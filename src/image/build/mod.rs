//! Building: the stages of a Dockerfile become layers and configurations, and the last one an image.
//!
//! ```text
//! image      which stages there are, and what becomes of the last; foresight: what would
//! rehearsal  what is wrong with the instructions themselves, before anything is built
//! stage      one stage, instruction by instruction: settings, copy, add, run with its run_mounts
//! stack      its layers; view: what they hold together; folders: their files in the store
//! scan       what a command left, as entries
//! container  what commands in a finished image start with
//! order      a whole image as an order to another builder: its Dockerfile is rewritten, wanted is what of the context it
//!            takes; delivery: what comes back
//! check      whether what builds left in the store is as they left it
//! ```

mod add;
mod agent;
mod check;
mod container;
mod context;
mod copy;
mod delivery;
mod files;
mod folders;
mod foresight;
mod git;
mod history;
mod image;
mod listing;
mod order;
mod rehearsal;
mod request;
mod rewritten;
mod run;
mod run_mounts;
mod scan;
mod settings;
mod stack;
mod stage;
mod users;
mod view;
mod wanted;

pub use check::check_store;
pub use container::Container;
pub use context::Context;
pub use delivery::{deliver, delivered};
pub use folders::{Folders, Ownership};
pub use foresight::{ForeseenStage, ForeseenStep, Foresight, StepState, Unknown};
pub use image::{BuiltImage, build, foresee, index, stage_arch, stages};
pub use order::{Demand, Order, OrderedBase, order};
pub use request::{Base, Download, Note, Repository, RepositoryRequest, Request, RunRequest, Services, Steps, Target};
pub use rewritten::Part;
pub use stage::FinishedStage;

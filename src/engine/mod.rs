//! Makes what a plan says.

mod assess;
mod automatic;
mod bases;
mod board;
mod build;
mod dispatch;
mod dist;
mod docker;
mod docker_socket;
mod execute;
pub mod host;
mod locks;
pub mod native;
mod proxies;
mod session;
mod ssh_agent;
mod stopping;
mod tree_changes;
mod tree_copy;
mod try_out;
mod turns;
mod workshop;

use assess::made;
pub use assess::{Assessment, Resolution, Resolved, assess, layer_path, resolution_key, states, survey};
pub use automatic::automatic;
pub use bases::{BaseChoice, known_choice, open_images};
pub use board::StepResult;
pub use dist::{BuildRecord, Dist, Images};
pub use execute::{Execution, execute};
pub use session::WantedImage;
use stopping::LOOK;
pub(crate) use stopping::unless_stopped;
pub use try_out::{Interactive, ProgramTest, run_interactive, run_test};
pub use workshop::{Workshop, WorkshopOptions};

//! Real engines, each for one test: nothing of them is left behind, and nothing of the machine's own is touched.

mod base;
mod docker;
mod files;
mod keeper;
mod packages;

pub(crate) use docker::{Docker, Ids, Images, Release};
pub(crate) use files::Files;

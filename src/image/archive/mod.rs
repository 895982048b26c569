//! Tar archives, read strictly: what two readers could understand differently is an error.

mod header;
mod pax;
mod reader;
mod sparse;

pub(super) use header::{Kind, Member};
pub(super) use reader::Archive;
pub(super) use sparse::Piece;

//! A layer's archive as a folder, for overlay file systems: a deletion is a character device 0/0, a folder that hides
//! what is below has the attribute `user.overlay.opaque`.

mod limits;
mod root;
mod unpacker;

#[cfg(test)]
mod tests;

pub use limits::Limits;
pub use unpacker::unpack;

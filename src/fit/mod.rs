//! Whether a program can start in an image: what a dynamic linker would look for, looked for.
//!
//! ```text
//! Facts + MergedImage  ->  missing  ->  what the image lacks, by name
//! ```

mod ld_so;
mod missing;

#[cfg(test)]
mod tests;

pub use missing::missing;

//! Makes what a plan says.

pub mod native;

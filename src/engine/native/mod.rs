//! The built-in engine: package layers, overlay root file systems, namespaces.

pub mod sandbox;

//! Runs commands in namespaces over stacked layers, without a daemon and without root.
//!
//! The parent starts xbuild again with [`CHILD_ARGUMENT`]; that process, which has one thread, takes an [`Isolation`] over
//! a socket and makes a child in namespaces of its own, PID 1 of the sandbox, which takes a [`Spec`] and runs it. A parent
//! that has one thread itself makes that child directly. The socket is also the lifeline: when xbuild dies, PID 1 reads its
//! end and exits, and the kernel kills everything in the sandbox with it.
#![expect(unsafe_code, reason = "fork, ioctl and hooks between fork and exec have no safe form")]

mod binfmt;
mod child;
mod frame;
mod handover;
mod identity;
mod init;
mod mounts;
mod namespace;
mod parent;
mod root_emulation;
mod spec;

pub use binfmt::registration;
pub use child::main as child_main;
pub(in crate::engine) use handover::{spawn as hand_over, take as take_over};
pub use identity::Identity;
pub(in crate::engine) use init::limit_processors;
pub use namespace::{ARGUMENT as NAMESPACE_ARGUMENT, enter as enter_namespace, main as namespace_main};
pub use parent::{Ending, Exceeded, Exit, Notice, Stop, Waiting, run, run_one};
pub use spec::{Command, Emulator, Isolation, Limits, Network, Root, Spec, Stdio, User};

pub use crate::domain::Mount;

/// First argument of the re-executed program; nobody types it.
pub const CHILD_ARGUMENT: &str = "__sandbox";

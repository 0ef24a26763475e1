//! Programs that cannot outlive their purpose.
//!
//! Model: nothing is started directly. [`supervise`] is this same program as a
//! small parent process: a subreaper, so that whatever the started program
//! leaves behind becomes its child, and ends with it. It kills everything below
//! itself when the program ends, when it is asked to, and when the vm-agent is
//! gone, however that happened.
//!
//! Should both die at once, the next vm-agent finds what is left by the pids it
//! wrote down and by a mark in the environment of everything it ever started.
//!
//! - [`supervise`]: the supervisor's own `main`.
//! - [`child`]: starting a program under it.
//! - [`table`]: the kernel's process table.

mod child;
pub(crate) mod supervise;
pub(crate) mod table;

pub(crate) use child::{Program, SpawnError, Supervised, describe_exit, sweep, sweep_role};

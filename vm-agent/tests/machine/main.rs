//! The whole program against a control plane and a coding agent that do as the
//! test says: real processes, real repositories, real sockets.

#[path = "../common/mod.rs"]
mod common;

mod apart;
mod bench;
mod crashes;
mod link;
mod plane;
mod work;

//! Pools: who gets which node.
//!
//! A pool belongs to a person and holds the person's own machines; its only
//! writer is that person's NodePool. It owns the claims: a task's attempt has at
//! most one, and a node never has more than it says it takes.

pub mod state;
pub mod step;
pub mod table;

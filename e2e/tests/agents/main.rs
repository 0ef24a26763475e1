//! Coding agents that are not ours, hosted as they are.
//!
//! - [`asks`]: one that asks its person something, or stops without finishing.
//! - [`alone`]: the official programs by themselves, with nothing but a model token.
//! - [`fix`]: two of them do the main job, each in its own dialect; a repository cannot change what
//!   they may do or where their model calls go.
//! - [`own_login`]: one that is signed in by its person's subscription.
//! - [`permissions`]: what an agent asks, and who answers.

mod alone;
mod asks;
mod fix;
mod own_login;
mod permissions;

//! What is true in SAM, without I/O.
//!
//! Identifiers, state machines, the wire types of our own protocols, the
//! catalogue and the conversation reducer. Every program of the system uses
//! these types, so a field is named once.
//!
//! Model: each long-lived thing (a conversation, a task, a node, a pool of
//! nodes) is a pure machine. `step(state, turn, input)` returns the next state,
//! the messages to send and the deadline; a shell (a Durable Object, the
//! vm-agent, the simulator) stores the result in one write and only then
//! performs what it asks for.
//!
//! Invariants:
//! - No I/O, no clock, no randomness: time and entropy are arguments ([`time::Turn`]).
//! - Nothing here panics on any input; unknown input is refused or ignored, and says which.
//! - This crate knows no other crate of the workspace and no runtime.
//!
//! | folder | noun | machine |
//! |---|---|---|
//! | [`actor`] | addresses, messages, inbox, outbox | the frame every machine runs in |
//! | [`conversation`] | sessions, rows, prompts, the reducer | [`conversation::session`] |
//! | [`task`] | tasks and their attempts | [`task::step`] |
//! | [`node`] | machines, workspaces, agent sessions, commands | [`node::step`] |
//! | [`pool`] | who gets which node | [`pool::step`] |
//! | [`link`] | the node link, both ends | [`link::agent_end`], [`link::object_end`] |
//! | [`device`] | signing in a program without a browser | [`device::flow`] |
//! | [`login`] | subscription logins of coding agents | – |
//! | [`limit`] | how often something may be tried | [`limit::Bucket`] |
//! | [`feed`] | what browsers and terminals follow | – |
//! | [`access`] | principals, people, projects, tokens on the wire | – |
//! | [`catalogue`] | agents, models and words | – |
//! | [`budget`] | limits, what is spent and reserved of them, usage | [`budget::ledger`] |
//! | [`release`] | programs that are handed out | – |
//! | [`collect`] | few things in order | – |
//! | [`json`] | reading JSON text | – |
//! | [`settings`] | what an installation can be set to | – |
//! | [`tool_profile`] | which of the platform's tools an agent is offered | – |
//! | [`tagged`] | enums whose variant is named by a field | – |
//! | [`table`] | – | all of them as tables |

pub mod access;
pub mod actor;
pub mod agents;
pub mod budget;
pub mod catalogue;
pub mod collect;
pub mod conversation;
pub mod device;
pub mod error;
pub mod feed;
pub mod id;
pub mod json;
pub mod limit;
pub mod link;
pub mod login;
pub mod node;
pub mod pool;
pub mod provider;
pub mod release;
pub mod settings;
pub mod table;
pub mod tagged;
pub mod task;
pub mod time;
pub mod tool_profile;

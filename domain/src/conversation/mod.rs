//! Conversations: sessions, rows, prompts and the one reducer.
//!
//! A session is a list of rows that outlives tasks and machines. Its only
//! writer is ProjectData. What an agent does arrives as row upserts; what a
//! person says becomes a row of its own; nobody rewrites another's row.
//!
//! - [`row`]: what a row is, on the wire, in storage and on the screen alike.
//! - [`session`]: the machine that owns prompts and their queue.
//! - [`attachment`]: files that belong to a prompt.
//! - [`comparison`]: the same work under several agents, side by side.
//! - [`table`]: the machine as tables.
//! - [`reducer`]: turns feed frames into what web and CLI show.
//! - [`wire`]: the HTTP shapes.

pub mod attachment;
pub mod call;
pub mod comparison;
pub mod reducer;
pub mod row;
pub mod session;
pub mod table;
pub mod wire;

//! What the scenario tests share: a control plane in miniature over real
//! sockets, the real binary, and fixtures.
//!
//! The server answers what a test told it to and remembers what it was asked;
//! it knows nothing of the product, so a test states both sides.

#![expect(dead_code, reason = "each test program uses a part of it")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what a test relies on fails it"
)]
#![expect(unreachable_pub, reason = "shared between test programs as a module")]

pub mod conversation;
pub mod fixtures;
pub mod program;
pub mod server;
pub mod terminal;

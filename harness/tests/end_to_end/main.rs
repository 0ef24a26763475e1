//! The built binary against a chat server on a real socket.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod acp;
mod context;
mod dialects;
mod faults;
mod headless;
mod limits;
mod run;
mod sandbox;
mod server;
mod sessions;
mod wire;

//! The dialects as others see them.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod captured;
mod properties;
mod quirks;
mod support;
mod translation;

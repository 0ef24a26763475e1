//! Signing in a program that has no browser: the device flow of RFC 8628.
//!
//! A program asks for a pair of codes, shows the short one to its person, and
//! polls with the long one. The person opens the page, compares code, place and
//! program, and approves or denies. One [`flow::DeviceFlow`] per user code
//! decides all of it; nobody else writes to it.
//!
//! Invariants:
//! - a flow is redeemed at most once, however many poll at the same moment;
//! - a poll that comes before its time wins nothing, whatever was decided, and
//!   makes every later one wait five seconds more;
//! - the user code alone opens nothing: it is shown on screens and read aloud;
//! - whoever does not hold the long code changes nothing by polling.
//!
//! It does not know who may approve, nor what a session is.

pub mod call;
pub mod code;
pub mod flow;
pub mod table;
pub mod wire;

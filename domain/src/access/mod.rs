//! People, projects and tokens on the wire, and the one route table.
//!
//! - [`wire`]: setup, sign-in, projects.
//! - [`claims`]: what a workspace or model token says.
//! - [`principal`]: who a request can come from.
//! - [`route`]: every route, with the principal it is for.

pub mod claims;
pub mod principal;
pub mod route;
pub mod wire;

//! People, projects and tokens on the wire, and the one route table.
//!
//! - [`wire`]: setup, sign-in, projects.
//! - [`claims`]: what a workspace or model token says.
//! - [`internal`]: what travels beside a socket that is handed to an object.
//! - [`principal`]: who a request can come from.
//! - [`route`]: every route, with the principal it is for.

pub mod claims;
pub mod internal;
pub mod principal;
pub mod route;
pub mod wire;

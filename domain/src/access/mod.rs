//! People, projects and tokens on the wire, and the one route table.
//!
//! - [`wire`]: setup, sign-in, projects.
//! - [`claims`]: what a workspace or model token says.
//! - [`doctor`]: what the doctor says of an installation.
//! - [`internal`]: what travels beside a socket that is handed to an object.
//! - [`principal`]: who a request can come from.
//! - [`expectation`]: what each route answers its right principal, for the access test.
//! - [`isolation`]: what each route answers everybody, about their own and others' things.
//! - `openapi` (feature `schema`): the API as a document.
//! - [`route`]: every route, with the principal it is for.
//! - [`tokens`]: API tokens, sessions, and what either may do.

pub mod claims;
pub mod doctor;
pub mod expectation;
pub mod internal;
pub mod isolation;
#[cfg(feature = "schema")]
pub mod openapi;
pub mod principal;
pub mod route;
pub mod tokens;
pub mod wire;

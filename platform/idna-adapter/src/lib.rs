//! The Unicode tables behind host names, by target.
//!
//! `idna`, and so `url`, reaches its tables through a crate of this name; which version of it stands
//! in `Cargo.lock` chooses them, for all targets alike. This one has what the published crate has
//! natively, and no tables in wasm, where they would be a twentieth of the Worker: the runtimes of the
//! Worker and of the web app have a URL parser with tables of its own, and what a person typed goes
//! through it first (`sam_platform::address`). What comes here nevertheless with a host that is not
//! ASCII is refused as no URL.

#![no_std]

#[cfg(target_arch = "wasm32")]
mod ascii;
#[cfg(not(target_arch = "wasm32"))]
mod tables;

#[cfg(target_arch = "wasm32")]
pub use ascii::*;
#[cfg(not(target_arch = "wasm32"))]
pub use tables::*;

//! The Unicode tables behind host names, by target.
//!
//! `idna`, and so `url`, reaches its tables through a crate of this name, of which there is one for
//! all targets. Natively this is that crate. In wasm there are no tables, a twentieth of what the
//! Worker would weigh: both runtimes of ours have a URL parser with tables of its own, and what a
//! person typed goes through it first (`sam_platform::address`). What comes here nevertheless with a
//! host that is not ASCII is refused as no URL.

#![no_std]

#[cfg(not(target_arch = "wasm32"))]
pub use tables::*;

#[cfg(target_arch = "wasm32")]
mod ascii;
#[cfg(target_arch = "wasm32")]
pub use ascii::*;

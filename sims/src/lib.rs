//! Stand-ins that speak real protocols over real sockets.
//!
//! [`gateway`] is a model gateway; [`script`] is the model behind it. The crate shares no wire types with the rest of
//! the product: a stand-in must not share its misreadings.

pub mod gateway;
mod javascript;
mod repair;
pub mod script;
pub mod wire;

//! Stand-ins that speak real protocols over real sockets.
//!
//! [`gateway`] is a model gateway: `dialect` reads and writes its protocols, `script` is the model behind them. The
//! crate shares no wire types with the rest of the product: a stand-in must not share its misreadings.

mod conversation;
mod dialect;
pub mod gateway;
mod javascript;
mod repair;
mod script;

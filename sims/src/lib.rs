//! Stand-ins that speak real protocols over real sockets.
//!
//! [`gateway`] is a model gateway: `dialect` reads and writes its protocols, `script` is the model behind them.
//! [`github`] is GitHub as far as one signs in with it. The
//! crate shares no wire types with the rest of the product: a stand-in must not share its misreadings.

mod conversation;
mod dialect;
pub mod gateway;
pub mod github;
mod javascript;
pub mod logins;
mod repair;
mod script;

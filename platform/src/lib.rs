//! The Workers runtime made safe.
//!
//! The stock bindings have three habits that a control plane cannot live with: some calls hang for
//! ever instead of failing (a cursor's `one` on zero rows), some unwrap inside the crate and take
//! every request of the isolate down with them (`get_websockets`, `wait_until`, building a response
//! with a body under a status that has none), and some do nothing until awaited (`set_alarm`). This
//! crate reaches the runtime through catching externs of its own and gives each call a `Result`.
//! The originals are listed in `clippy.toml` as disallowed.
//!
//! Invariants:
//! - no function here panics, and none waits without a bound on something outside the isolate;
//! - a value bound to SQL is either exactly representable in JavaScript or refused ([`value`]);
//! - a secret has a type that cannot print itself ([`crypto::Secret`]);
//! - D1 is reached through one repository module per table ([`d1`]), SQL text stays in this crate
//!   and in the objects.
//!
//! What it refuses to know: routes, principals, machines and their rules. It moves bytes and rows.
//!
//! Everything compiles natively as well; what calls JavaScript fails at run time there, so the unit
//! tests cover the parts that do not: tokens, claims, cookies, values, bounds.

pub mod address;
pub mod alarm;
pub mod assets;
pub mod background;
pub mod bindings;
pub mod clock;
pub mod crypto;
pub mod d1;
pub mod entropy;
pub mod fetch;
pub mod http;
pub mod js;
pub mod kv;
pub mod objects;
pub mod probe;
pub mod r2;
pub mod row;
pub mod sockets;
pub mod sql;
pub mod streams;
pub mod text;
pub mod value;

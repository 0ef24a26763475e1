//! Reasoning of one dialect, carried by a client of another.
//!
//! A reasoning item must return to its API as it came. A client that speaks
//! another dialect keeps an item of its own, of which it understands nothing
//! but the text: `signature` in Messages, `encrypted_content` in Responses,
//! the data of `reasoning_details` in chat completions. That opaque field
//! carries the item.

use serde_json::Value;

use crate::Dialect;

const MARK: &str = "sam1:";

/// The opaque text that carries an item.
pub(crate) fn seal(dialect: Dialect, raw: &Value) -> String {
    format!("{MARK}{}:{raw}", dialect.name())
}

/// The item in an opaque text, if it is one of ours.
pub(crate) fn unseal(text: &str) -> Option<(Dialect, Value)> {
    let (dialect, raw) = text.strip_prefix(MARK)?.split_once(':')?;
    Some((Dialect::parse(dialect)?, serde_json::from_str(raw).ok()?))
}

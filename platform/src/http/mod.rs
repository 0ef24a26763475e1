//! Requests and replies: bounded bodies, JSON, errors in the contract's shape, cookies.
//!
//! A reply is built here and nowhere else, because the runtime's constructor throws on a body under
//! a status that has none, on a status out of range and on a header with a control character, and
//! the stock binding unwraps that.

pub mod body;
pub mod cookies;
pub mod reply;

pub use body::{
    BodyError, announced, drain, parse_json, read_body, read_encoded_body, read_own_json,
    read_stated_body, read_stated_json,
};
pub use reply::{bytes, empty, error, error_from, json, json_text, not_found, streamed};

use worker::Request;

/// A request header; `None` when it is missing, empty or unreadable.
pub fn header(request: &Request, name: &str) -> Option<String> {
    request
        .headers()
        .get(name)
        .ok()
        .flatten()
        .filter(|value| !value.is_empty())
}

/// The token of `Authorization: Bearer …`.
pub fn bearer(request: &Request) -> Option<crate::crypto::Secret> {
    header(request, "authorization")
        .as_deref()
        .and_then(bearer_token)
        .map(crate::crypto::Secret::new)
}

fn bearer_token(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// A request cookie by name.
pub fn cookie(request: &Request, name: &str) -> Option<String> {
    header(request, "cookie").and_then(|header| cookies::find(&header, name).map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::bearer_token;

    #[test]
    fn only_a_bearer_token_is_one() {
        for (header, token) in [
            ("Bearer abc", Some("abc")),
            ("bearer  abc ", Some("abc")),
            ("Basic abc", None),
            ("Bearer", None),
            ("Bearer ", None),
            ("", None),
        ] {
            assert_eq!(bearer_token(header), token, "{header:?}");
        }
    }
}

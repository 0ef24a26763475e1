//! Whether a browser's cookie may stand for its person in this request.
//!
//! Browsers attach cookies to what other sites make them send. Three facts tell such requests
//! apart: other sites cannot set our header without asking first, which we never allow; browsers
//! name the site in `Origin`; and a WebSocket, which carries no header of ours, always has one.

use sam_domain::error::ApiError;

/// The header that only our own pages set.
pub(crate) const CSRF_HEADER: &str = "x-sam-csrf";

/// What is known of a request that a cookie authorises.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Provenance<'a> {
    /// Whether its method can change something.
    pub(crate) unsafe_method: bool,
    /// Whether it asks for a WebSocket.
    pub(crate) upgrade: bool,
    /// The value of [`CSRF_HEADER`].
    pub(crate) csrf: Option<&'a str>,
    /// The value of `Origin`.
    pub(crate) origin: Option<&'a str>,
}

/// Refuses a request that another site may have made the browser send. `own` are our origins.
pub(crate) fn check(request: Provenance<'_>, own: &[String]) -> Result<(), ApiError> {
    if !request.unsafe_method && !request.upgrade {
        return Ok(());
    }
    let same = request
        .origin
        .map(|origin| own.iter().any(|one| one == origin));
    match same {
        Some(false) => return Err(refused("The request comes from another site.")),
        None if request.upgrade => {
            return Err(refused("A WebSocket with a cookie needs an Origin header."));
        }
        Some(true) | None => {}
    }
    if request.unsafe_method && request.csrf != Some("1") {
        return Err(refused(
            "A request with a cookie that changes something needs the header x-sam-csrf.",
        )
        .hint("Send `x-sam-csrf: 1`, or use `Authorization: Bearer …` instead of a cookie."));
    }
    Ok(())
}

fn refused(message: &str) -> ApiError {
    ApiError::new(403, "cross_site", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_pages_may_use_the_cookie() {
        let own = ["https://sam.example".to_owned()];
        let cases = [
            // (unsafe, upgrade, csrf, origin, allowed)
            (false, false, None, None, true),
            (false, false, None, Some("https://evil.example"), true),
            (true, false, None, None, false),
            (true, false, Some("1"), None, true),
            (true, false, Some("0"), Some("https://sam.example"), false),
            (true, false, Some("1"), Some("https://sam.example"), true),
            (true, false, Some("1"), Some("https://evil.example"), false),
            (true, false, Some("1"), Some("null"), false),
            (false, true, None, None, false),
            (false, true, None, Some("https://evil.example"), false),
            (false, true, None, Some("https://sam.example"), true),
            (false, true, None, Some("https://sam.example.evil"), false),
        ];
        for (unsafe_method, upgrade, csrf, origin, allowed) in cases {
            let request = Provenance {
                unsafe_method,
                upgrade,
                csrf,
                origin,
            };
            assert_eq!(check(request, &own).is_ok(), allowed, "{request:?}");
        }
    }
}

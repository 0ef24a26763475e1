//! URLs that a person typed.
//!
//! A host may be named in any script. The tables that turn it into ASCII are the runtime's: `url` is
//! built without (`idna_adapter` 1.0.0), so what is not plain passes through the runtime's parser
//! before it is read.

use std::borrow::Cow;

/// The URL with its host in ASCII; a text that is no URL, or is plain already, as it is.
#[must_use]
pub fn plain(text: &str) -> Cow<'_, str> {
    if is_plain(text) {
        return Cow::Borrowed(text);
    }
    parsed(text).map_or(Cow::Borrowed(text), Cow::Owned)
}

/// Whether no table is needed to read it. A label in Punycode has to be judged by one.
fn is_plain(text: &str) -> bool {
    text.is_ascii()
        && !text
            .as_bytes()
            .windows(4)
            .any(|part| part.eq_ignore_ascii_case(b"xn--"))
}

#[cfg(target_arch = "wasm32")]
fn parsed(text: &str) -> Option<String> {
    // What it refuses becomes a text that is no URL here either.
    Some(web_sys::Url::new(text).map_or_else(|_| String::new(), |url| url.href()))
}

/// Natively there are none.
#[cfg(not(target_arch = "wasm32"))]
fn parsed(_: &str) -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_tables_is_told() {
        for (text, plain) in [
            ("https://example.com/ä", false),
            ("https://bücher.example/", false),
            ("https://XN--bcher-kva.example/", false),
            ("https://example.com/xn-", true),
            ("/srv/repository", true),
            ("", true),
        ] {
            assert_eq!(is_plain(text), plain, "{text}");
        }
    }
}

//! Secrets that cannot print themselves.

use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

/// What stands where a secret was.
const HIDDEN: &str = "[hidden]";

/// A token or a one-time secret. It has no `Display`; its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Secret(String);

impl Secret {
    /// The text itself, for the one place that sends it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// Wraps text, without the white space that copying leaves around it.
    pub(crate) fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// Whether there is nothing in it.
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret([hidden])")
    }
}

impl FromStr for Secret {
    type Err = Infallible;
    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self::new(text))
    }
}

/// Hides every token of ours (`sam_<kind>_…`) in `text`.
pub(crate) fn scrub(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("sam_") {
        let (before, candidate) = rest.split_at(start);
        out.push_str(before);
        let end = candidate
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')))
            .unwrap_or(candidate.len());
        let (word, after) = candidate.split_at(end);
        // `sam_` + kind + `_` + at least 16 characters: longer than any word.
        let secret = word
            .strip_prefix("sam_")
            .and_then(|w| w.split_once('_'))
            .is_some_and(|(_, body)| body.len() >= 16);
        out.push_str(if secret { HIDDEN } else { word });
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Hides tokens in a message about a mistaken command line, and, where the
/// command is one that takes secrets, every argument that could be one.
pub(crate) fn scrub_arguments(text: &str, arguments: impl Iterator<Item = String>) -> String {
    let mut text = scrub(text);
    let arguments: Vec<String> = arguments.collect();
    if !arguments.iter().any(|argument| argument == "auth") {
        return text;
    }
    for argument in arguments {
        let value = argument
            .split_once('=')
            .map_or(argument.as_str(), |(_, value)| value);
        let could_be_secret = value.len() >= 16
            && !value.starts_with('-')
            && value
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '+' | '/'));
        if could_be_secret {
            text = text.replace(value, HIDDEN);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_nothing() {
        let secret = Secret::new(" sam_ses_abcdefghijklmnopqrstuvwxyz\n");
        assert_eq!(format!("{secret:?}"), "Secret([hidden])");
        assert_eq!(secret.expose(), "sam_ses_abcdefghijklmnopqrstuvwxyz");
    }

    #[test]
    fn tokens_are_scrubbed_and_words_are_not() {
        for (given, wanted) in [
            ("no token here", "no token here"),
            ("sam_session is a cookie", "sam_session is a cookie"),
            (
                "bad token sam_ses_abcdefghijklmnopqrstuvwxyz-_09 given",
                "bad token [hidden] given",
            ),
            (
                "http://h/sign-in#sam_lnk_abcdefghijklmnopqrstuvwxyz",
                "http://h/sign-in#[hidden]",
            ),
            (
                "sam_nod_nod_01jd8x0000000000000000000a.abcdefghijklmnop",
                "[hidden]",
            ),
            (
                "tsk_01jd8x0000000000000000000a",
                "tsk_01jd8x0000000000000000000a",
            ),
        ] {
            assert_eq!(scrub(given), wanted);
        }
    }

    #[test]
    fn arguments_that_could_be_secrets_are_scrubbed() {
        let arguments = [
            "auth",
            "login",
            "a1b2c3d4e5f6a7b8c9d0",
            "--claim=zyxwvutsrqponmlkjihg",
        ];
        let text = "unexpected argument 'a1b2c3d4e5f6a7b8c9d0' and zyxwvutsrqponmlkjihg";
        assert_eq!(
            scrub_arguments(text, arguments.into_iter().map(str::to_owned)),
            "unexpected argument '[hidden]' and [hidden]"
        );
    }
}

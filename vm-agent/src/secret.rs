//! Secrets that cannot print themselves, and masking of those that slip into text.
//!
//! Model: every secret this process holds is a [`Secret`], and making one tells
//! the redactor. [`redact`] masks those and whatever looks like a credential:
//! our own tokens by their prefix, well-known vendors' keys, bearer headers and
//! the user part of URLs. Everything that leaves as a log line, an error or a
//! tail of a program's output passes through it.

use std::sync::{PoisonError, RwLock};

/// What a masked secret reads as.
const MASK: &str = "[redacted]";
/// Most secrets remembered; the oldest are forgotten first (they have expired).
const REMEMBERED: usize = 256;

static KNOWN: RwLock<Vec<String>> = RwLock::new(Vec::new());

/// A secret. It prints as a mask; [`Secret::expose`] is the only way to its text.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    /// Takes a secret in, and has it masked from now on.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        if text.len() >= 8 {
            let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
            if !known.contains(&text) {
                if known.len() >= REMEMBERED {
                    known.remove(0);
                }
                known.push(text.clone());
            }
        }
        Self(text)
    }

    /// A fresh one: 256 random bits. `None` when the machine has no randomness.
    pub(crate) fn random(prefix: &str) -> Option<Self> {
        use base64::Engine;
        let mut bytes = [0_u8; 32];
        getrandom::fill(&mut bytes).ok()?;
        let text = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
        Some(Self::new(format!("{prefix}{text}")))
    }

    /// The text, for the one place that sends it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// Whether `given` is this secret, compared in constant time.
    pub(crate) fn matches(&self, given: &str) -> bool {
        let (a, b) = (self.0.as_bytes(), given.as_bytes());
        a.len() == b.len() && a.iter().zip(b).fold(0, |acc, (x, y)| acc | (x ^ y)) == 0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(MASK)
    }
}

/// Masks every known secret and whatever looks like a credential.
pub(crate) fn redact(text: &str) -> String {
    let mut text = text.to_owned();
    {
        let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
        for secret in known.iter() {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), MASK);
            }
        }
    }
    mask_tokens(&mask_userinfo(&text))
}

/// `scheme://user:password@host` → `scheme://[redacted]@host`.
fn mask_userinfo(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        let authority_end = after
            .find(|c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '\'' | '"'))
            .unwrap_or(after.len());
        let (authority, tail) = after.split_at(authority_end);
        match authority.rfind('@') {
            Some(user_end) => {
                out.push_str(MASK);
                out.push_str(authority.get(user_end..).unwrap_or_default());
            }
            None => out.push_str(authority),
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}

fn is_token_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}

/// Masks words that start like a credential and are long enough to be one.
fn mask_tokens(text: &str) -> String {
    const PREFIXES: [&str; 10] = [
        "sam_ses_",
        "sam_lnk_",
        "sam_join_",
        "sam_nod_",
        "sam_wsp_",
        "sam_mdl_",
        "sam_rel_",
        "sk-",
        "ghp_",
        "glpat-",
    ];
    let mut out = String::with_capacity(text.len());
    let mut after_bearer = false;
    let mut rest = text;
    while !rest.is_empty() {
        let word_end = rest.find(|c| !is_token_char(c)).unwrap_or(rest.len());
        if word_end == 0 {
            let step = rest.chars().next().map_or(1, char::len_utf8);
            let (gap, tail) = rest.split_at(step);
            after_bearer = after_bearer && gap == " ";
            out.push_str(gap);
            rest = tail;
            continue;
        }
        let (word, tail) = rest.split_at(word_end);
        let start = PREFIXES
            .iter()
            .filter_map(|p| word.find(p).filter(|at| word.len() - at >= p.len() + 12))
            .min();
        match start {
            _ if after_bearer && word.len() >= 12 => out.push_str(MASK),
            Some(at) => {
                out.push_str(word.get(..at).unwrap_or_default());
                out.push_str(MASK);
            }
            None => out.push_str(word),
        }
        after_bearer = word.eq_ignore_ascii_case("bearer");
        rest = tail;
    }
    out
}

/// The last `limit` bytes of a program's output, whole lines where possible,
/// redacted.
pub(crate) fn tail(bytes: &[u8], limit: usize) -> String {
    // Redacted before it is cut, so that no half of a secret stays.
    let text = redact(&String::from_utf8_lossy(bytes));
    let text = text.trim();
    let mut start = text.len().saturating_sub(limit);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    let cut = text.get(start..).unwrap_or_default();
    match cut.find('\n') {
        Some(line) if start > 0 => cut.get(line + 1..).unwrap_or(cut).to_owned(),
        _ => cut.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_what_looks_like_a_credential_and_leaves_the_rest() {
        let check = |text: &str, expect: &str| assert_eq!(redact(text), expect);
        check("nothing here", "nothing here");
        check(
            "clone https://bob:hunter2@host.example/x failed",
            "clone https://[redacted]@host.example/x failed",
        );
        check("http://host/path@2x stays", "http://host/path@2x stays");
        check(
            "token sam_nod_nod_01jd8x.AAAAAAAAAAAAAAAA!",
            "token [redacted]!",
        );
        check(
            "Authorization: Bearer abcdefghijklmnop",
            "Authorization: Bearer [redacted]",
        );
        check("key=sk-abcdefghijklmnop,", "key=[redacted],");
        check(
            "sk-short task-list sam_sessions",
            "sk-short task-list sam_sessions",
        );
        check("grüße https://ü@x/ ", "grüße https://[redacted]@x/ ");
    }

    #[test]
    fn a_known_secret_is_masked_wherever_it_stands_and_never_printed() {
        let secret = Secret::new("canary-6f2d9c1b");
        assert_eq!(format!("{secret:?}"), MASK);
        assert_eq!(redact("xcanary-6f2d9c1by"), format!("x{MASK}y"));
        assert!(secret.matches("canary-6f2d9c1b") && !secret.matches("canary-6f2d9c1c"));
    }

    #[test]
    fn a_tail_starts_at_a_line() {
        assert_eq!(tail("one\ntwo\nthree\n".as_bytes(), 8), "three");
        assert_eq!(tail("äöü".as_bytes(), 3), "ü");
        assert_eq!(tail(b"short", 100), "short");
    }
}

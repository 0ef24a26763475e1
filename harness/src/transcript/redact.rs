//! Secrets stay out of transcripts.
//!
//! Known secrets (the API key, values of headers, values of environment
//! variables whose names say that they are secret) are replaced wherever they
//! stand; what merely looks like a secret is replaced in texts, but not in
//! what has to return to a model API as it came, nor in encoded bytes.

use std::borrow::Cow;

use regex::Regex;
use serde_json::Value;

/// What stands in a secret's place.
const REDACTED: &str = "[redacted]";
/// A shorter text is no secret but a word.
const SHORTEST: usize = 8;
/// Words in a variable's name that say that its value is secret.
const SECRET_NAMES: [&str; 5] = ["KEY", "TOKEN", "SECRET", "PASSWORD", "CREDENTIAL"];
/// Fields whose texts are not looked through for what looks like a secret.
const VERBATIM: [&str; 4] = ["raw", "data", "url", "sha256"];

/// Replaces secrets.
#[derive(Debug, Clone, Default)]
pub struct Redactor {
    /// The longest first, so that one that contains another goes as a whole.
    known: Vec<String>,
    shape: Option<Regex>,
}

impl Redactor {
    /// For these secrets and everything that has a secret's shape.
    pub fn new(secrets: impl IntoIterator<Item = String>) -> Self {
        let mut known: Vec<String> = secrets
            .into_iter()
            .map(|secret| secret.trim().to_owned())
            .filter(|secret| secret.len() >= SHORTEST)
            .collect();
        known.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        known.dedup();
        let shape = concat!(
            r"\b(?:sk-[A-Za-z0-9_-]{16,}|gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,}",
            r"|glpat-[A-Za-z0-9_-]{16,}|AKIA[0-9A-Z]{16}|xox[abprs]-[A-Za-z0-9-]{10,}|AIza[A-Za-z0-9_-]{30,}",
            r"|sam_(?:ses|lnk|join|nod|wsp|mdl)_[A-Za-z0-9._-]{16,}",
            r"|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,})",
            r"|(?s:-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$))",
        );
        Self {
            known,
            shape: Regex::new(shape).ok(),
        }
    }

    /// The same for these secrets, too.
    #[must_use]
    pub fn with(self, secrets: Vec<String>) -> Self {
        Self::new(self.known.into_iter().chain(secrets))
    }

    /// Whether the name of a variable says that its value is secret.
    pub fn is_secret(name: &str) -> bool {
        let name = name.to_ascii_uppercase();
        SECRET_NAMES.iter().any(|word| name.contains(word))
    }

    /// The values of environment variables whose names say that they are secret.
    pub fn secrets_of_environment() -> Vec<String> {
        std::env::vars_os()
            .filter(|(name, _)| name.to_str().is_some_and(Self::is_secret))
            .filter_map(|(_, value)| value.into_string().ok())
            .collect()
    }

    /// Replaces the secrets in every text of a value.
    pub fn redact(&self, value: &mut Value) {
        self.walk(value, false);
    }

    fn walk(&self, value: &mut Value, verbatim: bool) {
        match value {
            Value::String(text) => {
                if let Cow::Owned(clean) = self.text(text, verbatim) {
                    *text = clean;
                }
            }
            Value::Array(items) => {
                for item in items {
                    self.walk(item, verbatim);
                }
            }
            Value::Object(fields) => {
                for (name, field) in fields {
                    self.walk(field, verbatim || VERBATIM.contains(&name.as_str()));
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn text<'a>(&self, text: &'a str, verbatim: bool) -> Cow<'a, str> {
        let mut clean = Cow::Borrowed(text);
        for secret in &self.known {
            if clean.contains(secret.as_str()) {
                clean = Cow::Owned(clean.replace(secret.as_str(), REDACTED));
            }
        }
        let Some(shape) = self.shape.as_ref().filter(|_| !verbatim) else {
            return clean;
        };
        if let Cow::Owned(replaced) = shape.replace_all(&clean, REDACTED) {
            clean = Cow::Owned(replaced);
        }
        clean
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_known_goes_everywhere_and_what_looks_secret_goes_from_texts() {
        let redactor = Redactor::new(["hunter2-hunter2".to_owned(), "short".to_owned()]);
        let shaped = format!("sk-{}", "a1".repeat(12));
        let mut value = json!({
            "text": format!("key hunter2-hunter2 and {shaped}, short"),
            "raw": {"signature": format!("hunter2-hunter2 {shaped}")},
            "list": ["-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY----- after"],
        });
        redactor.redact(&mut value);
        assert_eq!(
            value,
            json!({
                "text": "key [redacted] and [redacted], short",
                "raw": {"signature": format!("[redacted] {shaped}")},
                "list": ["[redacted] after"],
            })
        );
    }
}

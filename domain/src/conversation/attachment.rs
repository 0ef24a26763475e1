//! Files that a person attaches to a prompt.
//!
//! A file is stored as a body of the project first, under its content; a prompt names it. The machine
//! fetches it when the agent is given the prompt, and puts it beside the repository under its name.
//!
//! Invariant: a name that was checked is one part of a path, reads as it is written, and is told apart
//! from every other of the same prompt.

use crate::error::ApiError;
use serde::{Deserialize, Serialize};

/// Most files of one prompt.
pub const ATTACHMENTS: usize = 10;
/// Longest name, in bytes.
const NAME_BYTES: usize = 200;
/// Kinds of files that are taken, beside texts.
const MEDIA_TYPES: [&str; 8] = [
    "image/png",
    "image/jpeg",
    "image/gif",
    "image/webp",
    "application/pdf",
    "application/json",
    "application/zip",
    "application/octet-stream",
];

/// A file that belongs to a prompt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Attachment {
    /// Its name, without a folder.
    pub name: String,
    /// What it is, e.g. `image/png`; a text of any kind, or one of a few others.
    pub media_type: String,
    /// Lower-case hexadecimal SHA-256 of its bytes, under which it is stored.
    pub sha256: String,
    /// Its length in bytes.
    pub bytes: u64,
}

/// What belongs to a prompt and does not travel with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PromptBody {
    /// Lower-case hexadecimal SHA-256 of the whole words, under which they are stored.
    pub sha256: String,
    /// Their length in bytes.
    pub bytes: u64,
    /// Files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
}

/// Refuses files that a machine could not put beside the repository, or an agent not be given.
///
/// # Errors
/// Names the file and what is wrong with it.
pub fn check(attachments: &[Attachment]) -> Result<(), ApiError> {
    let refused =
        |name: &str, why: &str| ApiError::bad_request(format!("The attachment {name:?} {why}."));
    if attachments.len() > ATTACHMENTS {
        return Err(ApiError::bad_request(format!(
            "A prompt has at most {ATTACHMENTS} attachments."
        )));
    }
    for (index, one) in attachments.iter().enumerate() {
        let name = one.name.as_str();
        if !is_plain(name) {
            return Err(refused(name, "has a name that is not one of a file"));
        }
        let known = one.media_type.strip_prefix("text/").is_some_and(is_token)
            || MEDIA_TYPES.contains(&one.media_type.as_str());
        if !known {
            return Err(refused(name, "is of a kind that is not taken"));
        }
        let earlier = attachments.iter().take(index);
        // Some file systems tell no case apart.
        if earlier
            .into_iter()
            .any(|it| it.name.eq_ignore_ascii_case(name))
        {
            return Err(refused(name, "stands twice"));
        }
    }
    Ok(())
}

/// Whether a name is one part of a path and shows as it is stored.
fn is_plain(name: &str) -> bool {
    let hides = |letter: char| {
        letter.is_control()
            || matches!(letter, '/' | '\\' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    !name.is_empty()
        && name.len() <= NAME_BYTES
        && !name.starts_with(['.', '-', ' '])
        && !name.ends_with(['.', ' '])
        && !name.chars().any(hides)
}

fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 60
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, media_type: &str) -> Attachment {
        Attachment {
            name: name.to_owned(),
            media_type: media_type.to_owned(),
            sha256: "0".repeat(64),
            bytes: 1,
        }
    }

    #[test]
    fn a_name_is_one_part_of_a_path_and_reads_as_it_is_written() {
        for good in ["a.png", "Übersicht 2.txt", "x", "a..b"] {
            assert_eq!(check(&[file(good, "text/plain")]), Ok(()), "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            "../a",
            "a/b",
            "a\\b",
            "/etc/passwd",
            "a\0",
            "a\nb",
            ".netrc",
            "-rf",
            "a ",
            "gpj.\u{202e}exe",
            "a\u{200b}",
            "a.",
        ] {
            assert!(check(&[file(bad, "text/plain")]).is_err(), "{bad:?}");
        }
        assert!(check(&[file(&"x".repeat(201), "text/plain")]).is_err());
    }

    #[test]
    fn kinds_numbers_and_repeated_names_are_bounded() {
        for (kind, taken) in [
            ("image/png", true),
            ("text/x-rust", true),
            ("application/octet-stream", true),
            ("image/svg+xml", false),
            ("text/html; charset=x", false),
            ("text/", false),
            ("", false),
        ] {
            assert_eq!(check(&[file("a", kind)]).is_ok(), taken, "{kind}");
        }
        let twice = [file("a.txt", "text/plain"), file("A.TXT", "text/plain")];
        assert!(check(&twice).is_err());
        let many =
            |n: usize| -> Vec<_> { (0..n).map(|n| file(&n.to_string(), "text/plain")).collect() };
        assert!(check(&many(ATTACHMENTS)).is_ok() && check(&many(ATTACHMENTS + 1)).is_err());
    }
}

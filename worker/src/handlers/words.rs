//! What a person says to an agent, short or long.
//!
//! Words travel inline through every object on their way, so long ones become a body of the project,
//! and their beginning travels with its name; the machine fetches the whole when it gives them to the
//! agent.

use sam_domain::conversation::row::{BodyRef, INLINE_TEXT_LIMIT, truncate};
use sam_domain::conversation::wire::{PROMPT_INLINE_LIMIT, PROMPT_LIMIT};
use sam_domain::error::ApiError;
use sam_domain::id::ProjectId;
use sam_platform::crypto::sha256_hex;
use sam_platform::r2::{Bodies, BodyName};

use crate::call::Call;
use crate::errors::Failed;

/// Longest request that carries words, in bytes: JSON writes a line's end and a quotation mark in two.
pub(super) const REQUEST_LIMIT: usize = 2 * PROMPT_LIMIT + 64 * 1024;

/// Refuses words that no agent could be given.
pub(super) fn check(field: &str, text: &str) -> Result<(), ApiError> {
    if text.trim().is_empty() {
        return Err(ApiError::bad_request(format!("`{field}` is empty.")));
    }
    if text.len() > PROMPT_LIMIT {
        return Err(ApiError::new(
            413,
            "prompt_too_long",
            format!("`{field}` is longer than {PROMPT_LIMIT} bytes."),
        )
        .hint("Put long material into a file of the repository and name the file."));
    }
    Ok(())
}

/// Stores long words as a body and leaves their beginning. `None`: they stay as they are.
pub(super) async fn keep(
    call: &Call,
    project: &ProjectId,
    text: &mut String,
) -> Result<Option<BodyRef>, Failed> {
    if text.len() <= PROMPT_INLINE_LIMIT {
        return Ok(None);
    }
    let name = BodyName::parse(&sha256_hex(text.as_bytes()))?;
    let stored = Bodies::of(&call.env, project)?
        .put(&name, text.as_bytes())
        .await?;
    text.truncate(truncate(text, INLINE_TEXT_LIMIT).0.len());
    Ok(Some(stored))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_or_endless_words_are_refused() {
        assert_eq!(check("text", " \n").unwrap_err().status, 400);
        let endless = "x".repeat(PROMPT_LIMIT + 1);
        assert_eq!(check("text", &endless).unwrap_err().status, 413);
        assert!(check("text", "go").is_ok());
    }
}

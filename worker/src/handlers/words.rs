//! What a person says to an agent, short or long.
//!
//! Words travel inline through every object on their way, so long ones become a body of the project,
//! and their beginning travels with its name; the machine fetches the whole when it gives them to the
//! agent.

use sam_domain::conversation::attachment::{self, Attachment, PromptBody};
use sam_domain::conversation::row::{INLINE_TEXT_LIMIT, truncate};
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

/// Stores long words, and those that files belong to, as a body, and leaves the beginning of long ones.
/// `None`: they stay as they are.
pub(super) async fn keep(
    call: &Call,
    project: &ProjectId,
    text: &mut String,
    attachments: &mut Vec<Attachment>,
) -> Result<Option<PromptBody>, Failed> {
    let long = text.len() > PROMPT_INLINE_LIMIT;
    if !long && attachments.is_empty() {
        return Ok(None);
    }
    let bodies = Bodies::of(&call.env, project)?;
    attachment::check(attachments)?;
    for one in attachments.iter() {
        let stored = bodies.get(&BodyName::parse(&one.sha256)?).await?;
        if stored.is_none_or(|stored| stored.bytes != one.bytes) {
            let words = format!("The attachment {:?} is not stored.", one.name);
            return Err(ApiError::new(422, "not_stored", words)
                .hint("Store its bytes by their SHA-256 first.")
                .into());
        }
    }
    let name = BodyName::parse(&sha256_hex(text.as_bytes()))?;
    let stored = bodies.put(&name, text.as_bytes()).await?;
    if long {
        text.truncate(truncate(text, INLINE_TEXT_LIMIT).0.len());
    }
    Ok(Some(PromptBody {
        sha256: stored.sha256,
        bytes: stored.bytes,
        attachments: std::mem::take(attachments),
    }))
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

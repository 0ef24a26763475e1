//! What the routes do, one module for each noun.

pub(crate) mod agents;
pub(crate) mod api_tokens;
pub(crate) mod audit;
pub(crate) mod auth;
pub(crate) mod auth_sessions;
pub(crate) mod bodies;
pub(crate) mod budgets;
pub(crate) mod credentials;
pub(crate) mod device;
pub(crate) mod doctor;
pub(crate) mod github;
pub(crate) mod logins;
pub(crate) mod members;
pub(crate) mod meta;
pub(crate) mod model_doctor;
pub(crate) mod models;
pub(crate) mod nodes;
pub(crate) mod people;
pub(crate) mod projects;
pub(crate) mod reconciliation;
pub(crate) mod releases;
pub(crate) mod sessions;
pub(crate) mod setup;
pub(crate) mod tasks;
pub(crate) mod usage;
mod words;
pub(crate) mod workspaces;

use sam_domain::error::ApiError;

use crate::call::Call;

/// The client's idempotency key.
pub(crate) fn idempotency_key(call: &Call) -> Result<String, ApiError> {
    let hint = "Send the header `Idempotency-Key` with a value of your own, 1 to 200 printable \
                characters, new for each intent and the same when you repeat it.";
    match call.header("idempotency-key") {
        None => Err(ApiError::new(
            400,
            "idempotency_key_required",
            "This request needs an Idempotency-Key header.",
        )
        .hint(hint)),
        Some(key) if key.len() > 200 || !key.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Err(ApiError::new(
                400,
                "bad_idempotency_key",
                "The Idempotency-Key header cannot be used.",
            )
            .hint(hint))
        }
        Some(key) => Ok(key),
    }
}

//! Errors and failures as people and programs meet them.

use serde::{Deserialize, Serialize};

/// The body of every error answer that no other protocol shapes:
/// `{"error": {…}}`. It never carries a stack or a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ErrorBody {
    /// The error.
    pub error: ApiError,
}

/// What went wrong with a request, for a program (`code`) and a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[error("{message}")]
pub struct ApiError {
    /// A stable snake_case word, e.g. `not_found`.
    pub code: String,
    /// What failed, in a sentence.
    pub message: String,
    /// What one can do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The request, to find it in the logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The HTTP status it travels with; not part of the body.
    #[serde(default = "internal_status", skip_serializing_if = "is_internal")]
    #[cfg_attr(feature = "schema", schemars(skip))]
    pub status: u16,
}

fn internal_status() -> u16 {
    500
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_internal(status: &u16) -> bool {
    *status == 500
}

impl ApiError {
    /// An error with its HTTP status, code and message.
    #[must_use]
    pub fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            hint: None,
            request_id: None,
            status,
        }
    }

    /// Adds what one can do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// 400 `bad_request`.
    #[must_use]
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "bad_request", message)
    }

    /// 404 `not_found`: unknown, or another tenant's, which reads the same.
    #[must_use]
    pub fn not_found(what: &str) -> Self {
        Self::new(
            404,
            "not_found",
            format!("There is no such {what}, or it is not yours."),
        )
    }

    /// 409 with a code of its own.
    #[must_use]
    pub fn conflict(code: &str, message: impl Into<String>) -> Self {
        Self::new(409, code, message)
    }

    /// 500 `internal`.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(500, "internal", "Something failed on our side.")
            .hint("Try again; if it stays, look for the request id in the server's log.")
    }
}

/// Who has to act on a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// A person asked for something that cannot be done as asked.
    Person,
    /// The machine, the repository, the agent or the model.
    Environment,
    /// SAM itself.
    System,
}

/// Why a task failed: at which step, of what class, and what to do next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Failure {
    /// The step that failed.
    pub step: crate::task::StepName,
    /// A stable snake_case word, e.g. `clone_failed`.
    pub code: String,
    /// What happened, in a sentence.
    pub message: String,
    /// What the person can do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Who has to act.
    pub fault: Fault,
}

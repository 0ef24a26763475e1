//! What can go wrong on a connection, as values a caller can match on.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Where the cause of a failed prompt lies in an error's `data`.
const FAULT: &str = "sam/fault";

/// Why a prompt failed, for programs and for people. An extension: it travels
/// in the error's `data`, which hosts that do not know it show or leave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptFault {
    /// A stable snake_case word.
    pub code: String,
    /// What a person can do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// A JSON-RPC error object, as sent or received.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{message} ({code})")]
pub struct RpcError {
    /// The JSON-RPC or ACP error code.
    pub code: i64,
    /// One sentence.
    pub message: String,
    /// Whatever else the peer added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

impl RpcError {
    /// The line was not JSON.
    pub const PARSE_ERROR: i64 = -32700;
    /// The JSON was not a request.
    pub const INVALID_REQUEST: i64 = -32600;
    /// The method does not exist here.
    pub const METHOD_NOT_FOUND: i64 = -32601;
    /// The parameters are not what the method takes.
    pub const INVALID_PARAMS: i64 = -32602;
    /// The method failed.
    pub const INTERNAL_ERROR: i64 = -32603;
    /// The session or file that was named does not exist.
    pub const NOT_FOUND: i64 = -32002;
    /// The agent wants to be signed in first.
    pub const AUTH_REQUIRED: i64 = -32000;

    /// An error with this code and message.
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            data: None,
        }
    }

    /// The answer to a method this side does not offer.
    pub fn method_not_found(method: &str) -> Self {
        let mut error = Self::new(Self::METHOD_NOT_FOUND, "Method not found");
        error.data = Some(serde_json::json!({ "method": method }));
        error
    }

    /// The answer to parameters that cannot be read.
    pub fn invalid_params(detail: impl Into<String>) -> Self {
        let mut error = Self::new(Self::INVALID_PARAMS, "Invalid params");
        error.data = Some(Value::String(detail.into()));
        error
    }

    /// The answer to a session id this side does not know.
    pub fn session_not_found(session: &str) -> Self {
        let mut error = Self::new(Self::NOT_FOUND, "Session not found");
        error.data = Some(serde_json::json!({ "sessionId": session }));
        error
    }

    /// The answer when the method itself failed.
    pub fn internal(detail: impl Into<String>) -> Self {
        let mut error = Self::new(Self::INTERNAL_ERROR, "Internal error");
        error.data = Some(Value::String(detail.into()));
        error
    }

    /// The answer to a prompt that failed for a cause that has a name.
    pub fn prompt_failed(message: impl Into<String>, fault: &PromptFault) -> Self {
        let mut error = Self::new(Self::INTERNAL_ERROR, message);
        error.data = Some(serde_json::json!({ FAULT: fault }));
        error
    }

    /// The named cause of a failed prompt, if the agent gave one.
    pub fn fault(&self) -> Option<PromptFault> {
        serde_json::from_value(self.data.as_ref()?.get(FAULT)?.clone()).ok()
    }

    /// Whether an answer to a request that named a session may mean "I do not
    /// know that session". Agents answer −32002, −32602 or −32603 for it; the
    /// last says nothing about the cause, so a caller that gets `true` may
    /// open a new session but must not conclude that the old one is gone.
    pub fn may_be_unknown_session(&self) -> bool {
        matches!(
            self.code,
            Self::NOT_FOUND | Self::INVALID_PARAMS | Self::INTERNAL_ERROR
        )
    }
}

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum CloseReason {
    /// The peer closed its output: it exited, or is about to.
    #[error("the agent closed its output")]
    EndOfStream,
    /// Reading or writing failed.
    #[error("the connection failed: {detail}")]
    Io {
        /// The operating system's words.
        detail: String,
    },
}

/// Why a call to the agent did not succeed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum AcpError {
    /// The connection ended before the answer.
    #[error("{0}")]
    Closed(CloseReason),
    /// No answer within the time given.
    #[error("the agent did not answer {method} within {seconds} s")]
    Timeout {
        /// The method called.
        method: String,
        /// The time given.
        seconds: u64,
    },
    /// The agent answered with an error.
    #[error("the agent refused {method}: {error}")]
    Rpc {
        /// The method called.
        method: String,
        /// Its error.
        error: Box<RpcError>,
    },
    /// The agent answered with something that is not an answer to the method.
    #[error("the agent's answer to {method} cannot be used: {detail}")]
    Protocol {
        /// The method called.
        method: String,
        /// What is wrong with the answer.
        detail: String,
    },
}

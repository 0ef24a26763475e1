//! Chat completions.
//!
//! [`ChatRequest`] and [`ChatAccumulator`] are for whoever talks to a model;
//! [`prepare_request`] and [`UsageChunkFilter`] for whoever passes a
//! conversation through and changes as little as can be.

mod filter;
mod prepare;
mod request;
mod stream;

pub use filter::UsageChunkFilter;
pub use prepare::{PrepareError, PreparedRequest, prepare_request, set_model};
pub use request::{ChatMessage, ChatRequest, FunctionCall, ToolCallMessage, ToolDefinition};
pub use stream::{ChatAccumulator, ChatDelta, ChatReply, ChatStreamError, FinishReason, ToolUse};

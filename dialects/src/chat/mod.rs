//! Chat completions.
//!
//! [`prepare_request`] and [`UsageChunkFilter`] are for whoever passes a
//! conversation through and changes as little as can be; [`ChatRequest`] and
//! [`ChatAccumulator`] for whoever talks to a model in this dialect alone.

pub(crate) mod emit;
mod filter;
pub(crate) mod parse;
mod prepare;
pub(crate) mod read;
mod request;
mod stream;
pub(crate) mod write;

pub use filter::UsageChunkFilter;
pub use prepare::{PrepareError, PreparedRequest, prepare_request, set_model};
pub use request::{ChatMessage, ChatRequest, FunctionCall, ToolCallMessage, ToolDefinition};
pub use stream::{ChatAccumulator, ChatDelta, ChatReply, ChatStreamError, FinishReason, ToolUse};

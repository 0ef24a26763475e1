//! The Agent Client Protocol (ACP), both sides, in our own types.
//!
//! The model: a *host* ([`Host`]) starts a coding agent and speaks to it over
//! a pair of byte streams; an *agent* ([`AgentServer`]) answers. One line is
//! one JSON-RPC 2.0 message. Everything that arrives is delivered on one
//! channel in the order of the wire, so that a turn's result can never
//! overtake the updates that came before it.
//!
//! What we send is built from the types of the pinned `agent-client-protocol`
//! crate and is therefore valid schema v1. What we receive is read leniently
//! from JSON instead: those types replace what they do not understand with
//! defaults and skip list items silently, and agents in the field send
//! versions, content kinds and notifications the schema does not know. Here
//! nothing is lost: what has no type of its own is kept as
//! [`AgentUpdate::Unknown`] or [`ToolContent::Unknown`].
//!
//! The crate's own connection machinery is not used, for three reasons:
//! it types messages before anyone can see what was dropped; it answers
//! malformed lines to the agent, where a host wants to skip and report them;
//! and it hands updates and responses to separate handlers and tasks, which
//! loses the one order a transcript needs. The line loop is `rpc`.
//!
//! Invariant: no type of the protocol crate leaves this crate, and nothing
//! here knows of rows, tasks, models or processes. The host advertises
//! neither file system nor terminals; requests for them are refused with
//! "method not found" and reported.

mod agent;
mod client;
mod error;
mod host;
mod opening;
mod parse;
mod repair;
mod rpc;
mod session;
mod update;
mod wire;

pub use agent::{
    AgentDescription, AgentLink, AgentRequest, AgentRequests, AgentServer, CloseReply, ListReply,
    ModeReply, OptionReply, PromptReply, SessionReply,
};
pub use error::{AcpError, CloseReason, PromptFault, RpcError};
pub use host::{
    Host, HostEvent, HostEvents, HostOptions, PermissionRequest, PermissionResponder, Report,
    TurnId,
};
pub use opening::{AgentInfo, AuthMethod, Besides, Modes, SessionOpened};
pub use session::{
    HostAbilities, OptionCategory, OptionValue, SessionListed, SessionMode, SessionOption,
    SessionSettings, SessionWanted, TerminalExit, TerminalOutput,
};
pub use update::{
    AcpSessionId, AgentUpdate, Block, Chunk, Command, ContextUsage, Cost, Location, Notice,
    NoticeLevel, PermissionOption, PermissionOptionKind, PermissionOutcome, PlanEntry,
    PlanPriority, PlanStatus, PromptOutcome, StopReason, TokenUsage, ToolCall, ToolCallUpdate,
    ToolContent, ToolKind, ToolStatus,
};

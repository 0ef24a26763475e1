//! From our types to the wire, through the types of the protocol crate, so
//! that whatever leaves is valid schema v1.

use std::path::Path;

use agent_client_protocol::schema::ProtocolVersion;
use agent_client_protocol::v1::schema as acp;
use serde::Serialize;
use serde_json::Value;

use crate::agent::AgentDescription;
use crate::parse::NOTICE;
use crate::session::{OptionCategory, SessionListed, SessionOption, SessionSettings};
use crate::update::{
    AcpSessionId, AgentUpdate, Block, Chunk, Location, PermissionOption, PermissionOptionKind,
    PermissionOutcome, PlanEntry, PlanPriority, PlanStatus, PromptOutcome, StopReason, TokenUsage,
    ToolCall, ToolCallUpdate, ToolContent, ToolKind, ToolStatus,
};

/// The protocol's types always serialise; if one ever did not, the peer gets
/// an empty object and refuses it.
fn value(message: impl Serialize) -> Value {
    serde_json::to_value(message).unwrap_or_else(|_| Value::Object(serde_json::Map::new()))
}

fn session_id(session: &AcpSessionId) -> acp::SessionId {
    acp::SessionId::new(session.as_str())
}

pub(crate) fn initialize(name: &str, version: &str) -> Value {
    value(
        acp::InitializeRequest::new(ProtocolVersion::V1)
            .client_info(acp::Implementation::new(name, version)),
    )
}

/// Where an agent says what isolates its commands.
const ISOLATION: &str = "sam/isolation";

pub(crate) fn initialized(agent: &AgentDescription) -> Value {
    let keeps = agent.keeps_sessions;
    let sessions = acp::SessionCapabilities::new()
        .list(keeps.then(acp::SessionListCapabilities::new))
        .resume(keeps.then(acp::SessionResumeCapabilities::new))
        .close(keeps.then(acp::SessionCloseCapabilities::new))
        .additional_directories(acp::SessionAdditionalDirectoriesCapabilities::new());
    let prompts = acp::PromptCapabilities::new()
        .image(agent.takes_images)
        .embedded_context(true);
    let info = acp::Implementation::new(agent.name.clone(), agent.version.clone());
    let isolation = agent
        .isolation
        .clone()
        .map(|level| (ISOLATION.to_owned(), level));
    let meta: acp::Meta = isolation.into_iter().collect();
    let servers = acp::McpCapabilities::new().http(true);
    value(
        acp::InitializeResponse::new(ProtocolVersion::V1)
            .agent_capabilities(
                acp::AgentCapabilities::new()
                    .load_session(keeps)
                    .prompt_capabilities(prompts)
                    .mcp_capabilities(servers)
                    .session_capabilities(sessions),
            )
            .agent_info(info.title(agent.title.clone()))
            .meta((!meta.is_empty()).then_some(meta)),
    )
}

pub(crate) fn new_session(cwd: &Path) -> Value {
    value(acp::NewSessionRequest::new(cwd))
}

pub(crate) fn new_session_response(session: &AcpSessionId, settings: &SessionSettings) -> Value {
    value(
        acp::NewSessionResponse::new(session_id(session))
            .modes(modes(settings))
            .config_options(some_options(settings)),
    )
}

fn modes(settings: &SessionSettings) -> Option<acp::SessionModeState> {
    let all = settings.modes.iter().map(|mode| {
        acp::SessionMode::new(mode.id.clone(), mode.name.clone())
            .description(mode.description.clone())
    });
    let all: Vec<_> = all.collect();
    (!all.is_empty()).then(|| acp::SessionModeState::new(settings.mode.clone(), all))
}

fn some_options(settings: &SessionSettings) -> Option<Vec<acp::SessionConfigOption>> {
    Some(options(settings)).filter(|options| !options.is_empty())
}

fn options(settings: &SessionSettings) -> Vec<acp::SessionConfigOption> {
    let option = |option: &SessionOption| {
        let values: Vec<acp::SessionConfigSelectOption> = option
            .values
            .iter()
            .map(|value| {
                acp::SessionConfigSelectOption::new(value.value.clone(), value.name.clone())
            })
            .collect();
        let (id, name, current) = (
            option.id.clone(),
            option.name.clone(),
            option.current.clone(),
        );
        acp::SessionConfigOption::select(id, name, current, values).category(
            match option.category {
                OptionCategory::Mode => acp::SessionConfigOptionCategory::Mode,
                OptionCategory::Model => acp::SessionConfigOptionCategory::Model,
                OptionCategory::ThoughtLevel => acp::SessionConfigOptionCategory::ThoughtLevel,
            },
        )
    };
    settings.options.iter().map(option).collect()
}

/// The options as [`AgentUpdate::ConfigOptions`] has them.
pub(crate) fn options_value(settings: &SessionSettings) -> Value {
    value(options(settings))
}

pub(crate) fn resume_session_response(settings: &SessionSettings) -> Value {
    value(
        acp::ResumeSessionResponse::new()
            .modes(modes(settings))
            .config_options(some_options(settings)),
    )
}

pub(crate) fn close_session_response() -> Value {
    value(acp::CloseSessionResponse::new())
}

pub(crate) fn set_mode_response() -> Value {
    value(acp::SetSessionModeResponse::new())
}

pub(crate) fn set_option_response(settings: &SessionSettings) -> Value {
    value(acp::SetSessionConfigOptionResponse::new(options(settings)))
}

pub(crate) fn list_sessions_response(sessions: &[SessionListed], next: Option<String>) -> Value {
    let session = |listed: &SessionListed| {
        acp::SessionInfo::new(session_id(&listed.session), listed.cwd.clone())
            .additional_directories(listed.additional_directories.clone())
            .title(listed.title.clone())
            .updated_at(listed.updated_at.clone())
    };
    let sessions = sessions.iter().map(session).collect();
    value(acp::ListSessionsResponse::new(sessions).next_cursor(next))
}

pub(crate) fn read_text_file(session: &AcpSessionId, path: &Path) -> Value {
    value(acp::ReadTextFileRequest::new(session_id(session), path))
}

pub(crate) fn write_text_file(session: &AcpSessionId, path: &Path, content: &str) -> Value {
    let id = session_id(session);
    value(acp::WriteTextFileRequest::new(id, path, content))
}

pub(crate) fn create_terminal(
    session: &AcpSessionId,
    command: &str,
    arguments: &[String],
    cwd: &Path,
    limit: u64,
) -> Value {
    value(
        acp::CreateTerminalRequest::new(session_id(session), command)
            .args(arguments.to_vec())
            .cwd(cwd.to_owned())
            .output_byte_limit(limit),
    )
}

pub(crate) fn load_session(session: &AcpSessionId, cwd: &Path) -> Value {
    value(acp::LoadSessionRequest::new(session_id(session), cwd))
}

pub(crate) fn load_session_response(settings: &SessionSettings) -> Value {
    value(
        acp::LoadSessionResponse::new()
            .modes(modes(settings))
            .config_options(some_options(settings)),
    )
}

pub(crate) fn prompt(session: &AcpSessionId, blocks: &[Block]) -> Value {
    let blocks = blocks.iter().filter_map(block).collect();
    value(acp::PromptRequest::new(session_id(session), blocks))
}

pub(crate) fn cancel(session: &AcpSessionId) -> Value {
    value(acp::CancelNotification::new(session_id(session)))
}

pub(crate) fn prompt_response(outcome: &PromptOutcome) -> Value {
    let reason = match &outcome.stop_reason {
        StopReason::EndTurn | StopReason::Other(_) => acp::StopReason::EndTurn,
        StopReason::MaxTokens => acp::StopReason::MaxTokens,
        StopReason::MaxTurnRequests => acp::StopReason::MaxTurnRequests,
        StopReason::Refusal => acp::StopReason::Refusal,
        StopReason::Cancelled => acp::StopReason::Cancelled,
    };
    value(acp::PromptResponse::new(reason).usage(outcome.usage.as_ref().map(token_usage)))
}

fn token_usage(usage: &TokenUsage) -> acp::Usage {
    acp::Usage::new(usage.total, usage.input, usage.output)
        .thought_tokens(usage.thought)
        .cached_read_tokens(usage.cached_read)
        .cached_write_tokens(usage.cached_write)
}

pub(crate) fn permission_response(outcome: &PermissionOutcome) -> Value {
    value(acp::RequestPermissionResponse::new(match outcome {
        PermissionOutcome::Cancelled => acp::RequestPermissionOutcome::Cancelled,
        PermissionOutcome::Selected { option } => acp::RequestPermissionOutcome::Selected(
            acp::SelectedPermissionOutcome::new(option.clone()),
        ),
    }))
}

pub(crate) fn permission_request(
    session: &AcpSessionId,
    call: &ToolCallUpdate,
    options: &[PermissionOption],
) -> Value {
    let options = options.iter().filter_map(permission_option).collect();
    value(acp::RequestPermissionRequest::new(
        session_id(session),
        tool_call_update(call),
        options,
    ))
}

fn permission_option(option: &PermissionOption) -> Option<acp::PermissionOption> {
    let kind = match option.kind {
        PermissionOptionKind::AllowOnce => acp::PermissionOptionKind::AllowOnce,
        PermissionOptionKind::AllowAlways => acp::PermissionOptionKind::AllowAlways,
        PermissionOptionKind::RejectOnce => acp::PermissionOptionKind::RejectOnce,
        PermissionOptionKind::RejectAlways => acp::PermissionOptionKind::RejectAlways,
        PermissionOptionKind::Other => return None,
    };
    let id = option.id.clone();
    Some(acp::PermissionOption::new(id, option.name.clone(), kind))
}

/// A `session/update`; none for an update that schema v1 cannot express.
pub(crate) fn session_update(session: &AcpSessionId, update: &AgentUpdate) -> Option<Value> {
    let update = session_update_body(update)?;
    let id = session_id(session);
    Some(value(acp::SessionNotification::new(id, update)))
}

fn session_update_body(update: &AgentUpdate) -> Option<acp::SessionUpdate> {
    Some(match update {
        AgentUpdate::UserMessage(piece) => acp::SessionUpdate::UserMessageChunk(chunk(piece)?),
        AgentUpdate::Message(piece) => acp::SessionUpdate::AgentMessageChunk(chunk(piece)?),
        AgentUpdate::Thought(piece) => acp::SessionUpdate::AgentThoughtChunk(chunk(piece)?),
        AgentUpdate::ToolCall(call) => acp::SessionUpdate::ToolCall(tool_call(call)),
        AgentUpdate::ToolCallUpdate(update) => {
            acp::SessionUpdate::ToolCallUpdate(tool_call_update(update))
        }
        AgentUpdate::Plan { entries } => {
            acp::SessionUpdate::Plan(acp::Plan::new(entries.iter().map(plan_entry).collect()))
        }
        AgentUpdate::ContextUsage(usage) => acp::SessionUpdate::UsageUpdate(
            acp::UsageUpdate::new(usage.used, usage.size).cost(
                usage
                    .cost
                    .as_ref()
                    .map(|cost| acp::Cost::new(cost.amount, cost.currency.clone())),
            ),
        ),
        AgentUpdate::Mode { mode } => {
            acp::SessionUpdate::CurrentModeUpdate(acp::CurrentModeUpdate::new(mode.clone()))
        }
        AgentUpdate::Commands { commands } => {
            acp::SessionUpdate::AvailableCommandsUpdate(acp::AvailableCommandsUpdate::new(
                commands
                    .iter()
                    .map(|command| {
                        let description = command.description.clone();
                        acp::AvailableCommand::new(command.name.clone(), description)
                    })
                    .collect(),
            ))
        }
        AgentUpdate::SessionInfo { title, .. } => acp::SessionUpdate::SessionInfoUpdate(
            acp::SessionInfoUpdate::new().title(title.clone()),
        ),
        AgentUpdate::Notice(notice) => {
            let said = [(NOTICE.to_owned(), value(notice))];
            let meta: acp::Meta = said.into_iter().collect();
            acp::SessionUpdate::SessionInfoUpdate(acp::SessionInfoUpdate::new().meta(meta))
        }
        AgentUpdate::ConfigOptions { options } => acp::SessionUpdate::ConfigOptionUpdate(
            acp::ConfigOptionUpdate::new(serde_json::from_value(options.clone()).ok()?),
        ),
        AgentUpdate::Unknown { raw } => serde_json::from_value(raw.clone()).ok()?,
    })
}

fn chunk(piece: &Chunk) -> Option<acp::ContentChunk> {
    let id = piece.message_id.clone().map(acp::MessageId::new);
    Some(acp::ContentChunk::new(block(&piece.block)?).message_id(id))
}

fn block(block: &Block) -> Option<acp::ContentBlock> {
    match block {
        Block::Text { text } => Some(acp::ContentBlock::Text(acp::TextContent::new(text.clone()))),
        Block::Other { raw } => serde_json::from_value(raw.clone()).ok(),
    }
}

fn tool_call(call: &ToolCall) -> acp::ToolCall {
    acp::ToolCall::new(call.id.clone(), call.title.clone())
        .name(call.name.clone())
        .kind(tool_kind(call.kind))
        .status(tool_status(call.status))
        .content(call.content.iter().filter_map(tool_content).collect())
        .locations(call.locations.iter().map(location).collect())
        .raw_input(call.raw_input.clone())
        .raw_output(call.raw_output.clone())
}

fn tool_call_update(update: &ToolCallUpdate) -> acp::ToolCallUpdate {
    let content = update.content.as_ref();
    let locations = update.locations.as_ref();
    let fields = acp::ToolCallUpdateFields::new()
        .name(update.name.clone())
        .title(update.title.clone())
        .kind(update.kind.map(tool_kind))
        .status(update.status.map(tool_status))
        .content(content.map(|items| items.iter().filter_map(tool_content).collect::<Vec<_>>()))
        .locations(locations.map(|items| items.iter().map(location).collect::<Vec<_>>()))
        .raw_input(update.raw_input.clone())
        .raw_output(update.raw_output.clone());
    acp::ToolCallUpdate::new(update.id.clone(), fields)
}

fn tool_kind(kind: ToolKind) -> acp::ToolKind {
    match kind {
        ToolKind::Read => acp::ToolKind::Read,
        ToolKind::Edit => acp::ToolKind::Edit,
        ToolKind::Delete => acp::ToolKind::Delete,
        ToolKind::Move => acp::ToolKind::Move,
        ToolKind::Search => acp::ToolKind::Search,
        ToolKind::Execute => acp::ToolKind::Execute,
        ToolKind::Think => acp::ToolKind::Think,
        ToolKind::Fetch => acp::ToolKind::Fetch,
        ToolKind::SwitchMode => acp::ToolKind::SwitchMode,
        ToolKind::Other => acp::ToolKind::Other,
    }
}

fn tool_status(status: ToolStatus) -> acp::ToolCallStatus {
    match status {
        ToolStatus::Pending => acp::ToolCallStatus::Pending,
        ToolStatus::InProgress => acp::ToolCallStatus::InProgress,
        ToolStatus::Completed => acp::ToolCallStatus::Completed,
        ToolStatus::Failed => acp::ToolCallStatus::Failed,
    }
}

fn tool_content(content: &ToolContent) -> Option<acp::ToolCallContent> {
    Some(match content {
        ToolContent::Text { text } => acp::ToolCallContent::Content(acp::Content::new(
            acp::ContentBlock::Text(acp::TextContent::new(text.clone())),
        )),
        ToolContent::Diff { path, old, new } => {
            acp::ToolCallContent::Diff(acp::Diff::new(path, new.clone()).old_text(old.clone()))
        }
        ToolContent::Terminal { terminal_id } => {
            acp::ToolCallContent::Terminal(acp::Terminal::new(terminal_id.clone()))
        }
        ToolContent::Unknown { raw } => serde_json::from_value(raw.clone()).ok()?,
    })
}

fn location(location: &Location) -> acp::ToolCallLocation {
    acp::ToolCallLocation::new(&location.path).line(location.line)
}

fn plan_entry(entry: &PlanEntry) -> acp::PlanEntry {
    let priority = match entry.priority {
        PlanPriority::High => acp::PlanEntryPriority::High,
        PlanPriority::Medium => acp::PlanEntryPriority::Medium,
        PlanPriority::Low => acp::PlanEntryPriority::Low,
    };
    let status = match entry.status {
        PlanStatus::Pending => acp::PlanEntryStatus::Pending,
        PlanStatus::InProgress => acp::PlanEntryStatus::InProgress,
        PlanStatus::Completed => acp::PlanEntryStatus::Completed,
    };
    acp::PlanEntry::new(entry.content.clone(), priority, status)
}

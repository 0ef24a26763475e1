//! From the wire's JSON to our types, leniently and without loss.
//!
//! The rule: a message that has what identifies it (a session, a tool call's
//! id) gets its type, with unreadable optional fields left out; one that has
//! not stays whole as `Unknown`. Nothing here returns an error.

use serde_json::Value;

use crate::update::{
    AgentUpdate, Block, Chunk, Command, ContextUsage, Cost, Location, Notice, PermissionOption,
    PermissionOptionKind, PlanEntry, PlanPriority, PlanStatus, PromptOutcome, StopReason,
    TokenUsage, ToolCall, ToolCallUpdate, ToolContent, ToolKind, ToolStatus,
};

/// Where a notice lies in the `_meta` of a `session_info_update`.
pub(crate) const NOTICE: &str = "sam/notice";

/// Reads the `update` of a `session/update`.
pub(crate) fn update(raw: &Value) -> AgentUpdate {
    let tag = text(raw, "sessionUpdate").unwrap_or_default();
    typed_update(&tag, raw).unwrap_or_else(|| AgentUpdate::Unknown { raw: raw.clone() })
}

fn typed_update(tag: &str, raw: &Value) -> Option<AgentUpdate> {
    Some(match tag {
        "user_message_chunk" => AgentUpdate::UserMessage(chunk(raw)?),
        "agent_message_chunk" => AgentUpdate::Message(chunk(raw)?),
        "agent_thought_chunk" => AgentUpdate::Thought(chunk(raw)?),
        "tool_call" => AgentUpdate::ToolCall(tool_call(raw)?),
        "tool_call_update" => AgentUpdate::ToolCallUpdate(tool_call_update(raw)?),
        "plan" => AgentUpdate::Plan {
            entries: list(raw, "entries")?
                .iter()
                .filter_map(plan_entry)
                .collect(),
        },
        "usage_update" => AgentUpdate::ContextUsage(ContextUsage {
            used: raw.get("used")?.as_u64()?,
            size: raw.get("size")?.as_u64()?,
            cost: raw.get("cost").and_then(cost),
        }),
        "current_mode_update" => AgentUpdate::Mode {
            mode: text(raw, "currentModeId")?,
        },
        "config_option_update" => AgentUpdate::ConfigOptions {
            options: raw.get("configOptions")?.clone(),
        },
        "available_commands_update" => AgentUpdate::Commands {
            commands: list(raw, "availableCommands")?
                .iter()
                .filter_map(|command| {
                    Some(Command {
                        name: text(command, "name")?,
                        description: text(command, "description").unwrap_or_default(),
                    })
                })
                .collect(),
        },
        "session_info_update" => notice(raw).map_or_else(
            || AgentUpdate::SessionInfo {
                title: text(raw, "title"),
                raw: raw.clone(),
            },
            AgentUpdate::Notice,
        ),
        _ => return None,
    })
}

fn notice(raw: &Value) -> Option<Notice> {
    let said = raw.get("_meta")?.get(NOTICE)?;
    serde_json::from_value(said.clone()).ok()
}

fn chunk(raw: &Value) -> Option<Chunk> {
    Some(Chunk {
        message_id: text(raw, "messageId"),
        block: block(raw.get("content")?),
    })
}

/// Reads a content block.
pub(crate) fn block(raw: &Value) -> Block {
    match (text(raw, "type").as_deref(), text(raw, "text")) {
        (Some("text"), Some(text)) => Block::Text { text },
        _ => Block::Other { raw: raw.clone() },
    }
}

fn tool_call(raw: &Value) -> Option<ToolCall> {
    let update = tool_call_update(raw)?;
    Some(update.into_tool_call())
}

/// Reads a tool call or an update of one; the two differ only in what must be
/// there.
pub(crate) fn tool_call_update(raw: &Value) -> Option<ToolCallUpdate> {
    let meta = present(raw, "_meta").cloned();
    Some(ToolCallUpdate {
        id: text(raw, "toolCallId")?,
        name: text(raw, "name").or_else(|| meta.as_ref().and_then(name_in_extensions)),
        title: text(raw, "title"),
        kind: text(raw, "kind").map(|kind| tool_kind(&kind)),
        status: text(raw, "status").and_then(|status| tool_status(&status)),
        content: list(raw, "content").map(|items| items.iter().map(tool_content).collect()),
        locations: list(raw, "locations").map(|items| items.iter().filter_map(location).collect()),
        raw_input: present(raw, "rawInput").cloned(),
        raw_output: present(raw, "rawOutput").cloned(),
        meta,
    })
}

/// Agents told a tool's name in extensions before the protocol had a field.
fn name_in_extensions(meta: &Value) -> Option<String> {
    [
        "/claudeCode/toolName",
        "/goose/toolCall/toolName",
        "/toolName",
    ]
    .iter()
    .find_map(|pointer| meta.pointer(pointer)?.as_str().map(str::to_owned))
}

fn tool_kind(kind: &str) -> ToolKind {
    match kind {
        "read" => ToolKind::Read,
        "edit" => ToolKind::Edit,
        "delete" => ToolKind::Delete,
        "move" => ToolKind::Move,
        "search" => ToolKind::Search,
        "execute" => ToolKind::Execute,
        "think" => ToolKind::Think,
        "fetch" => ToolKind::Fetch,
        "switch_mode" => ToolKind::SwitchMode,
        _ => ToolKind::Other,
    }
}

fn tool_status(status: &str) -> Option<ToolStatus> {
    Some(match status {
        "pending" => ToolStatus::Pending,
        "in_progress" => ToolStatus::InProgress,
        "completed" => ToolStatus::Completed,
        "failed" => ToolStatus::Failed,
        _ => return None,
    })
}

fn tool_content(raw: &Value) -> ToolContent {
    typed_content(raw).unwrap_or_else(|| ToolContent::Unknown { raw: raw.clone() })
}

fn typed_content(raw: &Value) -> Option<ToolContent> {
    Some(match text(raw, "type")?.as_str() {
        "content" => match block(raw.get("content")?) {
            Block::Text { text } => ToolContent::Text { text },
            Block::Other { .. } => return None,
        },
        "diff" => ToolContent::Diff {
            path: text(raw, "path")?,
            old: text(raw, "oldText"),
            new: text(raw, "newText")?,
        },
        "terminal" => ToolContent::Terminal {
            terminal_id: text(raw, "terminalId")?,
        },
        _ => return None,
    })
}

fn location(raw: &Value) -> Option<Location> {
    Some(Location {
        path: text(raw, "path")?,
        line: raw
            .get("line")
            .and_then(Value::as_u64)
            .and_then(|line| u32::try_from(line).ok()),
    })
}

fn plan_entry(raw: &Value) -> Option<PlanEntry> {
    Some(PlanEntry {
        content: text(raw, "content")?,
        priority: match text(raw, "priority").as_deref() {
            Some("high") => PlanPriority::High,
            Some("low") => PlanPriority::Low,
            _ => PlanPriority::Medium,
        },
        status: match text(raw, "status").as_deref() {
            Some("in_progress") => PlanStatus::InProgress,
            Some("completed") => PlanStatus::Completed,
            _ => PlanStatus::Pending,
        },
    })
}

fn cost(raw: &Value) -> Option<Cost> {
    Some(Cost {
        amount: raw.get("amount")?.as_f64()?,
        currency: text(raw, "currency")?,
    })
}

/// Reads the options of a permission request; those without an id cannot be
/// chosen and are left out.
pub(crate) fn permission_options(raw: &Value) -> Vec<PermissionOption> {
    let options = list(raw, "options").unwrap_or_default();
    options
        .iter()
        .filter_map(|option| {
            let id = text(option, "optionId")?;
            Some(PermissionOption {
                name: text(option, "name").unwrap_or_else(|| id.clone()),
                id,
                kind: match text(option, "kind").as_deref() {
                    Some("allow_once") => PermissionOptionKind::AllowOnce,
                    Some("allow_always") => PermissionOptionKind::AllowAlways,
                    Some("reject_once") => PermissionOptionKind::RejectOnce,
                    Some("reject_always") => PermissionOptionKind::RejectAlways,
                    _ => PermissionOptionKind::Other,
                },
            })
        })
        .collect()
}

/// Reads the result of a `session/prompt`; none if it names no stop reason.
pub(crate) fn prompt_outcome(raw: &Value) -> Option<PromptOutcome> {
    let stop_reason = match text(raw, "stopReason")?.as_str() {
        "end_turn" => StopReason::EndTurn,
        "max_tokens" => StopReason::MaxTokens,
        "max_turn_requests" => StopReason::MaxTurnRequests,
        "refusal" => StopReason::Refusal,
        "cancelled" => StopReason::Cancelled,
        other => StopReason::Other(other.to_owned()),
    };
    Some(PromptOutcome {
        stop_reason,
        usage: present(raw, "usage").and_then(token_usage),
    })
}

fn token_usage(raw: &Value) -> Option<TokenUsage> {
    let count = |key: &str| raw.get(key).and_then(Value::as_u64);
    let input = count("inputTokens")?;
    let output = count("outputTokens")?;
    Some(TokenUsage {
        input,
        output,
        total: count("totalTokens").unwrap_or(input.saturating_add(output)),
        thought: count("thoughtTokens"),
        cached_read: count("cachedReadTokens"),
        cached_write: count("cachedWriteTokens"),
    })
}

/// The string at `key`.
pub(crate) fn text(raw: &Value, key: &str) -> Option<String> {
    raw.get(key)?.as_str().map(str::to_owned)
}

/// The list at `key`.
pub(crate) fn list<'v>(raw: &'v Value, key: &str) -> Option<&'v [Value]> {
    raw.get(key)?.as_array().map(Vec::as_slice)
}

/// The value at `key`, unless it is null.
pub(crate) fn present<'v>(raw: &'v Value, key: &str) -> Option<&'v Value> {
    raw.get(key).filter(|value| !value.is_null())
}

//! What the agent says of its own condition, as hosts and transcripts have it.

use sam_acp::{Notice, NoticeLevel};
use sam_dialects::conversation::StopReason;

use crate::limits::TurnEnd;
use crate::model::{Step, Trouble};

/// What begins the word about calls that repeat themselves.
pub(crate) const REPEATED: &str = "\n[The same calls have now given the same results ";

/// The word about calls that repeat themselves, to be added to a result.
pub(crate) fn repeated(times: u32) -> String {
    format!("{REPEATED}{times} times in a row. Try something else, or say what stands in the way.]")
}

/// A reply that did not come at the first attempt.
pub(crate) fn trouble(id: &str, trouble: &Trouble<'_>) -> Notice {
    let kind = trouble.fault.kind;
    let (level, hint) = match trouble.step {
        Step::Wait(_) => (NoticeLevel::Warning, Some(kind.hint().to_owned())),
        Step::WentOn(_) => (NoticeLevel::Info, None),
        Step::GaveUp(_) => (NoticeLevel::Error, Some(kind.hint().to_owned())),
    };
    Notice {
        id: id.to_owned(),
        level,
        code: kind.code().to_owned(),
        text: trouble.to_string(),
        hint,
    }
}

/// A limit ended the turn.
pub(crate) fn stopped(end: TurnEnd, why: &str) -> Notice {
    Notice {
        id: "stopped".to_owned(),
        level: NoticeLevel::Warning,
        code: format!("turn_{}", end.word()),
        text: format!("The agent stopped: {why}."),
        hint: Some("Say how to go on, or give it another limit.".to_owned()),
    }
}

/// The conversation became too long and was compacted.
pub(crate) fn compacted(before: u64, after: u64, number: u64) -> Notice {
    let kilobytes = |bytes: u64| bytes.div_ceil(1024);
    Notice {
        id: format!("compaction-{number}"),
        level: NoticeLevel::Info,
        code: "conversation_compacted".to_owned(),
        text: format!(
            "The conversation was compacted from {} to {} KB.",
            kilobytes(before),
            kilobytes(after)
        ),
        hint: None,
    }
}

/// A server that is not there, or not whole.
pub(crate) fn server(name: &str, why: &str) -> Notice {
    Notice {
        id: format!("mcp-{name}"),
        level: NoticeLevel::Warning,
        code: "mcp_server".to_owned(),
        text: format!("The MCP server {name}: {why}"),
        hint: Some("Its tools are missing; it is tried again with the next prompt.".to_owned()),
    }
}

/// The record ended before the conversation.
pub(crate) fn unrecorded(why: &str) -> Notice {
    Notice {
        id: "transcript".to_owned(),
        level: NoticeLevel::Warning,
        code: "transcript_lost".to_owned(),
        text: format!("The transcript is not written any more: {why}."),
        hint: Some(
            "Make room for transcripts, or name another place with --transcript-dir.".to_owned(),
        ),
    }
}

/// Why the model stopped, as a word.
pub(crate) fn stop_word(stop: &StopReason) -> String {
    match stop {
        StopReason::EndTurn => "end_turn",
        StopReason::ToolUse => "tool_use",
        StopReason::MaxTokens => "max_tokens",
        StopReason::StopSequence(_) => "stop_sequence",
        StopReason::Refusal => "refusal",
        StopReason::Pause => "pause",
        StopReason::ContextExceeded => "context_exceeded",
        StopReason::Other(word) => word,
    }
    .to_owned()
}

/// The reason behind a word of [`stop_word`].
pub(crate) fn stop_reason(word: &str) -> StopReason {
    match word {
        "end_turn" => StopReason::EndTurn,
        "tool_use" => StopReason::ToolUse,
        "max_tokens" => StopReason::MaxTokens,
        "stop_sequence" => StopReason::StopSequence(None),
        "refusal" => StopReason::Refusal,
        "pause" => StopReason::Pause,
        "context_exceeded" => StopReason::ContextExceeded,
        other => StopReason::Other(other.to_owned()),
    }
}

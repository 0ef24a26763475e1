//! A row of a conversation.
//!
//! The row shown live is the row stored: web, CLI, feed, storage and the
//! vm-agent share [`Row`]. Rows are upserts keyed by id; the order of versions
//! is (attempt, rev); the order on the screen is `pos`, given at the first
//! insert and never changed; the order of the feed is `seq`, given at every
//! write.

mod read;

use crate::id::{RowId, SessionId};
use crate::time::{Millis, Timestamp};
use serde::{Deserialize, Serialize};

/// Longest text a row carries inline, in bytes; longer travels as [`BodyRef`].
pub const INLINE_TEXT_LIMIT: usize = 16 * 1024;

/// Who wrote a row. A workspace can write only as agent or system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Author {
    /// A person.
    Person,
    /// The coding agent.
    Agent,
    /// SAM itself.
    System,
}

/// One row as stored and shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Row {
    /// Its id.
    pub id: RowId,
    /// The conversation it belongs to.
    pub session: SessionId,
    /// The session's sequence number of the last write that touched it.
    pub seq: u64,
    /// Its place in the conversation; given once, at the first insert.
    pub pos: u64,
    /// The task attempt it was written under; 0 for rows of people.
    pub attempt: u32,
    /// The version within the attempt; grows with every upsert.
    pub rev: u32,
    /// Who wrote it.
    pub author: Author,
    /// When it began, by its writer's clock.
    pub created_at: Timestamp,
    /// What it says.
    #[serde(flatten)]
    pub body: RowBody,
}

/// What a row says, by kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", content = "body", rename_all = "snake_case")]
pub enum RowBody {
    /// Words, as Markdown.
    Text(TextBody),
    /// The agent's reasoning.
    Thought(TextBody),
    /// One tool call.
    Tool(Box<ToolBody>),
    /// The agent's plan; replaced as a whole.
    Plan(PlanBody),
    /// Something SAM says: a step, a fault, a question.
    Notice(NoticeBody),
    /// Tokens and cost of a turn.
    Usage(UsageBody),
    /// The agent asks whether it may do something.
    Permission(Box<PermissionBody>),
    /// What a person answered to that.
    Answer(AnswerBody),
}

impl RowBody {
    /// The growing text that deltas append to, if this kind has one.
    #[must_use]
    pub fn growing(&self) -> Option<&str> {
        match self {
            Self::Text(body) | Self::Thought(body) => Some(&body.text),
            Self::Tool(body) => Some(&body.output),
            Self::Plan(_)
            | Self::Notice(_)
            | Self::Usage(_)
            | Self::Permission(_)
            | Self::Answer(_) => None,
        }
    }

    /// The same, to append to.
    pub fn growing_mut(&mut self) -> Option<&mut String> {
        match self {
            Self::Text(body) | Self::Thought(body) => Some(&mut body.text),
            Self::Tool(body) => Some(&mut body.output),
            Self::Plan(_)
            | Self::Notice(_)
            | Self::Usage(_)
            | Self::Permission(_)
            | Self::Answer(_) => None,
        }
    }

    /// The kind as a word, as on the wire.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Thought(_) => "thought",
            Self::Tool(_) => "tool",
            Self::Plan(_) => "plan",
            Self::Notice(_) => "notice",
            Self::Usage(_) => "usage",
            Self::Permission(_) => "permission",
            Self::Answer(_) => "answer",
        }
    }
}

/// Text that may still grow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TextBody {
    /// The text, at most [`INLINE_TEXT_LIMIT`] bytes.
    pub text: String,
    /// When it stopped growing; absent while it grows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// The whole text, when `text` is only its beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_ref: Option<BodyRef>,
    /// Bytes that were left out and are nowhere else.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub truncated_bytes: u64,
    /// Files that belong to it, for rows of people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<super::attachment::Attachment>,
    /// The prompt this row is, for rows of people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<crate::id::PromptId>,
    /// Who said it, for rows of people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<crate::id::UserId>,
}

#[cfg_attr(
    target_pointer_width = "64",
    expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde passes a reference"
    )
)]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// A body kept in object storage, named by its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BodyRef {
    /// Lower-case hexadecimal SHA-256 of the bytes.
    pub sha256: String,
    /// Length in bytes.
    pub bytes: u64,
}

/// What a tool does, in ACP's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ToolKind {
    /// Reads files or data.
    Read,
    /// Changes files.
    Edit,
    /// Removes files.
    Delete,
    /// Moves or renames files.
    Move,
    /// Searches.
    Search,
    /// Runs a command.
    Execute,
    /// Reasons.
    Think,
    /// Fetches from outside.
    Fetch,
    /// Anything else.
    #[default]
    #[serde(other)]
    Other,
}

/// Where a tool call stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ToolStatus {
    /// Announced, not begun.
    #[default]
    Pending,
    /// Running.
    InProgress,
    /// Done.
    Completed,
    /// Failed, and said so.
    Failed,
    /// It was running when its agent ended: nobody knows its outcome.
    Interrupted,
}

impl ToolStatus {
    /// Whether the call is over.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Interrupted)
    }
}

/// A tool call with everything a person needs to judge it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ToolBody {
    /// The tool's name where the agent says it, e.g. `edit_file`; else empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// One line for people.
    pub title: String,
    /// What it does.
    #[serde(rename = "tool_kind")]
    pub kind: ToolKind,
    /// Where it stands.
    pub status: ToolStatus,
    /// The arguments as compact JSON, bounded; empty when the agent gave none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub arguments: String,
    /// Files it touches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locations: Vec<Location>,
    /// Changes to files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diffs: Vec<FileDiff>,
    /// Output so far, at most [`INLINE_TEXT_LIMIT`] bytes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub output: String,
    /// The whole output, when `output` is only a part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_ref: Option<BodyRef>,
    /// Bytes of output that were left out and are nowhere else.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub truncated_bytes: u64,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
}

/// A place in the repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Location {
    /// Path relative to the repository's root.
    pub path: String,
    /// Line, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
}

/// A change to one file, as a unified diff without file headers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FileDiff {
    /// Path relative to the repository's root.
    pub path: String,
    /// Hunks (`@@ … @@` and lines), bounded.
    pub unified: String,
    /// Lines added.
    pub added: u32,
    /// Lines removed.
    pub removed: u32,
}

/// The agent's plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PlanBody {
    /// Its entries, in order.
    pub entries: Vec<PlanEntry>,
}

/// One entry of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PlanEntry {
    /// What is to be done.
    pub content: String,
    /// How far it is.
    pub status: PlanStatus,
}

/// How far a plan's entry is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum PlanStatus {
    /// Not begun.
    #[default]
    Pending,
    /// Under way.
    InProgress,
    /// Done.
    Completed,
}

/// How loud a notice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum NoticeLevel {
    /// For the record.
    Info,
    /// Worth a look.
    Warning,
    /// Something failed.
    Error,
    /// A person has to answer.
    Question,
}

/// Something SAM says in the conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NoticeBody {
    /// How loud.
    pub level: NoticeLevel,
    /// A stable snake_case word, e.g. `agent_died`.
    pub code: String,
    /// What happened.
    pub text: String,
    /// What the person can do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Tokens of one turn, as the agent or the model reported them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UsageBody {
    /// Tokens sent to the model.
    pub input_tokens: u64,
    /// Tokens the model wrote.
    pub output_tokens: u64,
    /// How long the turn took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took: Option<Millis>,
}

/// What an agent asks before it goes on: it waits for an answer, at most this
/// long, and then takes its default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PermissionBody {
    /// One line for people: what it wants to do.
    pub title: String,
    /// The tool's name where the agent says it; else empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// What kind of thing that is.
    #[serde(rename = "tool_kind", default)]
    pub tool: ToolKind,
    /// Its arguments as compact JSON, bounded; empty when the agent gave none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub arguments: String,
    /// The answers it offers.
    pub choices: Vec<PermissionChoice>,
    /// How long it waits, from the row's `created_at`.
    pub wait: Millis,
    /// The answer it gets when nobody answers in time; none cancels what it asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// Where it stands.
    #[serde(default)]
    pub state: PermissionState,
    /// The choice that counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen: Option<String>,
}

/// One answer that is offered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PermissionChoice {
    /// What it is answered by.
    pub id: String,
    /// Its words for people, the agent's own.
    pub label: String,
    /// What it means.
    pub means: ChoiceKind,
}

/// What an answer means, in ACP's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ChoiceKind {
    /// Yes, this time.
    AllowOnce,
    /// Yes, and do not ask again.
    AllowAlways,
    /// No, this time.
    RejectOnce,
    /// No, and do not ask again.
    RejectAlways,
    /// Something SAM does not know: only a person can choose it.
    #[default]
    #[serde(other)]
    Other,
}

impl ChoiceKind {
    /// Whether it lets the agent go on.
    #[must_use]
    pub const fn allows(self) -> bool {
        matches!(self, Self::AllowOnce | Self::AllowAlways)
    }

    /// Whether it holds the agent back.
    #[must_use]
    pub const fn rejects(self) -> bool {
        matches!(self, Self::RejectOnce | Self::RejectAlways)
    }
}

/// Where a question stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum PermissionState {
    /// The agent waits.
    #[default]
    Open,
    /// A person's answer reached it.
    Answered,
    /// Nobody answered in time; it got the default.
    Expired,
    /// It does not wait any more: its turn is over, or it is.
    Withdrawn,
}

impl PermissionState {
    /// The word on the wire.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Answered => "answered",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// A person's answer to a [`PermissionBody`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AnswerBody {
    /// The row that asks.
    pub permission: RowId,
    /// The choice.
    pub option: String,
    /// Its words.
    pub label: String,
    /// Who answered.
    pub by: crate::id::UserId,
}

/// A row as its writer on a node sends it; ProjectData adds `session`, `seq`
/// and `pos`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RowUpsert {
    /// The workspace's outbox number of this upsert; grows, with gaps where a
    /// newer upsert of the same row took an unsent one's place.
    pub n: u64,
    /// Its id.
    pub id: RowId,
    /// The version within the attempt.
    pub rev: u32,
    /// Agent or system; a person's rows are not written from a workspace.
    pub author: Author,
    /// When it began, by the node's clock.
    pub created_at: Timestamp,
    /// What it says.
    #[serde(flatten)]
    pub body: RowBody,
}

/// Two clocks that differ less tell the same time.
const CLOCK_TOLERANCE: Millis = Millis::minutes(1);

impl RowUpsert {
    /// Tells its moments by the reader's clock. `theirs` and `ours` are one
    /// moment by its writer's clock and by the reader's; without `theirs` only
    /// what lies in the future is put right.
    pub fn retime(&mut self, theirs: Option<Timestamp>, ours: Timestamp) {
        let theirs = theirs.filter(|theirs| {
            theirs.since(ours) > CLOCK_TOLERANCE || ours.since(*theirs) > CLOCK_TOLERANCE
        });
        self.created_at = by_clock(self.created_at, theirs, ours);
        let ended_at = match &mut self.body {
            RowBody::Text(body) | RowBody::Thought(body) => &mut body.ended_at,
            RowBody::Tool(body) => &mut body.ended_at,
            RowBody::Plan(_)
            | RowBody::Notice(_)
            | RowBody::Usage(_)
            | RowBody::Permission(_)
            | RowBody::Answer(_) => return,
        };
        *ended_at = ended_at.map(|at| by_clock(at, theirs, ours));
    }

    /// The stored row for this upsert.
    #[must_use]
    pub fn into_row(self, session: SessionId, attempt: u32, seq: u64, pos: u64) -> Row {
        Row {
            id: self.id,
            session,
            seq,
            pos,
            attempt,
            rev: self.rev,
            author: self.author,
            created_at: self.created_at,
            body: self.body,
        }
    }
}

/// A moment by our clock; see [`RowUpsert::retime`].
fn by_clock(at: Timestamp, theirs: Option<Timestamp>, ours: Timestamp) -> Timestamp {
    match theirs {
        Some(theirs) => Timestamp(ours.0.saturating_sub(theirs.since(at).0)),
        None if at.since(ours) > CLOCK_TOLERANCE => ours,
        None => at,
    }
}

/// Whether version `(attempt, rev)` comes after `(held_attempt, held_rev)`.
#[must_use]
pub const fn is_newer(attempt: u32, rev: u32, held_attempt: u32, held_rev: u32) -> bool {
    attempt > held_attempt || (attempt == held_attempt && rev > held_rev)
}

/// Cuts `text` to at most `limit` bytes at a character boundary and says how
/// many bytes were left out.
#[must_use]
pub fn truncate(text: &str, limit: usize) -> (&str, u64) {
    if text.len() <= limit {
        return (text, 0);
    }
    let mut end = limit;
    while end > 0 && !text.is_char_boundary(end) {
        end -= 1;
    }
    let kept = text.get(..end).unwrap_or_default();
    (kept, (text.len() - kept.len()) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Id as _;

    #[test]
    fn a_row_is_dated_by_the_readers_clock() {
        const DAY: u64 = 24 * 60 * 60 * 1000;
        let now = 100 * DAY;
        let check = |theirs: Option<u64>, created: u64, ended: u64, expect: (u64, u64)| {
            let mut row = RowUpsert {
                n: 1,
                id: RowId::mint(Timestamp(1), 1),
                rev: 1,
                author: Author::Agent,
                created_at: Timestamp(created),
                body: RowBody::Text(TextBody {
                    ended_at: Some(Timestamp(ended)),
                    ..TextBody::default()
                }),
            };
            row.retime(theirs.map(Timestamp), Timestamp(now));
            let RowBody::Text(body) = row.body else {
                return;
            };
            assert_eq!(
                (row.created_at.0, body.ended_at.map(|at| at.0)),
                (expect.0, Some(expect.1))
            );
        };
        // A clock that agrees is taken at its word, also for what is long past.
        check(Some(now + 900), now - DAY, now + 5, (now - DAY, now + 5));
        // One that does not says only how long ago it was.
        for off in [now + DAY, now - DAY] {
            check(Some(off), off - 7000, off - 1000, (now - 7000, now - 1000));
            check(Some(off), off + 1, off + 2, (now, now));
        }
        check(Some(u64::MAX), 0, u64::MAX, (0, now));
        // One that does not say what time it has may not be ahead of ours.
        check(None, now - DAY, now + DAY, (now - DAY, now));
    }
}

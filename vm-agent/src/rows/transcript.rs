//! What an agent says, as rows.
//!
//! Model: chunks of one kind grow one row until something else is said; a tool
//! call is one row from its announcement to its end; a plan is one row,
//! replaced as a whole. A row gets a new version when it is created, when its
//! status changes, every [`STORE_EVERY`] while it grows, and when it ends.
//!
//! Between versions a growing row is kept as it is by then ([`Transcript::kept`]),
//! for the day the vm-agent dies: that costs the local disk alone.
//!
//! Between versions a growing row also has deltas. They extend the newest version
//! the control plane is known to have ([`Transcript::stored`]), because that is
//! what those who watch hold: a delta that was based on a version still under
//! way would be ignored by all of them.
//!
//! No I/O and no clock. It does not know where rows go.

use super::ends::Ends;
use super::tool;
use super::{BODY_LIMIT, body};
use crate::secret::redact;
use crate::store::RowVersion;
use sam_acp::{AgentUpdate, Block, Chunk, PromptOutcome, StopReason, ToolCall, ToolCallUpdate};
use sam_domain::conversation::row::{
    Author, INLINE_TEXT_LIMIT, NoticeBody, NoticeLevel, PermissionState, PlanBody, PlanEntry,
    PlanStatus, RowBody, TextBody, ToolStatus, UsageBody, truncate,
};
use sam_domain::conversation::wire::LiveDelta;
use sam_domain::id::{Id, RowId};
use sam_domain::time::{Millis, Timestamp, Turn};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// How often a growing row is stored.
pub(crate) const STORE_EVERY: Millis = Millis::seconds(5);
/// Calls that ended are kept for late updates unless they are longer than this.
const KEEP_ENDED_BYTES: usize = 256 * 1024;
const PLAN_ENTRIES: usize = 100;
const PLAN_ENTRY_BYTES: usize = 1000;
/// Notices of its own that an agent may have in one turn; more are left out.
const AGENT_NOTICES: usize = 100;
const NOTICE_BYTES: usize = 1000;
const WORD_BYTES: usize = 64;

/// A growing or changeable row.
#[derive(Debug)]
struct Open {
    id: RowId,
    rev: u32,
    created_at: Timestamp,
    versioned_at: Timestamp,
    /// Changed since its newest version.
    dirty: bool,
    /// Changed since it was last kept.
    unkept: bool,
    /// Length of the growing text in each version not yet known to be stored.
    lengths: BTreeMap<u32, usize>,
    /// The newest stored version that deltas may extend, and the length that
    /// those who watch hold by now.
    base: Option<(u32, usize)>,
    /// Versions before this one are no base: the text was not only appended to.
    base_from: u32,
}

impl Open {
    fn new(turn: &mut Turn) -> Self {
        Self {
            id: RowId::draw(turn),
            rev: 0,
            created_at: turn.now,
            versioned_at: turn.now,
            dirty: false,
            unkept: false,
            lengths: BTreeMap::new(),
            base: None,
            base_from: 1,
        }
    }

    fn version(&mut self, now: Timestamp, author: Author, body: RowBody, open: bool) -> RowVersion {
        self.rev += 1;
        self.versioned_at = now;
        self.dirty = false;
        self.unkept = false;
        let length = body.growing().map_or(0, str::len);
        self.lengths.insert(self.rev, length);
        RowVersion {
            id: self.id.clone(),
            rev: self.rev,
            author,
            created_at: self.created_at,
            body,
            open,
            bodies: Vec::new(),
        }
    }

    fn changed(&mut self) {
        self.dirty = true;
        self.unkept = true;
    }

    /// The newest version with what it would say now, if it says more by now.
    fn kept(&mut self, author: Author, body: impl FnOnce() -> RowBody) -> Option<RowVersion> {
        if !std::mem::take(&mut self.unkept) || self.rev == 0 {
            return None;
        }
        Some(RowVersion {
            id: self.id.clone(),
            rev: self.rev,
            author,
            created_at: self.created_at,
            body: body(),
            open: true,
            bodies: Vec::new(),
        })
    }

    fn due(&self, now: Timestamp) -> bool {
        // A clock that was set back has not stopped.
        let due = now < self.versioned_at || now.since(self.versioned_at) >= STORE_EVERY;
        self.dirty && due
    }

    fn stored(&mut self, rev: u32) {
        if let Some(length) = self.lengths.get(&rev).copied()
            && rev >= self.base_from
            && self.base.is_none_or(|(held, _)| rev > held)
        {
            self.base = Some((rev, length));
        }
        self.lengths.retain(|held, _| *held > rev);
    }

    /// The text changed otherwise than by growing: wait for the next version.
    fn rebase(&mut self) {
        self.base = None;
        self.base_from = self.rev + 1;
    }

    fn delta(&mut self, text: &str) -> Option<LiveDelta> {
        let (rev, held) = self.base?;
        let append = text.get(held..).filter(|append| !append.is_empty())?;
        self.base = Some((rev, text.len()));
        Some(LiveDelta {
            row: self.id.clone(),
            rev,
            at: held as u64,
            append: append.to_owned(),
        })
    }
}

/// Words or thoughts.
#[derive(Debug)]
struct Words {
    open: Open,
    thought: bool,
    message: Option<String>,
    text: String,
    lost: u64,
}

impl Words {
    fn inline(&self) -> &str {
        truncate(&self.text, INLINE_TEXT_LIMIT).0
    }

    fn version(&mut self, now: Timestamp, ended: bool) -> RowVersion {
        let mut bodies = Vec::new();
        let mut text = TextBody {
            text: self.inline().to_owned(),
            ended_at: ended.then_some(now),
            truncated_bytes: self.lost,
            ..TextBody::default()
        };
        if ended && self.text.len() > text.text.len() {
            let (reference, stored) = body(std::mem::take(&mut self.text).into_bytes());
            text.body_ref = Some(reference);
            bodies.push(stored);
        }
        let body = said(self.thought, text);
        let mut version = self.open.version(now, Author::Agent, body, !ended);
        version.bodies = bodies;
        version
    }
}

fn said(thought: bool, text: TextBody) -> RowBody {
    if thought {
        RowBody::Thought(text)
    } else {
        RowBody::Text(text)
    }
}

/// A tool call.
#[derive(Debug)]
struct Tool {
    open: Open,
    call: ToolCall,
    streamed: Ends,
    ended_at: Option<Timestamp>,
}

impl Tool {
    fn ended(&self) -> bool {
        matches!(
            self.call.status,
            sam_acp::ToolStatus::Completed | sam_acp::ToolStatus::Failed
        )
    }

    fn version(&mut self, now: Timestamp, root: &std::path::Path, interrupted: bool) -> RowVersion {
        let ended = self.ended() || interrupted;
        if ended {
            self.ended_at.get_or_insert(now);
        }
        let tool::Rendered { mut body, bodies } = tool::render(&self.call, &self.streamed, root);
        body.ended_at = self.ended_at;
        if interrupted && !self.ended() {
            body.status = ToolStatus::Interrupted;
        }
        // Bodies are named at the end only: a growing output would leave one behind each time.
        let bodies = if ended {
            bodies
        } else {
            body.output_ref = None;
            Vec::new()
        };
        let row = RowBody::Tool(Box::new(body));
        let mut version = self.open.version(now, Author::Agent, row, !ended);
        version.bodies = bodies;
        version
    }
}

/// The rows of one agent session.
#[derive(Debug)]
pub(super) struct Transcript {
    root: PathBuf,
    words: Option<Words>,
    tools: BTreeMap<String, Tool>,
    /// Calls that are over: their rows change no more, whatever comes late.
    over: BTreeSet<String>,
    plan: Option<(Open, PlanBody)>,
    /// What the agent said of its own condition, by its ids.
    notices: BTreeMap<String, (Open, NoticeBody)>,
}

impl Transcript {
    /// A tool call as the agent has told it so far.
    pub(super) fn told_of(&self, id: &str) -> Option<&ToolCall> {
        self.tools.get(id).map(|tool| &tool.call)
    }

    /// For an agent that works in `root`.
    pub(super) fn new(root: PathBuf) -> Self {
        Self {
            root,
            words: None,
            tools: BTreeMap::new(),
            over: BTreeSet::new(),
            plan: None,
            notices: BTreeMap::new(),
        }
    }

    /// Takes in an update.
    pub(super) fn update(&mut self, turn: &mut Turn, update: AgentUpdate) -> Vec<RowVersion> {
        match update {
            AgentUpdate::Message(chunk) => self.chunk(turn, chunk, false),
            AgentUpdate::Thought(chunk) => self.chunk(turn, chunk, true),
            AgentUpdate::ToolCall(call) => self.announced(turn, call),
            AgentUpdate::ToolCallUpdate(update) => self.changed(turn, update),
            AgentUpdate::Plan { entries } => self.planned(turn, entries),
            AgentUpdate::Notice(notice) => self.noticed(turn, &notice),
            // A replay by a load, or nothing that a conversation shows.
            AgentUpdate::UserMessage(_)
            | AgentUpdate::ContextUsage(_)
            | AgentUpdate::Mode { .. }
            | AgentUpdate::ConfigOptions { .. }
            | AgentUpdate::Commands { .. }
            | AgentUpdate::SessionInfo { .. }
            | AgentUpdate::Unknown { .. } => Vec::new(),
        }
    }

    fn chunk(&mut self, turn: &mut Turn, chunk: Chunk, thought: bool) -> Vec<RowVersion> {
        let piece = match &chunk.block {
            Block::Text { text } => text.clone(),
            Block::Other { raw } => {
                let kind = raw.get("type").and_then(serde_json::Value::as_str);
                format!("[{} is not shown here]", kind.unwrap_or("content"))
            }
        };
        if piece.is_empty() {
            return Vec::new();
        }
        let mut out = Vec::new();
        let continues = self.words.as_ref().is_some_and(|words| {
            words.thought == thought
                && (chunk.message_id.is_none() || words.message == chunk.message_id)
        });
        if !continues {
            out.extend(self.end_words(turn.now));
        }
        let words = self.words.get_or_insert_with(|| Words {
            open: Open::new(turn),
            thought,
            message: chunk.message_id,
            text: String::new(),
            lost: 0,
        });
        let room = BODY_LIMIT.saturating_sub(words.text.len());
        let (kept, lost) = truncate(&piece, room);
        words.text.push_str(kept);
        words.lost += lost;
        words.open.changed();
        if words.open.rev == 0 || words.open.due(turn.now) {
            out.push(words.version(turn.now, false));
        }
        out
    }

    fn end_words(&mut self, now: Timestamp) -> Option<RowVersion> {
        self.words.take().map(|mut words| words.version(now, true))
    }

    fn announced(&mut self, turn: &mut Turn, call: ToolCall) -> Vec<RowVersion> {
        if self.over.contains(&call.id) {
            return Vec::new();
        }
        if let Some(tool) = self.tools.get_mut(&call.id) {
            // Announced twice: the second says what it is now.
            let id = call.id.clone();
            let before = tool::output(&tool.call, &tool.streamed).0;
            tool.call = call;
            return self.touched(turn.now, &id, &before, true);
        }
        let mut out: Vec<_> = self.end_words(turn.now).into_iter().collect();
        let id = call.id.clone();
        let mut tool = Tool {
            open: Open::new(turn),
            call,
            streamed: Ends::default(),
            ended_at: None,
        };
        out.push(tool.version(turn.now, &self.root, false));
        self.tools.insert(id.clone(), tool);
        self.forget_if_long(&id);
        out
    }

    fn changed(&mut self, turn: &mut Turn, update: ToolCallUpdate) -> Vec<RowVersion> {
        if self.over.contains(&update.id) {
            return Vec::new();
        }
        let id = update.id.clone();
        let Some(tool) = self.tools.get_mut(&id) else {
            return self.announced(turn, update.into_tool_call());
        };
        let before = tool::output(&tool.call, &tool.streamed).0;
        let was = (tool.call.status, shape(&tool.call));
        if let Some(more) = update.terminal_output() {
            tool.streamed.push(more);
        }
        tool.call.apply(update);
        let telling = was != (tool.call.status, shape(&tool.call));
        self.touched(turn.now, &id, &before, telling)
    }

    /// A call changed: store it now when a person would want to know now.
    fn touched(
        &mut self,
        now: Timestamp,
        id: &str,
        before: &str,
        telling: bool,
    ) -> Vec<RowVersion> {
        let Some(tool) = self.tools.get_mut(id) else {
            return Vec::new();
        };
        let after = tool::output(&tool.call, &tool.streamed).0;
        if after.len() > INLINE_TEXT_LIMIT || !after.starts_with(before) {
            tool.open.rebase();
        }
        tool.open.changed();
        if !(telling || tool.ended() || tool.open.due(now)) {
            return Vec::new();
        }
        let version = tool.version(now, &self.root, false);
        self.forget_if_long(id);
        vec![version]
    }

    fn forget_if_long(&mut self, id: &str) {
        let long = self.tools.get(id).is_some_and(|tool| {
            tool.ended() && tool.streamed.len() + bytes(&tool.call) > KEEP_ENDED_BYTES
        });
        if long {
            self.tools.remove(id);
            self.over.insert(id.to_owned());
        }
    }

    fn planned(&mut self, turn: &mut Turn, entries: Vec<sam_acp::PlanEntry>) -> Vec<RowVersion> {
        let plan = PlanBody {
            entries: entries
                .into_iter()
                .take(PLAN_ENTRIES)
                .map(|entry| PlanEntry {
                    content: truncate(&entry.content, PLAN_ENTRY_BYTES).0.to_owned(),
                    status: match entry.status {
                        sam_acp::PlanStatus::Pending => PlanStatus::Pending,
                        sam_acp::PlanStatus::InProgress => PlanStatus::InProgress,
                        sam_acp::PlanStatus::Completed => PlanStatus::Completed,
                    },
                })
                .collect(),
        };
        let (open, held) = self
            .plan
            .get_or_insert_with(|| (Open::new(turn), PlanBody::default()));
        if open.rev > 0 && *held == plan {
            return Vec::new();
        }
        held.clone_from(&plan);
        // A plan says itself how far it is; nothing has to end it.
        vec![open.version(turn.now, Author::Agent, RowBody::Plan(plan), false)]
    }

    /// A notice is one row, replaced when the agent says more of the same.
    fn noticed(&mut self, turn: &mut Turn, said: &sam_acp::Notice) -> Vec<RowVersion> {
        let known = self.notices.contains_key(&said.id);
        if !known && self.notices.len() >= AGENT_NOTICES {
            return Vec::new();
        }
        let text = |text: &str| redact(truncate(text, NOTICE_BYTES).0);
        let body = NoticeBody {
            level: match said.level {
                sam_acp::NoticeLevel::Info => NoticeLevel::Info,
                sam_acp::NoticeLevel::Warning => NoticeLevel::Warning,
                sam_acp::NoticeLevel::Error => NoticeLevel::Error,
            },
            code: word(&said.code).unwrap_or_else(|| "agent_notice".to_owned()),
            text: text(&said.text),
            hint: said.hint.as_deref().map(text),
        };
        let (open, held) = self
            .notices
            .entry(said.id.clone())
            .or_insert_with(|| (Open::new(turn), body.clone()));
        if open.rev > 0 && *held == body {
            return Vec::new();
        }
        held.clone_from(&body);
        vec![open.version(turn.now, Author::Agent, RowBody::Notice(body), false)]
    }

    /// Time went by: rows that have grown long enough.
    pub(super) fn tick(&mut self, now: Timestamp) -> Vec<RowVersion> {
        let mut out = Vec::new();
        if let Some(words) = self.words.as_mut().filter(|words| words.open.due(now)) {
            out.push(words.version(now, false));
        }
        for tool in self.tools.values_mut().filter(|tool| tool.open.due(now)) {
            out.push(tool.version(now, &self.root, false));
        }
        out
    }

    /// Rows as they are by now, where they have changed since they were last kept. A text that
    /// is longer than a row says how much of it would be lost.
    pub(super) fn kept(&mut self) -> Vec<RowVersion> {
        let mut out = Vec::new();
        if let Some(words) = self.words.as_mut() {
            let inline = words.inline().to_owned();
            let beyond = words.text.len() - inline.len();
            let (thought, lost) = (words.thought, words.lost + beyond as u64);
            out.extend(words.open.kept(Author::Agent, || {
                said(
                    thought,
                    TextBody {
                        text: inline,
                        truncated_bytes: lost,
                        ..TextBody::default()
                    },
                )
            }));
        }
        for tool in self.tools.values_mut().filter(|tool| !tool.ended()) {
            let (call, streamed) = (&tool.call, &tool.streamed);
            out.extend(tool.open.kept(Author::Agent, || {
                let tool::Rendered { mut body, .. } = tool::render(call, streamed, &self.root);
                body.output_ref = None;
                RowBody::Tool(Box::new(body))
            }));
        }
        out
    }

    /// Whether anything has grown since its newest version.
    pub(super) fn growing(&self) -> bool {
        self.words.as_ref().is_some_and(|words| words.open.dirty)
            || self.tools.values().any(|tool| tool.open.dirty)
    }

    /// The control plane has this version of the row.
    pub(super) fn stored(&mut self, row: &RowId, rev: u32) {
        let words = self.words.as_mut().map(|words| &mut words.open);
        let tools = self.tools.values_mut().map(|tool| &mut tool.open);
        if let Some(open) = words.into_iter().chain(tools).find(|open| open.id == *row) {
            open.stored(rev);
        }
    }

    /// What those who watch do not have yet.
    pub(super) fn deltas(&mut self) -> Vec<LiveDelta> {
        let mut out = Vec::new();
        if let Some(words) = self.words.as_mut() {
            let text = truncate(&words.text, INLINE_TEXT_LIMIT).0;
            out.extend(words.open.delta(text));
        }
        for tool in self.tools.values_mut().filter(|tool| !tool.ended()) {
            if tool.open.base.is_some() {
                let text = tool::output(&tool.call, &tool.streamed).0;
                // A longer one is shown with its middle left out: it does not grow at its end.
                if text.len() <= INLINE_TEXT_LIMIT {
                    out.extend(tool.open.delta(&text));
                }
            }
        }
        out
    }

    /// Whether a call was announced that has not ended.
    pub(super) fn calling(&self) -> bool {
        self.tools.values().any(|tool| !tool.ended())
    }

    /// The turn is over: ends every row. A call that never said how it ended is
    /// completed with a turn that ended well, and interrupted with any other.
    pub(super) fn end(&mut self, turn: &mut Turn, end: &TurnEnd<'_>) -> Vec<RowVersion> {
        let mut out: Vec<_> = self.end_words(turn.now).into_iter().collect();
        let well = matches!(end, TurnEnd::Finished(outcome, _) if outcome.stop_reason == StopReason::EndTurn);
        for (id, mut tool) in std::mem::take(&mut self.tools) {
            let ended = tool.ended();
            if !ended && well {
                tool.call.status = sam_acp::ToolStatus::Completed;
            }
            if !ended || tool.open.dirty {
                out.push(tool.version(turn.now, &self.root, !well));
            }
            self.over.insert(id);
        }
        self.plan = None;
        self.notices.clear();
        if let TurnEnd::Finished(
            PromptOutcome {
                usage: Some(usage), ..
            },
            took,
        ) = end
        {
            let said = RowBody::Usage(UsageBody {
                input_tokens: usage.input,
                output_tokens: usage.output,
                took: Some(*took),
            });
            out.push(Open::new(turn).version(turn.now, Author::System, said, false));
        }
        out
    }
}

/// How a turn ended, as far as its rows care.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TurnEnd<'a> {
    /// The agent answered, after this time.
    Finished(&'a PromptOutcome, Millis),
    /// The agent is gone, or gave no answer.
    Stopped,
}

/// What of a call is shown besides its output: a change in it is worth a version.
fn shape(call: &ToolCall) -> (bool, usize, usize) {
    let diffs = call
        .content
        .iter()
        .filter(|item| matches!(item, sam_acp::ToolContent::Diff { .. }))
        .count();
    (call.raw_input.is_some(), call.locations.len(), diffs)
}

fn bytes(call: &ToolCall) -> usize {
    let content: usize = call
        .content
        .iter()
        .map(|item| match item {
            sam_acp::ToolContent::Text { text } => text.len(),
            sam_acp::ToolContent::Diff { old, new, .. } => {
                new.len() + old.as_ref().map_or(0, String::len)
            }
            sam_acp::ToolContent::Terminal { .. } | sam_acp::ToolContent::Unknown { .. } => 0,
        })
        .sum();
    content
        + call
            .raw_input
            .iter()
            .chain(&call.raw_output)
            .map(|value| value.to_string().len())
            .sum::<usize>()
}

/// A word for programs, if it is one.
pub(crate) fn word(text: &str) -> Option<String> {
    let fits = (1..=WORD_BYTES).contains(&text.len())
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    fits.then(|| text.to_owned())
}

/// A row of SAM's own.
pub(crate) fn notice(turn: &mut Turn, level: NoticeLevel, code: &str, text: &str) -> RowVersion {
    let said = RowBody::Notice(NoticeBody {
        level,
        code: code.to_owned(),
        text: text.to_owned(),
        hint: None,
    });
    let now = turn.now;
    Open::new(turn).version(now, Author::System, said, false)
}

/// Ends a row that was growing when the vm-agent died, from its newest version.
pub(crate) fn close(row: sam_domain::conversation::row::RowUpsert, now: Timestamp) -> RowVersion {
    let mut said = row.body;
    match &mut said {
        RowBody::Text(text) | RowBody::Thought(text) => {
            text.ended_at.get_or_insert(now);
        }
        RowBody::Tool(tool) => {
            if !tool.status.is_terminal() {
                tool.status = ToolStatus::Interrupted;
            }
            tool.ended_at.get_or_insert(now);
        }
        RowBody::Permission(asked) => asked.state = PermissionState::Withdrawn,
        RowBody::Plan(_) | RowBody::Notice(_) | RowBody::Usage(_) | RowBody::Answer(_) => {}
    }
    RowVersion {
        id: row.id,
        rev: row.rev + 1,
        author: row.author,
        created_at: row.created_at,
        body: said,
        open: false,
        bodies: Vec::new(),
    }
}

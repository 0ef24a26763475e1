//! What a conversation remembers, without its rows.

use super::{
    CONTEXT_LIMIT, QUEUED_BYTES, QUEUED_PROMPTS, REMEMBERED_ANSWERS, REMEMBERED_PROMPTS,
    REMEMBERED_WORKSPACES, UTTERANCE_LIMIT,
};
use crate::actor::message::TaskIntent;
use crate::conversation::attachment::PromptBody;
use crate::conversation::row::{Author, truncate};
use crate::conversation::wire::{Activity, PromptState, PromptView, SessionView};
use crate::id::{PromptId, RowId, SessionId, TaskId, UserId, WorkspaceId};
use crate::task::TaskState;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// A conversation's memory, without its rows. The default is one nobody began.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// What it began with; absent until then.
    pub begun: Option<Begun>,
    /// The newest task.
    pub task: Option<LiveTask>,
    /// Prompts that are queued or in flight, and the last ones that ended.
    pub prompts: Vec<Prompt>,
    /// Workspaces that write rows, newest last.
    pub workspaces: Vec<BoundWorkspace>,
    /// Rows a task waits for.
    pub awaiting: Option<AwaitedRows>,
    /// What was said, for an agent that starts afresh; bounded.
    pub said: VecDeque<Utterance>,
    /// What the agent does.
    pub activity: Option<Activity>,
    /// Questions of the agent's that were answered, newest last.
    #[serde(default)]
    pub answers: VecDeque<Answer>,
    /// The first of the conversations that do the same work, where it is one of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparison: Option<SessionId>,
    /// Whether it is the one of them that was chosen.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub chosen: bool,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// Grows with every visible change.
    pub rev: u64,
}

/// What a conversation began with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// The first task's intent; follow-up tasks are made after it.
    pub intent: TaskIntent,
}

/// The newest task, as far as the conversation has to know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveTask {
    /// Which.
    pub id: TaskId,
    /// Where it stands, as it last said.
    pub state: TaskState,
}

/// A prompt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prompt {
    /// Its id.
    pub id: PromptId,
    /// The row that shows its words.
    pub row: RowId,
    /// The words; dropped when it is over.
    pub text: String,
    /// The whole of them, when `text` is only their beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<PromptBody>,
    /// Who sent it.
    pub by: UserId,
    /// Whose pool a task that begins with it draws on; the sender's own when absent.
    #[serde(default)]
    pub pool: Option<UserId>,
    /// When it was sent.
    #[serde(default)]
    pub at: Timestamp,
    /// How often its words were changed.
    #[serde(default)]
    pub edits: u32,
    /// Whether SAM said it by itself, and no person.
    #[serde(default)]
    pub automatic: bool,
    /// Where it stands.
    pub state: PromptState,
    /// How the agent said it stopped.
    pub stop_reason: Option<String>,
}

/// A workspace that writes rows of this conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoundWorkspace {
    /// Which.
    pub workspace: WorkspaceId,
    /// For which task.
    pub task: TaskId,
    /// Under which attempt.
    pub attempt: u32,
}

/// A question of the agent's that was answered: no other answer counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The row that asked.
    pub permission: RowId,
    /// The row that shows the answer.
    pub row: RowId,
    /// The choice.
    pub option: String,
    /// Who made it.
    pub by: UserId,
}

/// Rows a task waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AwaitedRows {
    /// The task that waits.
    pub task: TaskId,
    /// The prompt they belong to.
    pub prompt: PromptId,
    /// The workspace that writes them.
    pub workspace: WorkspaceId,
    /// The number to reach.
    pub through: u64,
}

/// One thing that was said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Utterance {
    /// By whom.
    pub author: Author,
    /// What, cut to a bound.
    pub text: String,
}

impl Prompt {
    /// The prompt as shown.
    #[must_use]
    pub fn view(&self) -> PromptView {
        PromptView {
            id: self.id.clone(),
            row: self.row.clone(),
            state: self.state,
            by: self.by.clone(),
            stop_reason: self.stop_reason.clone(),
        }
    }
}

impl Session {
    /// The conversation as others see it; absent until it began.
    #[must_use]
    pub fn view(&self) -> Option<SessionView> {
        let intent = &self.begun.as_ref()?.intent;
        Some(SessionView {
            id: intent.session.clone(),
            project: intent.project.clone(),
            title: intent.title.clone(),
            created_at: intent.created_at,
            updated_at: self.updated_at,
            task: self
                .task
                .as_ref()
                .map_or_else(|| intent.task.clone(), |task| task.id.clone()),
            prompts: self.prompts.iter().map(Prompt::view).collect(),
            activity: self.activity.clone(),
            comparison: self.comparison.clone(),
            chosen: self.chosen,
            rev: self.rev,
        })
    }

    /// Whether rows of this workspace are taken under this attempt.
    #[must_use]
    pub fn takes_rows_from(&self, workspace: &WorkspaceId, attempt: u32) -> bool {
        let Some(bound) = self
            .workspaces
            .iter()
            .find(|bound| bound.workspace == *workspace)
        else {
            return false;
        };
        let newest = self
            .workspaces
            .iter()
            .filter(|b| b.task == bound.task)
            .map(|b| b.attempt)
            .max();
        bound.attempt == attempt && newest == Some(attempt)
    }

    /// Whether a task waits for rows of this workspace.
    #[must_use]
    pub fn awaits_rows_from(&self, workspace: &WorkspaceId) -> bool {
        self.awaiting
            .as_ref()
            .is_some_and(|awaited| awaited.workspace == *workspace)
    }

    /// Whether the queue takes these words: it is bounded in number and in bytes.
    #[must_use]
    pub fn has_room_for(&self, text: &str) -> bool {
        let queued = self
            .prompts
            .iter()
            .filter(|prompt| prompt.state == PromptState::Queued);
        let (count, bytes) = queued.fold((0, text.len()), |(count, bytes), prompt| {
            (count + 1, bytes + prompt.text.len())
        });
        count < QUEUED_PROMPTS && bytes <= QUEUED_BYTES
    }

    /// The prompt with this id, while it is remembered.
    #[must_use]
    pub fn prompt(&self, id: &PromptId) -> Option<&Prompt> {
        self.prompts.iter().find(|prompt| prompt.id == *id)
    }

    /// The answer that counts, if this question was answered.
    #[must_use]
    pub fn answer_to(&self, permission: &RowId) -> Option<&Answer> {
        self.answers
            .iter()
            .find(|answer| answer.permission == *permission)
    }

    /// Whether a prompt is on its way or at work.
    #[must_use]
    pub fn in_flight(&self) -> Option<&Prompt> {
        self.prompts
            .iter()
            .find(|prompt| matches!(prompt.state, PromptState::Sent | PromptState::Running))
    }

    pub(super) fn bound(&mut self) {
        let ended = self
            .prompts
            .iter()
            .filter(|prompt| prompt.state.is_terminal())
            .count();
        let mut drop = ended.saturating_sub(REMEMBERED_PROMPTS);
        self.prompts.retain(|prompt| {
            let gone = prompt.state.is_terminal() && drop > 0;
            drop -= usize::from(gone);
            !gone
        });
        let excess = self.answers.len().saturating_sub(REMEMBERED_ANSWERS);
        self.answers.drain(..excess);
        let excess = self.workspaces.len().saturating_sub(REMEMBERED_WORKSPACES);
        self.workspaces.drain(..excess);
        let mut bytes: usize = self.said.iter().map(|said| said.text.len()).sum();
        while bytes > CONTEXT_LIMIT {
            bytes -= self.said.pop_front().map_or(bytes, |said| said.text.len());
        }
    }

    pub(super) fn remember(&mut self, author: Author, text: &str) {
        let (text, _) = truncate(text, UTTERANCE_LIMIT);
        self.said.push_back(Utterance {
            author,
            text: text.to_owned(),
        });
    }

    /// What was said so far, for an agent that was not there.
    pub(super) fn context(&self) -> String {
        let mut context = String::new();
        for said in &self.said {
            let who = match said.author {
                Author::Person => "Person",
                Author::Agent | Author::System => "Agent",
            };
            context.push_str(who);
            context.push_str(": ");
            context.push_str(&said.text);
            context.push_str("\n\n");
        }
        context
    }
}

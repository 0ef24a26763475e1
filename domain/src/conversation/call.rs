//! What the Worker asks of ProjectData.
//!
//! Each call is one JSON value `POST`ed to the object and answered with its
//! reply or an [`ApiError`](crate::error::ApiError). Authorisation happened
//! before: a call carries who it is for, never a token.

use super::attachment::PromptBody;
use super::wire::{
    AnswerAccepted, AnswerPermission, MessagePage, PromptAccepted, SendPrompt, SessionList,
    SessionView, SubmitTask, Submitted, TaskList,
};
use crate::id::{ProjectId, PromptId, RowId, SessionId, TaskId, UserId};
use serde::{Deserialize, Serialize};

/// A request that repeats harmlessly: the client's key and the hash of the
/// body it came with. The same key with another body is 409.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idempotency {
    /// The client's key, at most 200 characters; unique per person, project and route.
    pub key: String,
    /// Lower-case hexadecimal SHA-256 of the request's body.
    pub body_sha256: String,
}

/// A call to ProjectData.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProjectCall {
    /// Submit a task. Reply: [`Submitted`].
    Submit {
        /// The project.
        project: ProjectId,
        /// Who.
        by: UserId,
        /// The project's repository.
        repository: String,
        /// The agent when the request names none.
        default_agent: String,
        /// Whose pool it draws on; the person's own when absent.
        pool: Option<UserId>,
        /// The client's key.
        idempotency: Idempotency,
        /// The request.
        request: SubmitTask,
        /// The whole of the words, when the request has only their beginning.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<PromptBody>,
    },
    /// Do a task's work again from the beginning, as a new task in a conversation of its own. Reply:
    /// [`Submitted`]; 409 `continues_conversation` when it is not the task its conversation began
    /// with. Whoever asks has seen that the task is over.
    Retry {
        /// The task.
        task: TaskId,
        /// Its conversation.
        session: SessionId,
        /// Who.
        by: UserId,
        /// Whose pool it draws on; the person's own when absent.
        pool: Option<UserId>,
        /// The client's key.
        idempotency: Idempotency,
    },
    /// Send a prompt. Reply: [`PromptAccepted`].
    SendPrompt {
        /// The project.
        project: ProjectId,
        /// The conversation.
        session: SessionId,
        /// Who.
        by: UserId,
        /// Whose pool a task that begins with it draws on; the person's own when absent.
        pool: Option<UserId>,
        /// The client's key.
        idempotency: Idempotency,
        /// The request.
        request: SendPrompt,
        /// The whole of the words, when the request has only their beginning.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<PromptBody>,
    },
    /// Change the words of a queued prompt. Reply:
    /// [`PromptView`](super::wire::PromptView); 409 `already_sent` when it is too
    /// late, 403 `not_your_prompt` when it is another's.
    EditPrompt {
        /// The conversation.
        session: SessionId,
        /// Which.
        prompt: PromptId,
        /// Who may do it.
        by: Editor,
        /// The new words.
        request: SendPrompt,
        /// The whole of the words, when the request has only their beginning.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<PromptBody>,
    },
    /// Take back a queued prompt. Reply: [`Done`]; 409 `already_sent` when it is too late, 403
    /// `not_your_prompt` when it is another's.
    RemovePrompt {
        /// The conversation.
        session: SessionId,
        /// Which.
        prompt: PromptId,
        /// Who may do it.
        by: Editor,
    },
    /// Answer what the agent asked. Reply: [`AnswerAccepted`]; 409 `already_answered` when another
    /// answer came first, 409 `permission_closed` when the agent waits no more, 422
    /// `unknown_choice`.
    AnswerPermission {
        /// The conversation.
        session: SessionId,
        /// The row that asks.
        permission: RowId,
        /// Who.
        by: UserId,
        /// The request.
        request: AnswerPermission,
    },
    /// Stop the current turn. Reply: [`Done`]; 409 `nothing_running`.
    CancelTurn {
        /// The conversation.
        session: SessionId,
    },
    /// What does the same work as a conversation. Reply: a line for each candidate, which is its newest
    /// task, a space, and the candidate as JSON without its usage and its closing brace.
    GetComparison(SessionId),
    /// Choose a conversation of those that do the same work, as this person. Reply: [`Done`].
    Choose(SessionId, UserId),
    /// Reply: [`SessionView`].
    GetSession {
        /// Which.
        session: SessionId,
    },
    /// Reply: [`TaskList`].
    ListTasks {
        /// Older than this one.
        before: Option<TaskId>,
        /// At most 100.
        limit: u32,
    },
    /// Reply: [`SessionList`].
    ListSessions {
        /// Older than this one.
        before: Option<SessionId>,
        /// At most 100.
        limit: u32,
    },
    /// Reply: [`MessagePage`]. With neither bound: the newest page.
    ListMessages {
        /// The conversation.
        session: SessionId,
        /// Rows before this row.
        before: Option<RowId>,
        /// Rows after this row.
        after: Option<RowId>,
        /// At most 500; pages are also bounded by bytes.
        limit: u32,
    },
    /// Close sockets: what they were opened with has ended. Reply: [`Done`].
    CloseSockets {
        /// Whose.
        of: SocketOwner,
    },
}

/// A person who changes what waits in a queue: their own, or with `any` everybody's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Editor {
    /// Who.
    pub user: UserId,
    /// Whether their role reaches others' prompts.
    pub any: bool,
}

impl Editor {
    /// Whether they may change what this person sent.
    #[must_use]
    pub fn may_change(&self, by: &UserId) -> bool {
        self.any || self.user == *by
    }
}

/// Whose sockets are meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SocketOwner {
    /// Those of one sign-in session, by its public handle.
    AuthSession(String),
    /// All of one person.
    Person(UserId),
}

/// The reply of a call that has nothing to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Done {}

/// Replies, named so that callers and object agree on one type per call.
pub type SubmitReply = Submitted;
/// Reply of [`ProjectCall::SendPrompt`].
pub type SendPromptReply = PromptAccepted;
/// Reply of [`ProjectCall::AnswerPermission`].
pub type AnswerPermissionReply = AnswerAccepted;
/// Reply of [`ProjectCall::GetSession`].
pub type GetSessionReply = SessionView;
/// Reply of [`ProjectCall::ListTasks`].
pub type ListTasksReply = TaskList;
/// Reply of [`ProjectCall::ListSessions`].
pub type ListSessionsReply = SessionList;
/// Reply of [`ProjectCall::ListMessages`].
pub type ListMessagesReply = MessagePage;

//! The conversation machine: prompts, their queue, and the task that carries them.
//!
//! Hosted per session inside ProjectData, which keeps the rows themselves; this
//! machine decides which rows SAM writes, which prompt goes next and when a
//! task is submitted.
//!
//! Rules that are decided here and nowhere else:
//! - One prompt is in flight at a time; the others wait in the order in which
//!   they were accepted, whoever sent them. The queue is bounded.
//! - A prompt's words can be changed or taken back while it waits, and no longer.
//! - A prompt goes to the session's live task. When that is over, a new task in
//!   the same session carries it, on the same branch.
//! - When a task fails or is cancelled, prompts that were queued behind it are
//!   cancelled, visibly: what they built on did not happen.
//! - A task's rows are taken from its newest attempt's workspace only.

mod naming;
mod prompt;
mod state;

pub use naming::{branch, title, title_said};
pub use state::{Answer, AwaitedRows, Begun, BoundWorkspace, LiveTask, Prompt, Session, Utterance};

use super::attachment::PromptBody;
use super::row::{AnswerBody, Author, NoticeBody, RowBody};
use super::wire::{Activity, ActivityState, PromptState};
use crate::actor::message::TaskIntent;
use crate::actor::{Address, Input, Machine, Message, Named, Transition};
use crate::id::{Id, ProjectId, PromptId, RowId, SessionId, TaskId, UserId, WorkspaceId};
use crate::task::state::Task;
use crate::task::{TaskState, TaskView};
use crate::time::{Timestamp, Turn};

/// Most bytes of earlier conversation that a fresh agent is told.
pub const CONTEXT_LIMIT: usize = 16 * 1024;
/// Most bytes of one remembered utterance.
const UTTERANCE_LIMIT: usize = 4 * 1024;
/// Most workspaces whose rows are still taken.
const REMEMBERED_WORKSPACES: usize = 32;
/// Most prompts that are over and still shown with their outcome: as many as
/// can end at once, and some more.
const REMEMBERED_PROMPTS: usize = QUEUED_PROMPTS + 14;
/// Most answered questions that are remembered; an agent asks one or a few at a time.
const REMEMBERED_ANSWERS: usize = 64;
/// Most prompts that wait their turn.
pub const QUEUED_PROMPTS: usize = 50;
/// Most bytes of words that wait their turn. The conversation is stored as one
/// value, which holds 2 MB.
pub const QUEUED_BYTES: usize = 512 * 1024;
/// What ProjectData tells a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionLocal {
    /// It begins: the first task and its prompt.
    Submit {
        /// The task.
        intent: Box<TaskIntent>,
        /// The prompt's id.
        prompt: PromptId,
        /// The row that shows it.
        row: RowId,
        /// The words.
        text: String,
        /// The whole of them, when `text` is only their beginning.
        body: Option<PromptBody>,
    },
    /// A person changed the words of a queued prompt.
    EditPrompt {
        /// Which.
        prompt: PromptId,
        /// The new words.
        text: String,
        /// The whole of them, when `text` is only their beginning.
        body: Option<PromptBody>,
    },
    /// A person said something more.
    AddPrompt {
        /// The prompt's id.
        prompt: PromptId,
        /// The row that shows it.
        row: RowId,
        /// Who.
        by: UserId,
        /// Whose pool a task that begins with it draws on; the person's own when absent.
        pool: Option<UserId>,
        /// The words.
        text: String,
        /// The whole of them, when `text` is only their beginning.
        body: Option<PromptBody>,
    },
    /// A person took a queued prompt back.
    RemovePrompt {
        /// Which.
        prompt: PromptId,
    },
    /// A person answered what the agent asked; the first answer counts.
    AnswerPermission {
        /// Which row asked, which row shows the answer, what was chosen, by whom.
        answer: Answer,
        /// The words of the choice.
        label: String,
    },
    /// It does the same work as others do, to be compared with them.
    Compare {
        /// The first of them.
        comparison: SessionId,
        /// Whether it is the one that was chosen.
        chosen: bool,
    },
    /// A person wants the current turn stopped.
    CancelTurn,
    /// Rows were stored.
    RowsStored {
        /// By which workspace.
        workspace: WorkspaceId,
        /// All its upserts up to this number are stored.
        through: u64,
        /// Texts of the agent that were complete among them.
        said: Vec<String>,
    },
}

impl Named for SessionLocal {
    fn word(&self) -> &'static str {
        match self {
            Self::Submit { .. } => "submit",
            Self::AddPrompt { .. } => "add_prompt",
            Self::EditPrompt { .. } => "edit_prompt",
            Self::RemovePrompt { .. } => "remove_prompt",
            Self::AnswerPermission { .. } => "answer_permission",
            Self::Compare { .. } => "compare",
            Self::CancelTurn => "cancel_turn",
            Self::RowsStored { .. } => "rows_stored",
        }
    }
}

/// What a conversation asks of ProjectData, in the same turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionOutput {
    /// Store a row.
    PutRow {
        /// Its id.
        id: RowId,
        /// Its version, from 1.
        rev: u32,
        /// Who says it.
        author: Author,
        /// When.
        at: Timestamp,
        /// What.
        body: RowBody,
    },
    /// Store a task's view, unless a newer one is stored.
    PutTask(Box<TaskView>),
    /// Tell followers what the agent does.
    Activity(Activity),
    /// Say with [`SessionLocal::RowsStored`] how far this workspace's rows are stored.
    CheckRows {
        /// Which.
        workspace: WorkspaceId,
    },
}

/// What an agent is told that was lost while it waited for a limit of the model.
const GO_ON: &str = "Go on; what you had begun may be half done.";

/// What an agent is asked that stopped without finishing and was idle since.
const CHECK_IN: &str = "You stopped before the work was done, and nothing has happened since. What do \
    you wait for? If nothing holds you up, continue now from where you stopped, until the work is done. \
    If you need something that only a person can give, ask for it with the tool request_human_input, \
    where you have it, and end your turn. If the work cannot be done, say why and end your turn.";

/// The conversation machine.
#[derive(Clone, Copy, Debug)]
pub struct SessionMachine;

impl Machine for SessionMachine {
    type State = Session;
    type Local = SessionLocal;
    type Output = SessionOutput;

    fn step(
        state: &mut Session,
        turn: &mut Turn,
        input: Input<SessionLocal>,
    ) -> Transition<SessionOutput> {
        let before = state.clone();
        let mut step = Step {
            session: state,
            turn,
            send: Vec::new(),
            output: Vec::new(),
        };
        step.take(input);
        let (send, output) = (step.send, step.output);
        state.bound();
        // What the view shows; where the task stands is the task's to show.
        let seen = |s: &Session| {
            (
                s.prompts.iter().map(Prompt::view).collect::<Vec<_>>(),
                s.task.as_ref().map(|task| task.id.clone()),
                s.activity.clone(),
                s.begun.as_ref().map(|begun| begun.intent.title.clone()),
                (s.comparison.clone(), s.chosen),
            )
        };
        if seen(&before) != seen(state) {
            state.rev += 1;
            state.updated_at = turn.now;
        }
        Transition {
            send,
            output,
            deadline: None,
        }
    }
}

struct Step<'a> {
    session: &'a mut Session,
    turn: &'a mut Turn,
    send: Vec<(Address, Message)>,
    output: Vec<SessionOutput>,
}

impl Step<'_> {
    fn take(&mut self, input: Input<SessionLocal>) {
        match input {
            Input::Local(SessionLocal::Submit {
                intent,
                prompt,
                row,
                text,
                body,
            }) => {
                if self.session.begun.is_none() {
                    let (by, pool) = (intent.user.clone(), intent.pool.clone());
                    self.session.begun = Some(Begun {
                        intent: (*intent).clone(),
                    });
                    self.submit_task(*intent);
                    self.add_prompt(Prompt::queued(prompt, row, by, pool, (text, body)));
                }
            }
            _ if self.session.begun.is_none() => {}
            Input::Local(SessionLocal::AddPrompt {
                prompt,
                row,
                by,
                pool,
                text,
                body,
            }) => {
                if self
                    .session
                    .task
                    .as_ref()
                    .is_none_or(|task| task.state.is_terminal())
                {
                    self.follow_up(by.clone(), pool.clone(), &text);
                }
                self.add_prompt(Prompt::queued(prompt, row, by, pool, (text, body)));
            }
            Input::Local(SessionLocal::EditPrompt { prompt, text, body }) => {
                self.edit_prompt(&prompt, text, body);
            }
            Input::Local(SessionLocal::RemovePrompt { prompt }) => {
                self.change(&prompt, |held| {
                    if held.state == PromptState::Queued {
                        held.state = PromptState::Cancelled;
                    }
                });
            }
            Input::Local(SessionLocal::AnswerPermission { answer, label }) => {
                self.answer_permission(answer, label);
            }
            Input::Local(SessionLocal::Compare { comparison, chosen }) => {
                self.session.comparison = Some(comparison);
                self.session.chosen = chosen;
            }
            Input::Local(SessionLocal::CancelTurn) => self.cancel_turn(),
            Input::Local(SessionLocal::RowsStored {
                workspace,
                through,
                said,
            }) => {
                for text in said {
                    self.session.remember(Author::Agent, &text);
                }
                self.rows_stored(&workspace, through);
            }
            Input::Message {
                from: Address::Task(task),
                message,
            } => self.message(&task, message),
            Input::Message { .. } | Input::DeadlinePassed => {}
        }
    }

    fn message(&mut self, from: &TaskId, message: Message) {
        match message {
            Message::TaskChanged(view) => self.task_changed(*view),
            Message::PromptStarted { prompt } => self.change(&prompt, |held| {
                if held.state == PromptState::Sent {
                    held.state = PromptState::Running;
                }
            }),
            Message::PromptEnded {
                prompt,
                stop_reason,
            } => {
                self.change(&prompt, |held| held.end(&stop_reason));
                self.dispatch();
            }
            Message::PromptReturned { prompt } => {
                self.change(&prompt, |held| {
                    if held.state == PromptState::Sent {
                        held.state = PromptState::Queued;
                    }
                });
                self.settle_queue();
                // A newer task takes it at once. The one that sent it back would
                // do so again, until it says that it is over.
                if !self.is_live(from) {
                    self.dispatch();
                }
            }
            Message::AwaitRows {
                prompt,
                workspace,
                through,
            } => {
                let task = from.clone();
                self.session.awaiting = Some(AwaitedRows {
                    task,
                    prompt,
                    workspace: workspace.clone(),
                    through,
                });
                self.output.push(SessionOutput::CheckRows { workspace });
            }
            Message::WorkspaceBound { workspace, attempt } => {
                let known = self
                    .session
                    .workspaces
                    .iter()
                    .any(|bound| bound.workspace == workspace);
                if !known {
                    self.session.workspaces.push(BoundWorkspace {
                        workspace,
                        task: from.clone(),
                        attempt,
                    });
                }
            }
            Message::ActivityChanged { state, since } if self.is_live(from) => {
                self.activity(state, since);
            }
            Message::ContinuationDue if self.is_live(from) => self.go_on(GO_ON),
            Message::CheckInDue if self.is_live(from) => self.go_on(CHECK_IN),
            Message::Notice(body) => self.notice(body),
            _ => {}
        }
    }

    fn is_live(&self, task: &TaskId) -> bool {
        self.session
            .task
            .as_ref()
            .is_some_and(|live| live.id == *task)
    }

    fn task_changed(&mut self, view: TaskView) {
        let state = view.state;
        let live = self.is_live(&view.id);
        // A conversation is called what its first task is called.
        if let Some(begun) = &mut self.session.begun
            && begun.intent.task == view.id
        {
            begun.intent.title.clone_from(&view.title);
        }
        self.output.push(SessionOutput::PutTask(Box::new(view)));
        if !live {
            return;
        }
        if let Some(task) = self
            .session
            .task
            .as_mut()
            .filter(|task| !task.state.is_terminal())
        {
            task.state = state;
        }
        self.settle_queue();
    }

    /// When the live task is over, decides what becomes of queued prompts.
    fn settle_queue(&mut self) {
        let Some(task) = self.session.task.clone() else {
            return;
        };
        match task.state {
            TaskState::Failed | TaskState::Cancelled => {
                for prompt in &mut self.session.prompts {
                    if prompt.state == PromptState::Queued {
                        prompt.state = PromptState::Cancelled;
                        prompt.stop_reason = Some("task_over".to_owned());
                        prompt.text = String::new();
                    }
                }
            }
            TaskState::Completed => {
                let next = self
                    .session
                    .prompts
                    .iter()
                    .find(|prompt| prompt.state == PromptState::Queued);
                if let Some(prompt) = next.cloned() {
                    self.follow_up(prompt.by, prompt.pool, &prompt.text);
                    self.dispatch();
                }
            }
            _ => {}
        }
    }

    /// Submits a new task in this session, after the first one's pattern.
    fn follow_up(&mut self, by: UserId, pool: Option<UserId>, text: &str) {
        let Some(begun) = self.session.begun.as_ref() else {
            return;
        };
        let intent = TaskIntent {
            task: TaskId::draw(self.turn),
            user: by,
            pool,
            created_at: self.turn.now,
            title: title(text),
            retry_of: None,
            ..begun.intent.clone()
        };
        self.submit_task(intent);
    }

    fn submit_task(&mut self, intent: TaskIntent) {
        self.session.task = Some(LiveTask {
            id: intent.task.clone(),
            state: TaskState::Queued,
        });
        self.output
            .push(SessionOutput::PutTask(Box::new(Task::queued_view(&intent))));
        self.send.push((
            Address::Task(intent.task.clone()),
            Message::TaskSubmitted(Box::new(intent)),
        ));
    }

    fn add_prompt(&mut self, mut prompt: Prompt) {
        if self.session.prompt(&prompt.id).is_some() {
            return;
        }
        prompt.at = self.turn.now;
        self.output.push(prompt.row(self.turn.now));
        self.session.prompts.push(prompt);
        self.dispatch();
    }

    /// Asks the agent to go on in these words, where nothing else is to be done.
    fn go_on(&mut self, words: &str) {
        let waiting = |prompt: &Prompt| prompt.state == PromptState::Queued;
        let Some(begun) = self.session.begun.as_ref() else {
            return;
        };
        if self.session.in_flight().is_some() || self.session.prompts.iter().any(waiting) {
            return;
        }
        let (by, pool) = (begun.intent.user.clone(), begun.intent.pool.clone());
        let (id, row) = (PromptId::draw(self.turn), RowId::draw(self.turn));
        let words = (words.to_owned(), None);
        self.add_prompt(Prompt {
            automatic: true,
            ..Prompt::queued(id, row, by, pool, words)
        });
    }

    fn edit_prompt(&mut self, id: &PromptId, text: String, body: Option<PromptBody>) {
        let now = self.turn.now;
        let mut output = None;
        self.change(id, |held| {
            if held.state == PromptState::Queued && (&held.text, &held.body) != (&text, &body) {
                held.text = text;
                held.body = body;
                held.edits += 1;
                output = Some(held.row(now));
            }
        });
        self.output.extend(output);
    }

    /// Hands the next queued prompt to the live task, if none is in flight.
    fn dispatch(&mut self) {
        let Some(task) = self
            .session
            .task
            .clone()
            .filter(|task| !task.state.is_terminal())
        else {
            return;
        };
        if self.session.in_flight().is_some() {
            return;
        }
        let context = self.session.context();
        let Some(next) = self
            .session
            .prompts
            .iter_mut()
            .find(|prompt| prompt.state == PromptState::Queued)
        else {
            return;
        };
        next.state = PromptState::Sent;
        let (prompt, text, body) = (next.id.clone(), next.text.clone(), next.body.clone());
        let automatic = next.automatic;
        self.session.remember(Author::Person, &text);
        self.send.push((
            Address::Task(task.id),
            Message::PromptDispatched {
                prompt,
                text,
                body,
                context,
                automatic,
            },
        ));
    }

    fn cancel_turn(&mut self) {
        let Some(prompt) = self.session.in_flight().map(|prompt| prompt.id.clone()) else {
            return;
        };
        if let Some(task) = &self.session.task {
            self.send.push((
                Address::Task(task.id.clone()),
                Message::PromptCancelRequested { prompt },
            ));
        }
    }

    fn answer_permission(&mut self, answer: Answer, label: String) {
        if self.session.answer_to(&answer.permission).is_some() {
            return;
        }
        self.output.push(SessionOutput::PutRow {
            id: answer.row.clone(),
            rev: 1,
            author: Author::Person,
            at: self.turn.now,
            body: RowBody::Answer(AnswerBody {
                permission: answer.permission.clone(),
                option: answer.option.clone(),
                label,
                by: answer.by.clone(),
            }),
        });
        if let Some(task) = &self.session.task {
            self.send.push((
                Address::Task(task.id.clone()),
                Message::PermissionAnswered {
                    permission: answer.permission.clone(),
                    option: answer.option.clone(),
                },
            ));
        }
        self.session.answers.push_back(answer);
    }

    fn rows_stored(&mut self, workspace: &WorkspaceId, through: u64) {
        let done =
            self.session.awaiting.as_ref().is_some_and(|awaited| {
                awaited.workspace == *workspace && awaited.through <= through
            });
        if done && let Some(awaited) = self.session.awaiting.take() {
            self.send.push((
                Address::Task(awaited.task),
                Message::RowsComplete {
                    prompt: awaited.prompt,
                },
            ));
        }
    }

    fn activity(&mut self, state: ActivityState, since: Timestamp) {
        let epoch = self
            .session
            .activity
            .as_ref()
            .map_or(1, |activity| activity.epoch + 1);
        let activity = Activity {
            state,
            since,
            epoch,
        };
        self.session.activity = Some(activity.clone());
        self.output.push(SessionOutput::Activity(activity));
    }

    fn notice(&mut self, body: NoticeBody) {
        let id = RowId::draw(self.turn);
        let at = self.turn.now;
        self.output.push(SessionOutput::PutRow {
            id,
            rev: 1,
            author: Author::System,
            at,
            body: RowBody::Notice(body),
        });
    }

    fn change(&mut self, id: &PromptId, change: impl FnOnce(&mut Prompt)) {
        if let Some(prompt) = self
            .session
            .prompts
            .iter_mut()
            .find(|prompt| prompt.id == *id && !prompt.state.is_terminal())
        {
            change(prompt);
        }
    }
}

/// The address of a conversation.
#[must_use]
pub const fn address(project: ProjectId, session: SessionId) -> Address {
    Address::Session { project, session }
}

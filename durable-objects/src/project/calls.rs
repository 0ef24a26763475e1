//! What the Worker asks of a project.

use sam_domain::access::claims::Claims;
use sam_domain::actor::Actor;
use sam_domain::actor::message::TaskIntent;
use sam_domain::conversation::attachment::PromptBody;
use sam_domain::conversation::call::{Done, Editor, Idempotency, ProjectCall};
use sam_domain::conversation::row::{Author, BodyRef, RowBody, RowUpsert};
use sam_domain::conversation::session::{
    self, Prompt, QUEUED_BYTES, QUEUED_PROMPTS, Session, SessionLocal, SessionMachine,
};
use sam_domain::conversation::wire::{
    BATCH_ROWS, BatchAnswer, MessageBatch, PromptAccepted, PromptState, RowOutcome, SendPrompt,
    SubmitTask, Submitted,
};
use sam_domain::error::ApiError;
use sam_domain::id::{Id, ProjectId, PromptId, RowId, SessionId, TaskId, UserId};
use sam_domain::settings;
use sam_domain::task::patience::Patience;
use sam_domain::time::{Timestamp, Turn};
use sam_platform::crypto::sha256_hex;
use sam_platform::text::Text;
use sam_platform::value::MAX_SAFE_INTEGER;
use sam_platform::{bindings, clock};

use super::feed::REAUTHORISE;
use super::idempotency::Once;
use super::work::{Changes, Work};
use super::{Project, ended, entities, frames, rows, scope};
use crate::object;
use crate::shell::ShellError;

/// Most rows of one page of messages.
const PAGE_ROWS: u32 = 500;

/// A task as it was asked for.
#[derive(Clone)]
pub(super) struct Submission {
    pub(super) project: ProjectId,
    pub(super) by: UserId,
    pub(super) repository: String,
    pub(super) default_agent: String,
    pub(super) pool: Option<UserId>,
    pub(super) request: SubmitTask,
    pub(super) body: Option<PromptBody>,
    /// The task whose work is done again, and what it is called.
    pub(super) retry_of: Option<(TaskId, String)>,
}

/// A conversation that was begun in a transaction, to be told to followers when that is done.
pub(super) struct Begun {
    pub(super) submitted: Submitted,
    pub(super) changes: Changes,
    pub(super) now: Timestamp,
}

impl Project {
    /// How long tasks that begin now wait when nothing moves.
    fn patience(&self) -> Patience {
        let set = |name| bindings::setting(&self.shell.env, name);
        let (idle, question) = (
            set(bindings::SAM_IDLE_LIMIT),
            set(bindings::SAM_QUESTION_LIMIT),
        );
        settings::patience(idle.as_deref(), question.as_deref())
    }

    /// Performs a call and returns its reply as JSON.
    pub(super) fn call(&self, call: ProjectCall) -> Result<Text, ShellError> {
        let reply = match call {
            ProjectCall::Submit {
                project,
                by,
                repository,
                default_agent,
                pool,
                idempotency,
                request,
                body,
            } => {
                self.remember(&project)?;
                let submission = Submission {
                    project,
                    by: by.clone(),
                    repository,
                    default_agent,
                    pool,
                    request,
                    body,
                    retry_of: None,
                };
                self.submit("submit", &by, &idempotency, || Ok(submission))
            }
            ProjectCall::Retry {
                task,
                session,
                by,
                pool,
                idempotency,
            } => self.submit("retry", &by, &idempotency, || {
                self.again(&task, &session, &by, pool)
            }),
            ProjectCall::SendPrompt {
                project,
                session,
                by,
                pool,
                idempotency,
                request,
                body,
            } => self.send_prompt(
                &project,
                &session,
                (by, pool),
                (request, body),
                &idempotency,
            ),
            ProjectCall::EditPrompt {
                session,
                prompt,
                by,
                request,
                body,
            } => self.edit_prompt(&session, &prompt, &by, (request, body)),
            ProjectCall::RemovePrompt {
                session,
                prompt,
                by,
            } => self.remove_prompt(&session, prompt, &by),
            ProjectCall::AnswerPermission {
                session,
                permission,
                by,
                request,
            } => self.answer_permission(&session, &permission, by, request),
            ProjectCall::CancelTurn { session } => self.cancel_turn(&session),
            ProjectCall::GetComparison(session) => self.comparison(&session),
            ProjectCall::Choose(session, by) => self.choose(&session, &by),
            ProjectCall::GetSession { session } => self.view(&session),
            ProjectCall::ListTasks { before, limit } => {
                let page = entities::list::<TaskId>(&self.shell.sql, before.as_ref(), limit)?;
                Ok(frames::view_page("tasks", &page))
            }
            ProjectCall::ListSessions { before, limit } => {
                let page = entities::list::<SessionId>(&self.shell.sql, before.as_ref(), limit)?;
                Ok(frames::view_page("sessions", &page))
            }
            ProjectCall::ListMessages {
                session,
                before,
                after,
                limit,
            } => return self.messages(&session, before.as_ref(), after.as_ref(), limit),
            ProjectCall::CloseSockets { of } => {
                ended::remember(&self.shell.sql, &of, clock::now())?;
                for socket in self.sockets.tagged(ended::tag(&of)).unwrap_or_default() {
                    let _ = socket.close(REAUTHORISE, "its authorisation has ended");
                }
                object::text(&Done {})
            }
        };
        reply.map(Text::from)
    }

    /// Begins what is asked for, once under the client's key on this route.
    fn submit(
        &self,
        route: &str,
        by: &UserId,
        idempotency: &Idempotency,
        submission: impl FnOnce() -> Result<Submission, ShellError>,
    ) -> Result<String, ShellError> {
        let once = Once::of(&self.shell.sql, by, route, idempotency)?;
        if let Some(reply) = once.earlier_reply()? {
            return Ok(reply);
        }
        let submission = submission()?;
        let (reply, begun) = self.shell.sql.transaction(|| {
            let begun = self.begin_all(submission)?;
            let reply = object::text(&submitted(&begun))?;
            let now = begun.first().map_or_else(clock::now, |begun| begun.now);
            once.keep(&reply, now)?;
            Ok::<_, ShellError>((reply, begun))
        })?;
        for begun in begun {
            self.announce(begun.changes, &begun.submitted.session, begun.now)?;
        }
        self.shell.host.deliver_soon();
        Ok(reply)
    }

    /// A task's work, to be done again by this person.
    fn again(
        &self,
        task: &TaskId,
        session: &SessionId,
        by: &UserId,
        pool: Option<UserId>,
    ) -> Result<Submission, ShellError> {
        let missing = || ApiError::not_found("task");
        let actor = self.shell.load(session.as_str())?.ok_or_else(missing)?;
        let intent = actor.state.begun.ok_or_else(missing)?.intent;
        if intent.task != *task {
            return Err(ApiError::conflict(
                "continues_conversation",
                "This task continued a conversation, so it has no beginning of its own.",
            )
            .hint("Say it again in the conversation, or retry the task that began it.")
            .into());
        }
        let Some(RowBody::Text(words)) = rows::first_said(&self.shell.sql, session)? else {
            return Err(missing().into());
        };
        // Words that files belong to are stored whole, whatever their length.
        let body = match words.body_ref {
            None if words.attachments.is_empty() => None,
            stored => Some(stored.unwrap_or_else(|| BodyRef {
                sha256: sha256_hex(words.text.as_bytes()),
                bytes: words.text.len() as u64,
            })),
        };
        let body = body.map(|BodyRef { sha256, bytes }| PromptBody {
            sha256,
            bytes,
            attachments: words.attachments,
        });
        Ok(Submission {
            project: intent.project,
            by: by.clone(),
            repository: intent.repository,
            default_agent: intent.agent,
            pool,
            request: SubmitTask {
                prompt: words.text,
                agent: None,
                agents: Vec::new(),
                mode: intent.mode,
                base: intent.base,
                permission_mode: intent.permission_mode,
                attachments: Vec::new(),
            },
            body,
            retry_of: Some((intent.task, intent.title)),
        })
    }

    /// Begins a conversation within the caller's transaction. `same_work`: it is one of those that do
    /// the same work, of which this was the first.
    pub(super) fn begin(
        &self,
        submission: Submission,
        same_work: Option<Option<&SessionId>>,
    ) -> Result<Begun, ShellError> {
        if submission.request.prompt.trim().is_empty() {
            return Err(ApiError::bad_request("The prompt is empty.").into());
        }
        let mut ids = self.shell.begin()?;
        // Lists are in order of id, and many submissions are accepted within one millisecond.
        let sql = &self.shell.sql;
        let (task, session) = (entities::newest(sql)?, entities::newest(sql)?);
        let submitted = Submitted {
            task: TaskId::mint_after(task.as_ref(), ids.now, ids.draw()),
            session: SessionId::mint_after(session.as_ref(), ids.now, ids.draw()),
            prompt: PromptId::draw(&mut ids),
            row: RowId::draw(&mut ids),
            others: Vec::new(),
        };
        let text = submission.request.prompt.clone();
        let body = submission.body.clone();
        let local = SessionLocal::Submit {
            intent: Box::new(intent(submission, &submitted, &ids, self.patience())),
            prompt: submitted.prompt.clone(),
            row: submitted.row.clone(),
            text,
            body,
        };
        let session = &submitted.session;
        let comparison = same_work.map(|first| first.unwrap_or(session).clone());
        if let Some(comparison) = &comparison {
            self.add_to_comparison(comparison, session)?;
        }
        let compare = comparison.map(|comparison| SessionLocal::Compare {
            comparison,
            chosen: false,
        });
        let (changes, now) = self.turn(session, std::iter::once(local).chain(compare))?;
        Ok(Begun {
            submitted,
            changes,
            now,
        })
    }

    fn send_prompt(
        &self,
        project: &ProjectId,
        session: &SessionId,
        (by, pool): (UserId, Option<UserId>),
        (request, body): (SendPrompt, Option<PromptBody>),
        idempotency: &Idempotency,
    ) -> Result<String, ShellError> {
        // One key is one request of this route, whichever conversation it names.
        let once = Once::of(&self.shell.sql, &by, "prompt", idempotency)?;
        if let Some(reply) = once.earlier_reply()? {
            return Ok(reply);
        }
        if request.text.trim().is_empty() {
            return Err(ApiError::bad_request("The prompt is empty.").into());
        }
        let mut ids = self.shell.begin()?;
        let (prompt, row) = (PromptId::draw(&mut ids), RowId::draw(&mut ids));
        self.work(project, session, |actor, turn, work| {
            begun(actor)?;
            has_room(actor, &request.text)?;
            let local = SessionLocal::AddPrompt {
                prompt: prompt.clone(),
                row: row.clone(),
                by,
                pool,
                text: request.text,
                body,
            };
            let handled = actor.local::<SessionMachine>(turn, local);
            let changed = work.perform(actor, turn, handled)?;
            let task = actor
                .state
                .task
                .as_ref()
                .map(|task| task.id.clone())
                .ok_or_else(|| ApiError::not_found("conversation"))?;
            let reply = object::text(&PromptAccepted { prompt, row, task })?;
            once.keep(&reply, turn.now)?;
            Ok((changed, reply))
        })
    }

    fn edit_prompt(
        &self,
        session: &SessionId,
        prompt: &PromptId,
        by: &Editor,
        (request, body): (SendPrompt, Option<PromptBody>),
    ) -> Result<String, ShellError> {
        self.work(&self.project()?, session, |actor, turn, work| {
            begun(actor)?;
            if changeable(actor, prompt, by)? != PromptState::Queued {
                return Err(too_late().into());
            }
            has_room(actor, &request.text)?;
            let local = SessionLocal::EditPrompt {
                prompt: prompt.clone(),
                text: request.text,
                body,
            };
            let handled = actor.local::<SessionMachine>(turn, local);
            let changed = work.perform(actor, turn, handled)?;
            let view = actor
                .state
                .prompt(prompt)
                .map(Prompt::view)
                .ok_or_else(|| ApiError::not_found("prompt"))?;
            Ok((changed, object::text(&view)?))
        })
    }

    fn remove_prompt(
        &self,
        session: &SessionId,
        prompt: PromptId,
        by: &Editor,
    ) -> Result<String, ShellError> {
        self.work(&self.project()?, session, |actor, turn, work| {
            begun(actor)?;
            match changeable(actor, &prompt, by)? {
                PromptState::Queued => {}
                PromptState::Cancelled => return Ok((false, object::text(&Done {})?)),
                PromptState::Sent
                | PromptState::Running
                | PromptState::Finished
                | PromptState::Unknown => return Err(too_late().into()),
            }
            let handled =
                actor.local::<SessionMachine>(turn, SessionLocal::RemovePrompt { prompt });
            let changed = work.perform(actor, turn, handled)?;
            Ok((changed, object::text(&Done {})?))
        })
    }

    fn cancel_turn(&self, session: &SessionId) -> Result<String, ShellError> {
        self.work(&self.project()?, session, |actor, turn, work| {
            begun(actor)?;
            if actor.state.in_flight().is_none() {
                return Err(ApiError::conflict(
                    "nothing_running",
                    "The agent is not working on a prompt.",
                )
                .into());
            }
            let handled = actor.local::<SessionMachine>(turn, SessionLocal::CancelTurn);
            let changed = work.perform(actor, turn, handled)?;
            Ok((changed, object::text(&Done {})?))
        })
    }

    fn view(&self, session: &SessionId) -> Result<String, ShellError> {
        entities::get(&self.shell.sql, session.as_str())?
            .ok_or_else(|| ApiError::not_found("conversation").into())
    }

    fn messages(
        &self,
        session: &SessionId,
        before: Option<&RowId>,
        after: Option<&RowId>,
        limit: u32,
    ) -> Result<Text, ShellError> {
        let sql = &self.shell.sql;
        let as_of = scope::newest_of_session(sql, session.as_str())?
            .ok_or_else(|| ApiError::not_found("conversation"))?;
        let position = |row: &RowId| {
            rows::position(sql, session, row)?
                .ok_or_else(|| ShellError::from(ApiError::not_found("row")))
        };
        let from = match (before, after) {
            (None, None) => rows::From::Newest,
            (Some(before), None) => rows::From::Before(position(before)?),
            (None, Some(after)) => rows::From::After(position(after)?),
            (Some(_), Some(_)) => {
                return Err(ApiError::bad_request("Give `before` or `after`, not both.").into());
            }
        };
        let page = rows::page(sql, session, from, limit.clamp(1, PAGE_ROWS))?;
        Ok(frames::message_page(
            page.rows,
            as_of,
            page.has_before,
            page.has_after,
        ))
    }

    pub(super) fn post_messages(
        &self,
        claims: &Claims,
        batch: MessageBatch,
        sent_at: Option<Timestamp>,
    ) -> Result<String, ShellError> {
        if batch.rows.len() > BATCH_ROWS {
            return Err(ApiError::new(
                413,
                "batch_too_large",
                format!("A batch holds at most {BATCH_ROWS} rows."),
            )
            .into());
        }
        self.work(&claims.prj, &claims.ses, |actor, turn, work| {
            let bound = actor
                .state
                .workspaces
                .iter()
                .any(|bound| bound.workspace == claims.wsp);
            if !bound {
                // Its task tells this conversation of it a moment after it was placed.
                return Err(ApiError::new(
                    503,
                    "workspace_not_bound",
                    "This workspace is not known to the conversation yet.",
                )
                .hint("Send the batch again in a moment.")
                .into());
            }
            let taken = actor.state.takes_rows_from(&claims.wsp, claims.attempt);
            if taken {
                work.rows.look_up(batch.rows.iter().map(|row| &row.id))?;
            }
            let mut outcomes = Vec::with_capacity(batch.rows.len());
            let mut said = Vec::new();
            let mut through = 0;
            for mut upsert in batch.rows {
                if upsert.n > MAX_SAFE_INTEGER.unsigned_abs() {
                    outcomes.push(RowOutcome::Refused);
                    continue;
                }
                upsert.retime(sent_at, turn.now);
                through = through.max(upsert.n);
                let words = finished_words(&upsert);
                let outcome = if taken {
                    work.rows.upsert(claims, upsert)?
                } else {
                    RowOutcome::Refused
                };
                if outcome == RowOutcome::Accepted {
                    said.extend(words);
                }
                outcomes.push(outcome);
            }
            let mut changed = false;
            if taken && through > 0 {
                work.store_through(&claims.wsp, through)?;
                // The machine is told only what it has use for, so that most batches cost it nothing.
                if !said.is_empty() || actor.state.awaits_rows_from(&claims.wsp) {
                    let local = SessionLocal::RowsStored {
                        workspace: claims.wsp.clone(),
                        through,
                        said,
                    };
                    let handled = actor.local::<SessionMachine>(turn, local);
                    changed = work.perform(actor, turn, handled)?;
                }
            }
            Ok((changed, object::text(&BatchAnswer { outcomes })?))
        })
    }

    /// One turn's work on a conversation of this project, announced when it is stored.
    pub(super) fn work<T>(
        &self,
        project: &ProjectId,
        session: &SessionId,
        body: impl FnOnce(
            &mut Actor<Session>,
            &mut Turn,
            &mut Work<'_>,
        ) -> Result<(bool, T), ShellError>,
    ) -> Result<T, ShellError> {
        let address = session::address(project.clone(), session.clone());
        if !self.shell.is_mine(&address) {
            return Err(ApiError::not_found("conversation").into());
        }
        let (out, changes, now) = self.shell.turn(&address, |actor, turn| {
            let mut work = Work::open(&self.shell.sql, session)?;
            let (changed, out) = body(actor, turn, &mut work)?;
            let changes = work.finish(actor)?;
            Ok((changed, (out, changes, turn.now)))
        })?;
        self.announce(changes, session, now)?;
        self.shell.host.deliver_soon();
        Ok(out)
    }

    /// One turn of a conversation that takes these in, one after the other; what it changed is still
    /// to be announced.
    pub(super) fn turn(
        &self,
        session: &SessionId,
        locals: impl IntoIterator<Item = SessionLocal>,
    ) -> Result<(Changes, Timestamp), ShellError> {
        let address = session::address(self.project()?, session.clone());
        self.shell.turn(&address, |actor, turn| {
            let mut work = Work::open(&self.shell.sql, session)?;
            let mut changed = false;
            for local in locals {
                let handled = actor.local::<SessionMachine>(turn, local);
                changed |= work.perform(actor, turn, handled)?;
            }
            Ok((changed, (work.finish(actor)?, turn.now)))
        })
    }

    pub(super) fn announce(
        &self,
        changes: Changes,
        session: &SessionId,
        now: Timestamp,
    ) -> Result<(), ShellError> {
        let project = self.project()?;
        changes.announce(&self.feed(&project), session, now);
        Ok(())
    }
}

/// What is answered to a submission: the first task, with the others that do the same work.
fn submitted(begun: &[Begun]) -> Option<Submitted> {
    let mut all = begun.iter().map(|begun| begun.submitted.clone());
    let mut first = all.next()?;
    first.others = all.collect();
    Some(first)
}

fn intent(submission: Submission, ids: &Submitted, turn: &Turn, patience: Patience) -> TaskIntent {
    let (retry_of, title) = match submission.retry_of {
        Some((task, title)) => (Some(task), title),
        None => (None, session::title(&submission.request.prompt)),
    };
    TaskIntent {
        task: ids.task.clone(),
        project: submission.project,
        session: ids.session.clone(),
        user: submission.by,
        pool: submission.pool,
        created_at: turn.now,
        branch: session::branch(&title, &ids.session),
        title,
        repository: submission.repository,
        base: submission.request.base,
        agent: submission.request.agent.unwrap_or(submission.default_agent),
        mode: submission.request.mode,
        permission_mode: submission.request.permission_mode,
        patience,
        retry_of,
    }
}

fn begun(actor: &Actor<Session>) -> Result<(), ApiError> {
    if actor.state.begun.is_some() {
        Ok(())
    } else {
        Err(ApiError::not_found("conversation"))
    }
}

/// Where a prompt stands that this person wants to change.
fn changeable(
    actor: &Actor<Session>,
    prompt: &PromptId,
    by: &Editor,
) -> Result<PromptState, ApiError> {
    let held = actor
        .state
        .prompt(prompt)
        .ok_or_else(|| ApiError::not_found("prompt"))?;
    if by.may_change(&held.by) {
        return Ok(held.state);
    }
    Err(
        ApiError::new(403, "not_your_prompt", "Somebody else sent this prompt.")
            .hint("Whoever sent it can change it, and so can maintainers of the project."),
    )
}

fn too_late() -> ApiError {
    ApiError::conflict(
        "already_sent",
        "This prompt does not wait any more: it was handed to the agent.",
    )
    .hint("Cancel the agent's current turn instead.")
}

fn has_room(actor: &Actor<Session>, text: &str) -> Result<(), ApiError> {
    if actor.state.has_room_for(text) {
        return Ok(());
    }
    Err(ApiError::conflict(
        "queue_full",
        format!(
            "At most {QUEUED_PROMPTS} prompts and {} KiB wait for the agent at a time.",
            QUEUED_BYTES / 1024
        ),
    )
    .hint("Wait until the agent has heard some of them, or take some back."))
}

/// The words of an agent's text that is complete, for agents that start afresh later.
fn finished_words(upsert: &RowUpsert) -> Option<String> {
    match (&upsert.body, upsert.author) {
        (RowBody::Text(body), Author::Agent)
            if body.ended_at.is_some() && !body.text.is_empty() =>
        {
            Some(body.text.clone())
        }
        _ => None,
    }
}

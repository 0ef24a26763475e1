//! ProjectData: a project's conversations.
//!
//! It hosts one session machine per conversation and keeps what the machines only decide about:
//! rows, the views of tasks and conversations, replies to repeated requests. Rows come in batches
//! from workspaces, as a person's words, and as notices; each change is told to whoever follows
//! ([`feed`]).
//!
//! Invariants:
//! - A request's work, the reply kept for its repetition, and the messages it causes are one
//!   transaction.
//! - What followers are sent was stored before, in the same turn.
//! - Everything here is bounded: rows when they are written, pages by bytes and by count.

#![expect(
    missing_docs,
    reason = "the attribute of the class writes methods without documentation"
)]

mod answers;
mod calls;
mod ended;
mod entities;
mod feed;
mod frames;
mod history;
#[cfg(test)]
mod history_tests;
mod idempotency;
mod live;
mod rows;
mod schema;
mod scope;
#[cfg(test)]
mod tests;
mod work;

use std::cell::{Cell, OnceCell};
use std::rc::Rc;

use sam_domain::access::internal::{FeedAccess, LiveAccess, RowsAccess};
use sam_domain::actor::{Address, Envelope};
use sam_domain::conversation::session::SessionMachine;
use sam_domain::error::ApiError;
use sam_domain::id::{Id as _, ProjectId};
use sam_domain::time::{Millis, Timestamp};
use sam_platform::objects::Class;
use sam_platform::probe::Event;
use sam_platform::sockets::{Socket, Sockets};
use sam_platform::{clock, columns, params};
use worker::{DurableObject, Env, Request, Response, State, durable_object};

use self::feed::Feed;
use self::work::Work;
use crate::object::{self, Asked};
use crate::shell::{Shell, ShellError};

/// How often at most the alarm also forgets what is too old.
const FORGETS_EVERY: Millis = Millis::hours(1);

/// The object of one project, named by its id.
#[durable_object]
pub struct ProjectData {
    inner: Result<Rc<Project>, String>,
}

/// What the object holds.
struct Project {
    shell: Rc<Shell<SessionMachine>>,
    sockets: Sockets,
    /// When this instance last forgot what is too old to be asked for.
    forgot_at: Cell<Timestamp>,
    /// Which project this is, once it is known.
    project: OnceCell<ProjectId>,
}

impl DurableObject for ProjectData {
    fn new(state: State, env: Env) -> Self {
        Self {
            inner: Project::open(&state, env)
                .map(Rc::new)
                .map_err(|error| error.to_string()),
        }
    }

    async fn fetch(&self, request: Request) -> worker::Result<Response> {
        Ok(match &self.inner {
            Ok(inner) => {
                let served = inner.serve(&request);
                object::request(&inner.shell.probe, &request, served).await
            }
            Err(cause) => object::broken(cause),
        })
    }

    async fn alarm(&self) -> worker::Result<Response> {
        if let Ok(inner) = &self.inner {
            let woken = Rc::clone(inner);
            let work = async {
                Rc::clone(&inner.shell.host)
                    .alarmed(Box::new(move |key| woken.wake(key)))
                    .await;
                inner.forget_old(clock::now());
            };
            inner.shell.probe.event(Event::Alarm, work).await;
        }
        Ok(object::done())
    }

    async fn websocket_message(
        &self,
        socket: worker::WebSocket,
        message: worker::WebSocketIncomingMessage,
    ) -> worker::Result<()> {
        // Every frame is text; what is not reads as one that says nothing.
        let text = match message {
            worker::WebSocketIncomingMessage::String(text) => text,
            worker::WebSocketIncomingMessage::Binary(_) => String::new(),
        };
        if let Ok(inner) = &self.inner {
            let taken_in = async {
                let socket = Socket::from(socket);
                if let Err(error) = inner.received(&socket, &text) {
                    worker::console_error!("socket: {error}");
                    // Who is owed an answer that cannot be given comes back and asks again.
                    let _ = socket.close(feed::FAILED, "what was asked for could not be read");
                }
            };
            inner.shell.probe.event(Event::Frame, taken_in).await;
        }
        Ok(())
    }

    async fn websocket_close(
        &self,
        socket: worker::WebSocket,
        _code: usize,
        _reason: String,
        _was_clean: bool,
    ) -> worker::Result<()> {
        let closed = async { Socket::from(socket).answer_close() };
        if let Ok(inner) = &self.inner {
            inner.shell.probe.event(Event::Closed, closed).await;
        }
        Ok(())
    }

    async fn websocket_error(
        &self,
        socket: worker::WebSocket,
        _error: worker::Error,
    ) -> worker::Result<()> {
        let closed = async { Socket::from(socket).answer_close() };
        if let Ok(inner) = &self.inner {
            inner.shell.probe.event(Event::Closed, closed).await;
        }
        Ok(())
    }

    async fn connect(&self, _socket: worker::Socket) -> worker::Result<()> {
        Err(object::no_connections())
    }
}

struct MetaRow {
    value: String,
}
columns!(MetaRow: value);

impl Project {
    fn open(state: &State, env: Env) -> Result<Self, ShellError> {
        let shell = Rc::new(Shell::open(state, env, Class::ProjectData)?);
        schema::create(&shell.sql)?;
        Ok(Self {
            shell,
            sockets: Sockets::of(state),
            forgot_at: Cell::new(Timestamp(0)),
            project: OnceCell::new(),
        })
    }

    async fn serve(&self, request: &Request) -> Response {
        match object::asked(request) {
            Ok(Asked::Call) => match object::read_call(&self.shell.probe, request).await {
                Ok(call) => object::answer(self.call(call)),
                Err(error) => object::refused(&error),
            },
            Ok(Asked::Inbox) => match object::read_call(&self.shell.probe, request).await {
                Ok(envelope) => object::answer(self.inbox(envelope)),
                Err(error) => object::refused(&error),
            },
            Ok(Asked::Rows) => object::answer(self.rows(request).await),
            Ok(Asked::Feed) => match object::access(request) {
                Ok(access) => object::response(self.open_feed(&access)),
                Err(error) => object::refused(&error),
            },
            Ok(Asked::Live) => match object::access(request) {
                Ok(access) => object::response(self.open_live(&access)),
                Err(error) => object::refused(&error),
            },
            #[cfg(feature = "fault-injection")]
            Ok(Asked::Fault(fault)) => crate::faults::fault(&self.shell, fault).await,
            Ok(Asked::Link) => object::refused(&ApiError::not_found("socket")),
            Err(error) => object::refused(&error),
        }
    }

    /// A workspace's batch of rows.
    async fn rows(&self, request: &Request) -> Result<String, ShellError> {
        let sender: RowsAccess = object::sender(request)?;
        let batch = object::read_call(&self.shell.probe, request).await?;
        self.post_messages(&sender.claims, batch, sender.sent_at)
    }

    /// Which project this is; known from the first call that names it.
    fn project(&self) -> Result<ProjectId, ShellError> {
        if let Some(project) = self.project.get() {
            return Ok(project.clone());
        }
        let row: Option<MetaRow> = self
            .shell
            .sql
            .first("SELECT value FROM meta WHERE key = 'project'", &[])?;
        let stored: ProjectId = row
            .and_then(|row| row.value.parse().ok())
            .ok_or_else(|| ApiError::not_found("conversation"))?;
        // Only what a name says of an object is kept in memory: it cannot be undone with a turn.
        if self.shell.is_named(stored.as_str()) {
            let _ = self.project.set(stored.clone());
        }
        Ok(stored)
    }

    /// Remembers which project this is.
    fn remember(&self, project: &ProjectId) -> Result<(), ShellError> {
        match self.project() {
            Ok(held) if held == *project => Ok(()),
            Ok(_) => Err(ApiError::not_found("project").into()),
            Err(ShellError::Refused(_)) => {
                self.shell.sql.run(
                    "INSERT INTO meta (key, value) VALUES ('project', ?)",
                    params![project],
                )?;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn feed<'a>(&'a self, project: &'a ProjectId) -> Feed<'a> {
        Feed {
            sql: &self.shell.sql,
            sockets: &self.sockets,
            project,
        }
    }

    fn open_feed(&self, access: &FeedAccess) -> Result<Response, ShellError> {
        self.remember(&access.project)?;
        if ended::has_ended(&self.shell.sql, access)? {
            return Err(ApiError::new(
                401,
                "authorisation_ended",
                "What this connection was authorised by has ended.",
            )
            .into());
        }
        Ok(self.feed(&access.project).accept(access)?)
    }

    fn open_live(&self, access: &LiveAccess) -> Result<Response, ShellError> {
        let claims = &access.claims;
        let takes = self
            .shell
            .load(claims.ses.as_str())?
            .is_some_and(|actor| actor.state.takes_rows_from(&claims.wsp, claims.attempt));
        if !takes {
            return Err(ApiError::new(
                409,
                "workspace_not_bound",
                "This workspace does not write this conversation.",
            )
            .hint("Connect again in a moment; a later attempt may have taken over.")
            .into());
        }
        Ok(live::accept(&self.sockets, access)?)
    }

    fn inbox(&self, envelope: Envelope) -> Result<String, ShellError> {
        let Address::Session { session, .. } = envelope.to.clone() else {
            return object::text(&sam_domain::actor::inbox::Receipt::Misaddressed);
        };
        let sql = &self.shell.sql;
        let (receipt, changed) = self.shell.take_in(envelope, |actor, turn, output| {
            let mut work = Work::open(sql, &session)?;
            let handled = sam_domain::actor::Handled {
                output,
                receipt: None,
                changed: true,
            };
            work.perform(actor, turn, handled)?;
            Ok(Some((work.finish(actor)?, turn.now)))
        })?;
        if let Some((changes, now)) = changed {
            let project = self.project()?;
            changes.announce(&self.feed(&project), &session, now);
        }
        object::text(&receipt)
    }

    /// Forgets what is too old to be asked for, when an alarm rings anyway and not more often than
    /// every hour.
    fn forget_old(&self, now: Timestamp) {
        if now.since(self.forgot_at.get()) < FORGETS_EVERY {
            return;
        }
        self.forgot_at.set(now);
        if let Err(error) = idempotency::forget_old(&self.shell.sql, now) {
            worker::console_error!("old replies stay: {error}");
        }
    }

    fn wake(&self, key: &str) -> Result<(), ShellError> {
        let Some(actor) = self.shell.load(key)? else {
            return Ok(());
        };
        let Address::Session { project, session } = &actor.address else {
            return Ok(());
        };
        self.work(project, session, |actor, turn, work| {
            let handled = actor.wake::<SessionMachine>(turn);
            Ok((work.perform(actor, turn, handled)?, ()))
        })
    }

    fn received(&self, socket: &Socket, text: &str) -> Result<(), ShellError> {
        let project = self.project()?;
        let feed = self.feed(&project);
        let tags = self
            .sockets
            .tags(socket)
            .map_err(|error| sam_platform::js::JsFailure::new(error.to_string()))?;
        if tags.iter().any(|tag| tag == live::TAG) {
            live::receive(&feed, socket, text, clock::now());
            return Ok(());
        }
        feed.receive(socket, text, clock::now())
    }
}

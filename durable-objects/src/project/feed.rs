//! The feed's sockets. Who follows what, from where, and what they are sent is decided by the feed of
//! `sam-domain`, which keeps what it remembers of a follower in the socket's attachment, where it
//! outlives hibernation; here frames are received and sent.

use sam_domain::access::internal::FeedAccess;
use sam_domain::error::ApiError;
use sam_domain::feed::audience::{self, News};
use sam_domain::feed::follower::{Follower, MEMORY_LIMIT, Received, Reply};
use sam_domain::feed::history::Changed;
use sam_domain::feed::{Scope, ServerFrame};
use sam_domain::id::{Id as _, ProjectId, SessionId};
use sam_domain::link::frame::{PING, PONG};
use sam_domain::time::Timestamp;
use sam_platform::sockets::{CloseCode, MAX_ATTACHMENT_BYTES, Socket, SocketError, Sockets};
use sam_platform::sql::Sql;
use sam_platform::text::Text;

use super::frames::{self, Json};
use super::history::Stored;
use crate::shell::ShellError;

/// Tag of every feed socket.
const TAG: &str = "feed";
/// Close code: the authorisation has run out; connect again.
pub(super) const REAUTHORISE: CloseCode = CloseCode::Application(4001);
/// Close code: something failed here; connect again.
pub(super) const FAILED: CloseCode = CloseCode::Application(4000);

const _: () = assert!(MEMORY_LIMIT <= MAX_ATTACHMENT_BYTES);

/// The feed of one project.
pub(super) struct Feed<'a> {
    pub(super) sql: &'a Sql,
    pub(super) sockets: &'a Sockets,
    pub(super) project: &'a ProjectId,
}

impl<'a> Feed<'a> {
    /// Accepts a follower who was authorised.
    pub(super) fn accept(&self, access: &FeedAccess) -> Result<worker::Response, ApiError> {
        let follower = Follower::new(access.authorised_until);
        // Tagged by person and by sign-in session, so that ending either can close the socket.
        let tags = [TAG, access.user.as_str(), access.auth_session.as_str()];
        self.sockets.set_auto_response(PING, PONG).map_err(failed)?;
        let (_, response) = self.sockets.accept(&tags, &follower).map_err(failed)?;
        Ok(response)
    }

    /// Takes in what a client sent.
    pub(super) fn receive(
        &self,
        socket: &Socket,
        text: &str,
        now: Timestamp,
    ) -> Result<(), ShellError> {
        let Some(mut follower) = attachment(socket) else {
            return Ok(());
        };
        let history = Stored {
            sql: self.sql,
            project: self.project,
        };
        let replies = match follower.receive(&history, text, now)? {
            Received::Expired => {
                close_expired(socket);
                return Ok(());
            }
            Received::Replies(replies) => replies,
        };
        for reply in replies {
            send(socket, &text_of_reply(reply));
        }
        if let Err(error) = socket.attach(&follower) {
            worker::console_error!("feed: {error}");
            let _ = socket.close(FAILED, "the follower could not be stored");
        }
        Ok(())
    }

    /// Who follows anything now. Whoever's authorisation has run out is sent nothing and closed.
    pub(super) fn audience(&self, now: Timestamp) -> Audience<'a> {
        let sockets = self.sockets.tagged(TAG).unwrap_or_else(|error| {
            worker::console_error!("feed: {error}");
            Vec::new()
        });
        let followers = sockets.into_iter().filter_map(|socket| {
            let follower = attachment(&socket)?;
            Some((socket, follower))
        });
        Audience {
            project: self.project,
            followers: audience::Audience::gather(followers, now, |socket| close_expired(&socket)),
        }
    }
}

/// The followers of one moment.
pub(super) struct Audience<'a> {
    project: &'a ProjectId,
    followers: audience::Audience<Socket>,
}

impl Audience<'_> {
    /// Tells of a change of the project's tasks and sessions.
    pub(super) fn project_changed(&self, changed: &Changed<Json>) {
        self.tell(News::Project, || {
            changes(&Scope::Project(self.project.clone()), changed)
        });
    }

    /// Tells of a change of a session's rows, which come as they are stored.
    pub(super) fn rows_changed(&self, session: &SessionId, changed: Changed<Json>) {
        self.tell(News::Rows(session), || {
            let entities = changed.map(|row| frames::row_entity(&row));
            changes(&Scope::Session(session.clone()), &entities)
        });
    }

    /// Passes on text that is not stored yet.
    pub(super) fn delta(&self, session: &SessionId, frame: &ServerFrame) {
        self.tell(News::Delta(session), || text_of(frame));
    }

    /// Tells what a session's agent does.
    pub(super) fn activity(&self, session: &SessionId, frame: &ServerFrame) {
        self.tell(News::Activity(session), || text_of(frame));
    }

    /// Sends one text to all who hear of it; it is put together only if somebody does.
    fn tell(&self, news: News<'_>, frame: impl FnOnce() -> Text) {
        let mut hearing = self.followers.of(news).peekable();
        if hearing.peek().is_none() {
            return;
        }
        let text = frame().handed_over();
        for socket in hearing {
            send(socket, &text);
        }
    }
}

/// What a follower is sent in answer, as it goes onto the wire.
pub(super) fn text_of_reply(reply: Reply<Text>) -> Text {
    match reply {
        Reply::Frame(frame) => text_of(&frame),
        Reply::Page { scope, from, page } => {
            frames::changes(&scope, from, page.to, page.entities, page.more)
        }
    }
}

/// A change as it goes onto the wire.
pub(super) fn changes(scope: &Scope, changed: &Changed<Json>) -> Text {
    let entities = frames::join(&changed.entities);
    frames::changes(scope, changed.from, changed.to(), entities.into(), false)
}

fn failed(error: SocketError) -> ApiError {
    worker::console_error!("feed: {error}");
    ApiError::internal()
}

fn attachment(socket: &Socket) -> Option<Follower> {
    match socket.attachment::<Follower>() {
        Ok(follower) => follower,
        Err(error) => {
            worker::console_error!("feed: {error}");
            None
        }
    }
}

fn close_expired(socket: &Socket) {
    let _ = socket.close(REAUTHORISE, "authorisation expired; connect again");
}

fn text_of(frame: &ServerFrame) -> Text {
    // A frame has no map and no number that JSON could not write.
    serde_json::to_string(frame).unwrap_or_default().into()
}

/// A socket that is gone is no error: its client comes back with its cursor.
fn send(socket: &Socket, text: &Text) {
    let _ = socket.pass_on(text);
}

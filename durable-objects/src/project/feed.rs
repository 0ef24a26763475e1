//! The feed's sockets: who follows what, from where, and what they are sent.
//!
//! A follower of a scope is either catching up, pulling page after page with `next`, or live. It
//! becomes live in the turn in which it is sent the last page, so no change can fall in between: from
//! then on it is sent each change as it is stored. All of it lies in the socket's attachment and
//! outlives hibernation.
//!
//! Invariants:
//! - A live follower's cursor is the scope's counter before the change, so one frame fits them all.
//! - Who is catching up gets no live changes and no deltas.
//! - Nothing is sent past the moment until which the person was authorised: the socket is closed and
//!   the client connects again.

use sam_domain::access::internal::FeedAccess;
use sam_domain::error::ApiError;
use sam_domain::feed::{CLIENT_FRAME_LIMIT, ClientFrame, PAGE_BYTES, Scope, ServerFrame};
use sam_domain::id::{Id as _, ProjectId, SessionId};
use sam_domain::link::frame::{PING, PONG};
use sam_domain::time::Timestamp;
use sam_platform::sockets::{CloseCode, Socket, SocketError, Sockets};
use sam_platform::sql::Sql;
use serde::{Deserialize, Serialize};

use super::entities::{self, EntitiesChanged};
use super::frames::{self, Json};
use super::rows::{self, RowsChanged};
use super::scope::{self, Counters, PROJECT};
use crate::shell::ShellError;

/// Tag of every feed socket.
const TAG: &str = "feed";
/// Most scopes one socket follows; what keeps its attachment within bounds.
const MAX_FOLLOWS: usize = 100;
/// Close code: the authorisation has run out; connect again.
pub(super) const REAUTHORISE: CloseCode = CloseCode::Application(4001);

/// What a feed socket remembers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Follower {
    until: Timestamp,
    follows: Vec<Follow>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Follow {
    /// `None`: the project.
    #[serde(rename = "s", skip_serializing_if = "Option::is_none")]
    session: Option<SessionId>,
    /// While catching up: up to where pages were sent.
    #[serde(rename = "p")]
    paged: u64,
    #[serde(rename = "l")]
    live: bool,
}

impl Follower {
    fn find(&mut self, session: Option<&SessionId>) -> Option<&mut Follow> {
        self.follows
            .iter_mut()
            .find(|follow| follow.session.as_ref() == session)
    }

    fn is_live(&self, session: Option<&SessionId>) -> bool {
        self.follows
            .iter()
            .any(|follow| follow.live && follow.session.as_ref() == session)
    }

    fn forget(&mut self, session: Option<&SessionId>) {
        self.follows
            .retain(|follow| follow.session.as_ref() != session);
    }
}

/// The feed of one project.
pub(super) struct Feed<'a> {
    pub(super) sql: &'a Sql,
    pub(super) sockets: &'a Sockets,
    pub(super) project: &'a ProjectId,
}

impl Feed<'_> {
    /// Accepts a follower who was authorised.
    pub(super) fn accept(&self, access: &FeedAccess) -> Result<worker::Response, ApiError> {
        let follower = Follower {
            until: access.authorised_until,
            follows: Vec::new(),
        };
        // Tagged by person and by sign-in session, so that ending either can close the socket.
        let tags = [TAG, access.user.as_str(), access.auth_session.as_str()];
        self.sockets.set_auto_response(PING, PONG).map_err(failed)?;
        let (_, response) = self.sockets.accept(&tags, &follower).map_err(failed)?;
        Ok(response)
    }

    /// Takes in a client's frame.
    pub(super) fn receive(
        &self,
        socket: &Socket,
        text: &str,
        now: Timestamp,
    ) -> Result<(), ShellError> {
        let Some(mut follower) = attachment(socket) else {
            return Ok(());
        };
        if follower.until <= now {
            close_expired(socket);
            return Ok(());
        }
        if text.len() > CLIENT_FRAME_LIMIT {
            refuse(socket, "frame_too_large", None);
            return Ok(());
        }
        let Ok(frame) = serde_json::from_str::<ClientFrame>(text) else {
            refuse(socket, "malformed", None);
            return Ok(());
        };
        match frame {
            ClientFrame::Follow {
                scope,
                after,
                epoch,
            } => self.follow(socket, &mut follower, scope, after, epoch.as_deref())?,
            ClientFrame::Next { scope, to } => self.next(socket, &mut follower, scope, to)?,
            ClientFrame::Unfollow { scope } => {
                if let Some(session) = self.session_of(&scope) {
                    follower.forget(session);
                }
            }
        }
        if let Err(error) = socket.attach(&follower) {
            worker::console_error!("feed: {error}");
            let _ = socket.close(
                CloseCode::Application(4000),
                "the follower could not be stored",
            );
        }
        Ok(())
    }

    /// The session a scope names (`Some(None)` for the project); `None` for another project's.
    fn session_of<'s>(&self, scope: &'s Scope) -> Option<Option<&'s SessionId>> {
        match scope {
            Scope::Project(project) => (project == self.project).then_some(None),
            Scope::Session(session) => Some(Some(session)),
        }
    }

    fn follow(
        &self,
        socket: &Socket,
        follower: &mut Follower,
        scope: Scope,
        after: u64,
        epoch: Option<&str>,
    ) -> Result<(), ShellError> {
        let Some(session) = self.session_of(&scope) else {
            refuse(socket, "not_found", Some(scope));
            return Ok(());
        };
        if let Some(session) = session
            && entities::get(self.sql, session.as_str())?.is_none()
        {
            refuse(socket, "not_found", Some(scope));
            return Ok(());
        }
        follower.forget(session);
        if follower.follows.len() >= MAX_FOLLOWS {
            refuse(socket, "too_many_follows", Some(scope));
            return Ok(());
        }
        let counters = Counters::load(self.sql, session.map_or(PROJECT, |id| id.as_str()))?;
        let current = scope::epoch(self.sql)?;
        let continues = after == 0
            || (epoch == Some(current.as_str())
                && after >= counters.floor
                && after <= counters.seq);
        if !continues {
            send(socket, &ServerFrame::Reset { scope });
            return Ok(());
        }
        send(
            socket,
            &ServerFrame::Hello {
                scope: scope.clone(),
                epoch: current,
                seq: counters.seq,
                floor: counters.floor,
            },
        );
        let (paged, live) = self.send_page(socket, &scope, session, after, counters.seq)?;
        follower.follows.push(Follow {
            session: session.cloned(),
            paged,
            live,
        });
        Ok(())
    }

    fn next(
        &self,
        socket: &Socket,
        follower: &mut Follower,
        scope: Scope,
        to: u64,
    ) -> Result<(), ShellError> {
        let followed = self
            .session_of(&scope)
            .and_then(|session| follower.find(session).map(|follow| (session, follow)));
        let Some((session, follow)) = followed else {
            refuse(socket, "not_followed", Some(scope));
            return Ok(());
        };
        // A repeated or late `next` asks for what was sent.
        if follow.live || to < follow.paged {
            return Ok(());
        }
        let seq = Counters::load(self.sql, session.map_or(PROJECT, |id| id.as_str()))?.seq;
        let (paged, live) = self.send_page(socket, &scope, session, follow.paged, seq)?;
        follow.paged = paged;
        follow.live = live;
        Ok(())
    }

    /// Sends the page after a sequence number and says up to where it went, and whether that is the
    /// present.
    fn send_page(
        &self,
        socket: &Socket,
        scope: &Scope,
        session: Option<&SessionId>,
        after: u64,
        present: u64,
    ) -> Result<(u64, bool), ShellError> {
        let page = page(self.sql, session, after, present)?;
        let text = frames::changes(scope, after, page.to, &page.entities, page.more);
        send_text(socket, &text);
        Ok((page.to, !page.more))
    }

    /// Who follows anything now. Whoever's authorisation has run out is sent nothing and closed.
    pub(super) fn audience(&self, now: Timestamp) -> Audience {
        let sockets = self.sockets.tagged(TAG).unwrap_or_else(|error| {
            worker::console_error!("feed: {error}");
            Vec::new()
        });
        let mut followers = Vec::with_capacity(sockets.len());
        for socket in sockets {
            match attachment(&socket) {
                Some(follower) if follower.until <= now => close_expired(&socket),
                Some(follower) => followers.push((socket, follower)),
                None => {}
            }
        }
        Audience { followers }
    }

    /// Sends a change of the project's entities to everybody who is live on the project.
    pub(super) fn project_changed(&self, audience: &Audience, changed: &EntitiesChanged) {
        audience.tell(
            |follower| follower.is_live(None),
            || {
                let scope = Scope::Project(self.project.clone());
                let entities = frames::join(&changed.entities);
                frames::changes(&scope, changed.from, changed.to, &entities, false)
            },
        );
    }

    /// Sends a session's delta to everybody who is live on the session.
    pub(super) fn delta(&self, session: &SessionId, frame: &ServerFrame, now: Timestamp) {
        self.audience(now).tell(
            |follower| follower.is_live(Some(session)),
            || text_of(frame),
        );
    }
}

/// The followers of one moment.
pub(super) struct Audience {
    followers: Vec<(Socket, Follower)>,
}

impl Audience {
    /// Sends a change of a session's rows to everybody who is live on it.
    pub(super) fn rows_changed(&self, session: &SessionId, changed: &RowsChanged) {
        self.tell(
            |follower| follower.is_live(Some(session)),
            || {
                let rows = changed.rows.iter().map(|row| frames::row_entity(row));
                let entities = frames::join(&rows.collect::<Vec<_>>());
                let scope = Scope::Session(session.clone());
                frames::changes(&scope, changed.from, changed.to, &entities, false)
            },
        );
    }

    /// Sends what a session's agent does to everybody who is live on the session or the project.
    pub(super) fn activity(&self, session: &SessionId, frame: &ServerFrame) {
        self.tell(
            |follower| follower.is_live(Some(session)) || follower.is_live(None),
            || text_of(frame),
        );
    }

    /// Sends one text to all who watch; it is put together only if somebody does.
    fn tell(&self, watches: impl Fn(&Follower) -> bool, frame: impl FnOnce() -> Json) {
        let mut watching = self
            .followers
            .iter()
            .filter(|(_, follower)| watches(follower))
            .map(|(socket, _)| socket)
            .peekable();
        if watching.peek().is_none() {
            return;
        }
        let text = frame();
        for socket in watching {
            send_text(socket, &text);
        }
    }
}

/// A page of what changed after a sequence number.
pub(super) struct Page {
    /// Up to where it goes.
    pub(super) to: u64,
    /// What changed, in order of seq, as it is now, with commas between.
    pub(super) entities: Json,
    /// Whether there is more after it.
    pub(super) more: bool,
}

/// Reads the page of a scope (`None`: the project) after a sequence number; `present` is the scope's
/// newest. At least one entity where there is one, and at most [`PAGE_BYTES`] otherwise.
pub(super) fn page(
    sql: &Sql,
    session: Option<&SessionId>,
    after: u64,
    present: u64,
) -> Result<Page, ShellError> {
    let Some(session) = session else {
        return project_page(sql, after, present);
    };
    let page = rows::after_seq(sql, session, after)?;
    let to = page.to.unwrap_or(present);
    Ok(Page {
        to,
        entities: page.entities,
        more: to < present,
    })
}

fn project_page(sql: &Sql, after: u64, present: u64) -> Result<Page, ShellError> {
    let mut taken: Vec<Json> = Vec::new();
    let mut bytes = 0;
    let mut reached = after;
    loop {
        let chunk = entities::after_seq(sql, reached)?;
        let is_last = chunk.len() < entities::CHUNK_LEN;
        for (seq, entity) in chunk {
            if let Some(entity) = entity {
                if !taken.is_empty() && bytes + entity.len() > PAGE_BYTES {
                    return Ok(Page {
                        to: reached,
                        entities: frames::join(&taken),
                        more: true,
                    });
                }
                bytes += entity.len();
                taken.push(entity);
            }
            reached = seq;
        }
        if is_last {
            return Ok(Page {
                to: present,
                entities: frames::join(&taken),
                more: false,
            });
        }
    }
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

fn refuse(socket: &Socket, code: &str, scope: Option<Scope>) {
    send(
        socket,
        &ServerFrame::Refused {
            code: code.to_owned(),
            scope,
        },
    );
}

fn text_of(frame: &ServerFrame) -> Json {
    // A frame has no map and no number that JSON could not write.
    serde_json::to_string(frame).unwrap_or_default()
}

fn send(socket: &Socket, frame: &ServerFrame) {
    send_text(socket, &text_of(frame));
}

/// A socket that is gone is no error: its client comes back with its cursor.
fn send_text(socket: &Socket, text: &str) {
    let _ = socket.send_text(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use sam_platform::sockets::MAX_ATTACHMENT_BYTES;

    #[test]
    fn the_most_follows_fit_into_an_attachment() {
        let follower = Follower {
            until: Timestamp(u64::MAX),
            follows: (0..MAX_FOLLOWS)
                .map(|number| Follow {
                    session: Some(SessionId::mint(Timestamp(1), number as u128)),
                    paged: u64::MAX,
                    live: false,
                })
                .collect(),
        };
        let text = serde_json::to_string(&follower).unwrap();
        assert!(text.len() < MAX_ATTACHMENT_BYTES, "{}", text.len());
    }

    #[test]
    fn a_follower_is_found_by_scope() {
        let session = SessionId::mint(Timestamp(1), 1);
        let mut follower = Follower {
            until: Timestamp(1),
            follows: vec![
                Follow {
                    session: None,
                    paged: 0,
                    live: true,
                },
                Follow {
                    session: Some(session.clone()),
                    paged: 3,
                    live: false,
                },
            ],
        };
        assert!(follower.is_live(None));
        assert!(!follower.is_live(Some(&session)));
        follower.forget(None);
        assert!(!follower.is_live(None));
        assert_eq!(
            follower.find(Some(&session)).map(|follow| follow.paged),
            Some(3)
        );
    }
}

//! Who follows what from where: the feed's serving end, without I/O.
//!
//! A follower of a scope is either catching up, pulling page after page with
//! `next`, or live. It becomes live in the turn in which it is sent the last
//! page, so no change can fall in between: from then on it is sent each change
//! as it is stored ([`audience`](super::audience)). What a follower remembers
//! fits into a socket's attachment and outlives hibernation. ProjectData and the
//! simulator run this unchanged.
//!
//! Invariants:
//! - A live follower's cursor is the scope's counter before the change, so one
//!   frame fits them all.
//! - Who is catching up gets no live changes and no deltas.
//! - Nobody is led past a tombstone that was purged: whoever stands below the
//!   floor begins afresh, also when it moves in the midst of catching up.

use super::history::{History, Page, Present, page};
use super::{CLIENT_FRAME_LIMIT, ClientFrame, Scope, ServerFrame};
use crate::id::{ProjectId, SessionId};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Most scopes one socket follows; what keeps its attachment within bounds.
pub const MAX_FOLLOWS: usize = 100;
/// Most bytes of what a follower remembers, as JSON.
pub const MEMORY_LIMIT: usize = 12 * 1024;

/// What a feed socket remembers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Follower {
    until: Timestamp,
    follows: Vec<Follow>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Follow {
    /// `None`: the project.
    #[serde(rename = "s", skip_serializing_if = "Option::is_none")]
    session: Option<SessionId>,
    /// While catching up: up to where pages were sent.
    #[serde(rename = "p")]
    paged: u64,
    #[serde(rename = "l")]
    live: bool,
    /// The floor when it began; tombstones purged since then may be missed.
    #[serde(rename = "f", default)]
    floor: u64,
}

/// How far a follower of one scope is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Pages are pulled.
    CatchingUp,
    /// Changes come as they are stored.
    Live,
}

/// What a frame of a client leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received<E> {
    /// The person's authorisation has run out: the socket is to be closed.
    Expired,
    /// What the client is sent, in order.
    Replies(Vec<Reply<E>>),
}

/// What a client is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply<E> {
    /// A frame as it is.
    Frame(ServerFrame),
    /// A page, as a `changes` frame.
    Page {
        /// Of which scope.
        scope: Scope,
        /// Exclusive lower end.
        from: u64,
        /// What is on it.
        page: Page<E>,
    },
}

impl Follower {
    /// A socket that follows nothing yet, of a person who is authorised until
    /// that moment.
    #[must_use]
    pub const fn new(until: Timestamp) -> Self {
        Self {
            until,
            follows: Vec::new(),
        }
    }

    /// Whether the person's authorisation has run out.
    #[must_use]
    pub const fn is_expired(&self, now: Timestamp) -> bool {
        self.until.0 <= now.0
    }

    /// How far it is with a session (`None`: with the project); `None` when it
    /// does not follow it.
    #[must_use]
    pub fn standing(&self, session: Option<&SessionId>) -> Option<Standing> {
        self.follows
            .iter()
            .find(|follow| follow.session.as_ref() == session)
            .map(|follow| match follow.live {
                true => Standing::Live,
                false => Standing::CatchingUp,
            })
    }

    /// Whether it is sent the changes of a session (`None`: of the project).
    #[must_use]
    pub fn is_live(&self, session: Option<&SessionId>) -> bool {
        self.standing(session) == Some(Standing::Live)
    }

    /// Takes in what a client sent and says what it leads to. What is no frame
    /// is refused, and the socket stays open.
    ///
    /// # Errors
    /// What reading the history fails with; the follower is then as it was, or
    /// follows the scope no more.
    pub fn receive<H: History>(
        &mut self,
        history: &H,
        text: &str,
        now: Timestamp,
    ) -> Result<Received<H::Entities>, H::Error> {
        if self.is_expired(now) {
            return Ok(Received::Expired);
        }
        let replies = if text.len() > CLIENT_FRAME_LIMIT {
            refused("frame_too_large", None)
        } else if let Ok(frame) = crate::json::from_str(text) {
            self.hear(history, frame)?
        } else {
            refused("malformed", None)
        };
        Ok(Received::Replies(replies))
    }

    fn hear<H: History>(
        &mut self,
        history: &H,
        frame: ClientFrame,
    ) -> Result<Vec<Reply<H::Entities>>, H::Error> {
        match frame {
            ClientFrame::Follow {
                scope,
                after,
                epoch,
            } => self.follow(history, scope, after, epoch.as_deref()),
            ClientFrame::Next { scope, to } => self.next(history, scope, to),
            ClientFrame::Unfollow { scope } => {
                if let Some(session) = session_of(history.project(), &scope) {
                    self.forget(session);
                }
                Ok(Vec::new())
            }
        }
    }

    fn follow<H: History>(
        &mut self,
        history: &H,
        scope: Scope,
        after: u64,
        epoch: Option<&str>,
    ) -> Result<Vec<Reply<H::Entities>>, H::Error> {
        let Some(session) = session_of(history.project(), &scope) else {
            return Ok(refused("not_found", Some(scope)));
        };
        let Some(present) = history.present(&scope)? else {
            return Ok(refused("not_found", Some(scope)));
        };
        self.forget(session);
        if self.follows.len() >= MAX_FOLLOWS {
            return Ok(refused("too_many_follows", Some(scope)));
        }
        let Present {
            epoch: current,
            counters,
        } = present;
        if !counters.continues(after, epoch, &current) {
            return Ok(vec![Reply::Frame(ServerFrame::Reset { scope })]);
        }
        let page = page(history, &scope, after, counters.seq)?;
        self.follows.push(Follow {
            session: session.cloned(),
            paged: page.to,
            live: !page.more,
            floor: counters.floor,
        });
        let hello = ServerFrame::Hello {
            scope: scope.clone(),
            epoch: current,
            seq: counters.seq,
            floor: counters.floor,
        };
        let from = after;
        Ok(vec![Reply::Frame(hello), Reply::Page { scope, from, page }])
    }

    fn next<H: History>(
        &mut self,
        history: &H,
        scope: Scope,
        to: u64,
    ) -> Result<Vec<Reply<H::Entities>>, H::Error> {
        let held = session_of(history.project(), &scope).and_then(|session| {
            self.follows
                .iter_mut()
                .find(|follow| follow.session.as_ref() == session)
        });
        let Some(follow) = held else {
            return Ok(refused("not_followed", Some(scope)));
        };
        // A repeated or late `next` asks for what was sent.
        if follow.live || to < follow.paged {
            return Ok(Vec::new());
        }
        let Some(Present { counters, .. }) = history.present(&scope)? else {
            return Ok(refused("not_found", Some(scope)));
        };
        let from = follow.paged;
        let missed = follow.floor < counters.floor && from < counters.floor;
        if missed || from > counters.seq {
            let session = follow.session.clone();
            self.forget(session.as_ref());
            return Ok(vec![Reply::Frame(ServerFrame::Reset { scope })]);
        }
        let page = page(history, &scope, from, counters.seq)?;
        follow.paged = page.to;
        follow.live = !page.more;
        Ok(vec![Reply::Page { scope, from, page }])
    }

    fn forget(&mut self, session: Option<&SessionId>) {
        self.follows
            .retain(|follow| follow.session.as_ref() != session);
    }
}

/// The session a scope names (`Some(None)`: the project); `None` for another
/// project's.
fn session_of<'s>(project: &ProjectId, scope: &'s Scope) -> Option<Option<&'s SessionId>> {
    match scope {
        Scope::Project(named) => (named == project).then_some(None),
        Scope::Session(session) => Some(Some(session)),
    }
}

fn refused<E>(code: &str, scope: Option<Scope>) -> Vec<Reply<E>> {
    vec![Reply::Frame(ServerFrame::Refused {
        code: code.to_owned(),
        scope,
    })]
}

#[cfg(test)]
mod tests {
    use super::super::PAGE_BYTES;
    use super::super::history::{Ahead, Counters};
    use super::*;
    use crate::id::Id as _;

    const NOW: Timestamp = Timestamp(1);

    #[test]
    fn the_most_follows_fit_into_what_a_follower_remembers() {
        let follower = Follower {
            until: Timestamp(u64::MAX),
            follows: (0..MAX_FOLLOWS)
                .map(|number| Follow {
                    session: Some(session(number as u128)),
                    paged: u64::MAX,
                    live: false,
                    floor: u64::MAX,
                })
                .collect(),
        };
        let text = serde_json::to_string(&follower).unwrap();
        assert!(text.len() <= MEMORY_LIMIT, "{}", text.len());
    }

    fn session(number: u128) -> SessionId {
        SessionId::mint(Timestamp(1), number)
    }

    /// A project each of whose scopes has rows 1 to 200, of which the one under
    /// `gone` was removed.
    struct Rows {
        project: ProjectId,
        counters: Counters,
        gone: Option<u64>,
    }

    impl Rows {
        fn new() -> Self {
            Self {
                project: ProjectId::mint(Timestamp(1), 1),
                counters: Counters {
                    seq: 200,
                    pos: 200,
                    floor: 0,
                },
                gone: None,
            }
        }
    }

    impl History for Rows {
        type Entities = Vec<u64>;
        type Error = std::convert::Infallible;

        fn project(&self) -> &ProjectId {
            &self.project
        }

        fn present(&self, scope: &Scope) -> Result<Option<Present>, Self::Error> {
            let absent = *scope == Scope::Session(session(404));
            Ok((!absent).then(|| Present {
                epoch: "epoch".to_owned(),
                counters: self.counters,
            }))
        }

        fn ahead(&self, scope: &Scope, after: u64) -> Result<Ahead, Self::Error> {
            let Ok(left) = self.read(scope, after, self.counters.seq);
            let sizes = left.iter().map(|seq| (*seq, PAGE_BYTES / 3)).take(7);
            Ok(Ahead {
                sizes: sizes.collect(),
                is_all: left.len() <= 7,
            })
        }

        fn read(&self, _: &Scope, after: u64, to: u64) -> Result<Vec<u64>, Self::Error> {
            Ok((after + 1..=to)
                .filter(|seq| Some(*seq) != self.gone)
                .collect())
        }
    }

    /// What a follower is sent, with its memory through a socket's attachment.
    fn say(follower: &mut Follower, rows: &Rows, frame: &ClientFrame) -> Vec<Reply<Vec<u64>>> {
        let kept = serde_json::to_string(follower).unwrap();
        *follower = serde_json::from_str(&kept).unwrap();
        let text = serde_json::to_string(frame).unwrap();
        match follower.receive(rows, &text, NOW) {
            Ok(Received::Replies(replies)) => replies,
            other => panic!("{other:?}"),
        }
    }

    fn follow(scope: &Scope, after: u64) -> ClientFrame {
        ClientFrame::Follow {
            scope: scope.clone(),
            after,
            epoch: Some("epoch".to_owned()),
        }
    }

    fn next(scope: &Scope, to: u64) -> ClientFrame {
        ClientFrame::Next {
            scope: scope.clone(),
            to,
        }
    }

    #[test]
    fn nobody_is_led_past_a_tombstone_that_was_purged() {
        let scope = Scope::Session(session(1));
        let mut rows = Rows::new();
        let mut follower = Follower::new(Timestamp(2));
        let first = say(&mut follower, &rows, &follow(&scope, 0));
        assert_eq!(first.len(), 2);
        // A row of that page is removed, and its tombstone is purged at once.
        rows.gone = Some(1);
        rows.counters.next_seq();
        assert!(rows.counters.purge(u64::MAX));
        let second = say(&mut follower, &rows, &next(&scope, 3));
        assert_eq!(second, [Reply::Frame(ServerFrame::Reset { scope })]);
        assert_eq!(follower.standing(Some(&session(1))), None);
    }

    #[test]
    fn a_repeated_or_late_next_brings_nothing_twice() {
        let rows = Rows::new();
        let scope = Scope::Session(session(1));
        let mut follower = Follower::new(Timestamp(2));
        assert_eq!(say(&mut follower, &rows, &follow(&scope, 190)).len(), 2);
        let mut told = Vec::new();
        for to in [193, 193, 190, 196, 199, 199, 200] {
            for reply in say(&mut follower, &rows, &next(&scope, to)) {
                match reply {
                    Reply::Page { from, page, .. } => told.push((from, page.to, page.more)),
                    Reply::Frame(frame) => panic!("{frame:?}"),
                }
            }
        }
        assert_eq!(
            told,
            [(193, 196, true), (196, 199, true), (199, 200, false)]
        );
        assert!(follower.is_live(Some(&session(1))) && !follower.is_live(None));
    }

    #[test]
    fn who_is_at_the_present_is_live_and_reads_nothing() {
        let rows = Rows::new();
        let scope = Scope::Project(rows.project.clone());
        let mut follower = Follower::new(Timestamp(2));
        let replies = say(&mut follower, &rows, &follow(&scope, 200));
        let page = Page {
            to: 200,
            entities: Vec::new(),
            more: false,
        };
        let from = 200;
        assert_eq!(replies[1..], [Reply::Page { scope, from, page }]);
        assert!(follower.is_live(None) && !follower.is_live(Some(&session(1))));
    }

    #[test]
    fn what_is_anothers_or_none_is_refused_and_nothing_is_forgotten() {
        let rows = Rows::new();
        let own = Scope::Project(rows.project.clone());
        let others = Scope::Project(ProjectId::mint(Timestamp(1), 2));
        let absent = Scope::Session(session(404));
        let mut follower = Follower::new(Timestamp(2));
        say(&mut follower, &rows, &follow(&own, 200));
        let unfollow = ClientFrame::Unfollow {
            scope: others.clone(),
        };
        assert_eq!(say(&mut follower, &rows, &unfollow), []);
        for (frame, code, scope) in [
            (follow(&others, 0), "not_found", &others),
            (next(&others, 0), "not_followed", &others),
            (follow(&absent, 0), "not_found", &absent),
            (next(&absent, 0), "not_followed", &absent),
        ] {
            let replies = say(&mut follower, &rows, &frame);
            assert_eq!(replies, refused(code, Some(scope.clone())), "{frame:?}");
        }
        for number in 1..MAX_FOLLOWS {
            let scope = Scope::Session(session(number as u128));
            assert_eq!(say(&mut follower, &rows, &follow(&scope, 0)).len(), 2);
        }
        let one_more = Scope::Session(session(1_000));
        let replies = say(&mut follower, &rows, &follow(&one_more, 0));
        assert_eq!(replies, refused("too_many_follows", Some(one_more)));
        assert!(follower.is_live(None));
    }

    #[test]
    fn what_is_no_frame_is_refused_and_an_expired_follower_hears_nothing() {
        let rows = Rows::new();
        let mut follower = Follower::new(Timestamp(2));
        let long = " ".repeat(CLIENT_FRAME_LIMIT + 1);
        for (text, code) in [("", "malformed"), (long.as_str(), "frame_too_large")] {
            let Ok(received) = follower.receive(&rows, text, NOW);
            assert_eq!(received, Received::Replies(refused(code, None)));
        }
        let Ok(received) = follower.receive(&rows, "", Timestamp(2));
        assert_eq!(received, Received::Expired);
    }
}

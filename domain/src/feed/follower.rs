//! Who follows what from where: the feed's serving end, without I/O.
//!
//! A follower of a scope is either catching up, pulling page after page with
//! `next`, or live. It becomes live in the turn in which it is sent the last
//! page, so no change can fall in between: from then on it is sent each change
//! as it is stored. What a follower remembers fits into a socket's attachment
//! and outlives hibernation. ProjectData and the simulator run this unchanged.
//!
//! Invariants:
//! - A live follower's cursor is the scope's counter before the change, so one
//!   frame fits them all.
//! - Who is catching up gets no live changes and no deltas.
//! - Nobody is led past a tombstone that was purged: whoever stands below the
//!   floor begins afresh, also when it moves in the midst of catching up.

use super::history::{History, Page, page};
use super::{ClientFrame, Scope, ServerFrame};
use crate::id::SessionId;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Most scopes one socket follows; what keeps its attachment within bounds.
pub const MAX_FOLLOWS: usize = 100;

/// What a feed socket remembers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Follower {
    /// Until when the person is authorised.
    pub until: Timestamp,
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

/// What a client is sent in answer to its frame, in order.
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
    /// A socket that follows nothing yet.
    #[must_use]
    pub const fn new(until: Timestamp) -> Self {
        Self {
            until,
            follows: Vec::new(),
        }
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

    /// Takes in a client's frame and says what it is sent.
    ///
    /// # Errors
    /// What reading the history fails with; the follower is then as it was, or
    /// follows the scope no more.
    pub fn hear<H: History>(
        &mut self,
        history: &H,
        frame: ClientFrame,
    ) -> Result<Vec<Reply<H::Entity>>, H::Error> {
        match frame {
            ClientFrame::Follow {
                scope,
                after,
                epoch,
            } => self.follow(history, scope, after, epoch.as_deref()),
            ClientFrame::Next { scope, to } => self.next(history, scope, to),
            ClientFrame::Unfollow { scope } => {
                self.forget(session_of(&scope));
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
    ) -> Result<Vec<Reply<H::Entity>>, H::Error> {
        let Some(counters) = history.counters(&scope)? else {
            return Ok(refused("not_found", scope));
        };
        self.forget(session_of(&scope));
        if self.follows.len() >= MAX_FOLLOWS {
            return Ok(refused("too_many_follows", scope));
        }
        let current = history.epoch()?;
        if !counters.continues(after, epoch, &current) {
            return Ok(vec![Reply::Frame(ServerFrame::Reset { scope })]);
        }
        let page = page(history, &scope, after, counters.seq)?;
        self.follows.push(Follow {
            session: session_of(&scope).cloned(),
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
    ) -> Result<Vec<Reply<H::Entity>>, H::Error> {
        let held = self
            .follows
            .iter_mut()
            .find(|follow| follow.session.as_ref() == session_of(&scope));
        let Some(follow) = held else {
            return Ok(refused("not_followed", scope));
        };
        // A repeated or late `next` asks for what was sent.
        if follow.live || to < follow.paged {
            return Ok(Vec::new());
        }
        let Some(counters) = history.counters(&scope)? else {
            return Ok(refused("not_found", scope));
        };
        let from = follow.paged;
        let missed = follow.floor < counters.floor && from < counters.floor;
        if missed || from > counters.seq {
            self.forget(session_of(&scope));
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

/// The session a scope names; `None` for the project.
const fn session_of(scope: &Scope) -> Option<&SessionId> {
    match scope {
        Scope::Project(_) => None,
        Scope::Session(session) => Some(session),
    }
}

fn refused<E>(code: &str, scope: Scope) -> Vec<Reply<E>> {
    vec![Reply::Frame(ServerFrame::Refused {
        code: code.to_owned(),
        scope: Some(scope),
    })]
}

#[cfg(test)]
mod tests {
    use super::super::PAGE_BYTES;
    use super::super::history::{CHUNK, Chunk, Counters};
    use super::*;
    use crate::id::Id as _;

    #[test]
    fn the_most_follows_fit_into_an_attachment() {
        let follower = Follower {
            until: Timestamp(u64::MAX),
            follows: (0..MAX_FOLLOWS)
                .map(|number| Follow {
                    session: Some(SessionId::mint(Timestamp(1), number as u128)),
                    paged: u64::MAX,
                    live: false,
                    floor: u64::MAX,
                })
                .collect(),
        };
        // A socket's attachment holds 16 KiB.
        let text = serde_json::to_string(&follower).unwrap();
        assert!(text.len() < 16 * 1024, "{}", text.len());
    }

    /// A session of rows 1 to 200, of which the one under `gone` was removed.
    struct Rows {
        counters: Counters,
        gone: Option<u64>,
    }

    impl History for Rows {
        type Entity = u64;
        type Error = std::convert::Infallible;

        fn epoch(&self) -> Result<String, Self::Error> {
            Ok("epoch".to_owned())
        }

        fn counters(&self, _: &Scope) -> Result<Option<Counters>, Self::Error> {
            Ok(Some(self.counters))
        }

        fn after(&self, _: &Scope, after: u64) -> Result<Chunk<u64>, Self::Error> {
            let left = (after + 1..=self.counters.seq).filter(|seq| Some(*seq) != self.gone);
            Ok(left.take(CHUNK).map(|seq| (seq, Some(seq))).collect())
        }

        fn size(_: &u64) -> usize {
            PAGE_BYTES / 3
        }
    }

    #[test]
    fn nobody_is_led_past_a_tombstone_that_was_purged() {
        let scope = Scope::Session(SessionId::mint(Timestamp(1), 1));
        let mut rows = Rows {
            counters: Counters {
                seq: 200,
                pos: 200,
                floor: 0,
            },
            gone: None,
        };
        let mut follower = Follower::new(Timestamp(1));
        let follow = ClientFrame::Follow {
            scope: scope.clone(),
            after: 0,
            epoch: None,
        };
        let Ok(first) = follower.hear(&rows, follow);
        assert_eq!(first.len(), 2);
        // A row of that page is removed, and its tombstone is purged at once.
        rows.gone = Some(1);
        rows.counters.next_seq();
        assert!(rows.counters.purge(u64::MAX));
        let next = ClientFrame::Next {
            scope: scope.clone(),
            to: 3,
        };
        let Ok(second) = follower.hear(&rows, next);
        assert_eq!(second, [Reply::Frame(ServerFrame::Reset { scope })]);
        assert_eq!(follower.standing(None), None);
    }
}

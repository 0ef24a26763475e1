//! Who is sent what is new, without I/O.
//!
//! Invariants:
//! - Only who is live hears of anything; so what is sent continues exactly where
//!   a cursor stands.
//! - Nothing is sent past the moment until which a person was authorised.

use super::follower::Follower;
use crate::id::SessionId;
use crate::time::Timestamp;

/// What followers hear of as it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News<'a> {
    /// The project's tasks and sessions changed.
    Project,
    /// A session's rows changed.
    Rows(&'a SessionId),
    /// Text of a session's row that is not stored yet.
    Delta(&'a SessionId),
    /// What a session's agent does.
    Activity(&'a SessionId),
}

impl Follower {
    /// Whether it is sent this.
    #[must_use]
    pub fn hears(&self, news: News<'_>) -> bool {
        match news {
            News::Project => self.is_live(None),
            News::Rows(session) | News::Delta(session) => self.is_live(Some(session)),
            News::Activity(session) => self.is_live(Some(session)) || self.is_live(None),
        }
    }
}

/// The followers of one moment, each with its socket.
#[derive(Debug)]
pub struct Audience<S> {
    followers: Vec<(S, Follower)>,
}

impl<S> Audience<S> {
    /// Who follows anything now. The sockets of those whose authorisation has
    /// run out are handed to `expired`, to be closed.
    pub fn gather(
        followers: impl IntoIterator<Item = (S, Follower)>,
        now: Timestamp,
        mut expired: impl FnMut(S),
    ) -> Self {
        let followers = followers
            .into_iter()
            .filter_map(|(socket, follower)| {
                if follower.is_expired(now) {
                    expired(socket);
                    return None;
                }
                Some((socket, follower))
            })
            .collect();
        Self { followers }
    }

    /// The sockets of those who are sent this.
    pub fn of<'a>(&'a self, news: News<'a>) -> impl Iterator<Item = &'a S> {
        self.followers
            .iter()
            .filter(move |(_, follower)| follower.hears(news))
            .map(|(socket, _)| socket)
    }
}

//! The control plane's end of the link, without I/O.
//!
//! Model: which connection is the link, which disk is behind it, and how far
//! that disk's events are stored. It is a part of the node machine's state and
//! is stored with it, so an event's number moves in the same write as the
//! event's effects.
//!
//! Invariants:
//! - One connection is the link; a newer hello replaces the older one, and a
//!   hello of an older connection that comes late changes nothing.
//! - An event is taken in exactly once and in order within a store id.
//! - A node is contested when a disk or a process comes back that another had
//!   replaced: a process that ended cannot return and a lost disk is not found
//!   again, so two agents share the node's identity.
//! - A disk that does not know the process that was last behind the node is a
//!   copy or an older state of the one that was: what was on that is lost.

use serde::{Deserialize, Serialize};

/// Most earlier disks, and most earlier processes, that are remembered.
const REMEMBERED: usize = 8;

/// The control plane's end of one node's link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectEnd {
    /// The connection that is the link, if one is up. Numbers are given by the
    /// shell and grow.
    pub connection: Option<u64>,
    /// The disk behind the node, once it said hello.
    pub store_id: Option<String>,
    /// Disks that were behind it before, newest last.
    pub former_stores: Vec<String>,
    /// The process behind the node, once it said hello.
    #[serde(default)]
    pub boot_id: Option<String>,
    /// Processes that were behind it before, newest last.
    #[serde(default)]
    pub former_boots: Vec<String>,
    /// The newest connection that said hello.
    #[serde(default)]
    pub newest: u64,
    /// Events of the current store up to this number are stored with their effects.
    pub acked_event: u64,
}

/// What a hello means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hello {
    /// The disk that was there before, or the first one.
    Same,
    /// Another disk: what was on the old one is lost.
    NewStore,
    /// A disk that was left behind before: refuse it.
    Contested,
    /// A process that was left behind before, on the disk that is held or a
    /// copy of it: refuse it. Which of the two has done what is not known.
    Copied,
    /// The disk that is held by its name, but a copy or another state of it:
    /// what was on it is lost.
    Rewound,
    /// A newer connection has said hello before: close this one.
    Late,
}

/// Who says hello.
#[derive(Clone, Copy, Debug)]
pub struct Who<'a> {
    /// Its disk.
    pub store_id: &'a str,
    /// Its process.
    pub boot_id: &'a str,
    /// The processes that ran on its disk before, when it says so.
    pub boots: Option<&'a [String]>,
}

/// What to do with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// Take it in; its number counts as stored with its effects.
    Take,
    /// It was taken in before: acknowledge it again.
    Seen,
    /// One before it is missing, or it is from another connection: ignore it.
    Ignore,
}

impl ObjectEnd {
    /// Takes in a hello on `connection`. Returns what it means and the older
    /// connection that has to be closed.
    pub fn hello(
        &mut self,
        connection: u64,
        Who {
            store_id,
            boot_id,
            boots,
        }: Who<'_>,
        next_event: u64,
    ) -> (Hello, Option<u64>) {
        if connection < self.newest {
            return (Hello::Late, None);
        }
        let left = |former: &[String], id: &str| former.iter().any(|left| left == id);
        if left(&self.former_stores, store_id) {
            return (Hello::Contested, None);
        }
        if left(&self.former_boots, boot_id) {
            return (Hello::Copied, None);
        }
        let unknown =
            |held: &String| held != boot_id && boots.is_some_and(|boots| !boots.contains(held));
        let same_store = self.store_id.as_deref() == Some(store_id);
        // An agent forgets no event before it is acknowledged.
        let ahead = next_event > self.acked_event + 1;
        let rewound = same_store && (ahead || self.boot_id.as_ref().is_some_and(unknown));
        if rewound && self.connection.is_some() {
            return (Hello::Copied, None);
        }
        self.newest = connection;
        let replaced = self.connection.filter(|held| *held != connection);
        self.connection = Some(connection);
        let meaning = match &self.store_id {
            Some(_) if rewound => {
                self.acked_event = next_event.saturating_sub(1);
                Hello::Rewound
            }
            Some(held) if held == store_id => Hello::Same,
            None => {
                self.acked_event = next_event.saturating_sub(1);
                Hello::Same
            }
            Some(_) => {
                self.acked_event = next_event.saturating_sub(1);
                Hello::NewStore
            }
        };
        leave(&mut self.store_id, &mut self.former_stores, store_id);
        leave(&mut self.boot_id, &mut self.former_boots, boot_id);
        (meaning, replaced)
    }

    /// A person joined the node anew: whoever presents the new token is it.
    pub fn forget_rivals(&mut self) {
        self.former_stores.clear();
        self.former_boots.clear();
        self.boot_id = None;
    }

    /// The connection is gone. Returns whether it was the link.
    pub fn closed(&mut self, connection: u64) -> bool {
        let was_link = self.connection == Some(connection);
        if was_link {
            self.connection = None;
        }
        was_link
    }

    /// Judges event `n` on `connection`, and counts it when it is taken in.
    pub fn event(&mut self, connection: u64, n: u64) -> Incoming {
        if self.connection != Some(connection) {
            return Incoming::Ignore;
        }
        if n <= self.acked_event {
            return Incoming::Seen;
        }
        if n != self.acked_event + 1 {
            return Incoming::Ignore;
        }
        self.acked_event = n;
        Incoming::Take
    }
}

/// Puts `id` in the place of the one that is held, which becomes a former one.
fn leave(held: &mut Option<String>, former: &mut Vec<String>, id: &str) {
    if held.as_deref() == Some(id) {
        return;
    }
    former.extend(held.replace(id.to_owned()));
    let excess = former.len().saturating_sub(REMEMBERED);
    former.drain(..excess);
}

//! What a feed reads and writes: counters, entities, tombstones, without I/O.
//!
//! Each scope counts for itself and without gaps. An entity lies under the last
//! number that touched it; one that was removed leaves a tombstone under a
//! number of its own. Purging tombstones moves the floor; cursors below it
//! cannot be continued. A restore makes another epoch, and no cursor of the old
//! one is continued.
//!
//! Where a page ends is decided here, by the sizes of what lies ahead; the
//! store then reads the page as one piece, in whatever form it keeps it.

use super::{PAGE_BYTES, Scope};
use crate::collect::Map;
use crate::id::ProjectId;
use serde::{Deserialize, Serialize};

/// Most entities and tombstones of a page.
pub const PAGE_ENTITIES: usize = 1_000;

/// A scope's counters. Changed in memory and saved once at the end of a turn's work on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// The newest sequence number given.
    pub seq: u64,
    /// The newest position given; positions order a session's rows on the screen.
    pub pos: u64,
    /// Cursors below it cannot be continued, because tombstones were purged.
    pub floor: u64,
}

impl Counters {
    /// The next sequence number.
    pub const fn next_seq(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }

    /// The next position.
    pub const fn next_pos(&mut self) -> u64 {
        self.pos += 1;
        self.pos
    }

    /// Tombstones up to and including this number are removed in the same
    /// write. Returns whether there is anything to do.
    pub const fn purge(&mut self, through: u64) -> bool {
        let through = if through < self.seq {
            through
        } else {
            self.seq
        };
        let moves = through > self.floor;
        if moves {
            self.floor = through;
        }
        moves
    }

    /// Whether a cursor can go on from here. Who holds nothing always can.
    #[must_use]
    pub fn continues(&self, after: u64, epoch: Option<&str>, current: &str) -> bool {
        after == 0 || (epoch == Some(current) && after >= self.floor && after <= self.seq)
    }
}

/// A turn's work on one scope, while it goes on.
#[derive(Clone, Debug)]
pub struct Changeset<E> {
    counters: Counters,
    from: u64,
    entities: Map<u64, E>,
}

/// What a turn changed in one scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed<E> {
    /// The counters after it, to be stored in the same turn.
    pub counters: Counters,
    /// The newest number before it: the cursor of every live follower.
    pub from: u64,
    /// What changed, in order of seq, each as it is after the turn.
    pub entities: Vec<E>,
}

impl<E> Changeset<E> {
    /// Work on a scope with these counters.
    #[must_use]
    pub const fn new(counters: Counters) -> Self {
        Self {
            counters,
            from: counters.seq,
            entities: Map::new(),
        }
    }

    /// The counters so far; a copy from which the next number is taken, and
    /// which counts once it comes back with [`Self::put`].
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// An entity, or the tombstone of one, lies under the newest number of
    /// `counters`, and no longer under the one it had.
    pub fn put(&mut self, counters: Counters, had: Option<u64>, entity: E) {
        if let Some(had) = had {
            // An earlier version of the same turn is not shown any more.
            self.entities.remove(&had);
        }
        self.counters = counters;
        self.entities.insert(counters.seq, entity);
    }

    /// What changed; `None` when nothing did.
    #[must_use]
    pub fn finish(self) -> Option<Changed<E>> {
        (self.counters.seq != self.from).then(|| Changed {
            counters: self.counters,
            from: self.from,
            entities: self.entities.into_values().collect(),
        })
    }
}

impl<E> Changed<E> {
    /// The newest number after it: the cursor of whoever takes it in.
    #[must_use]
    pub const fn to(&self) -> u64 {
        self.counters.seq
    }

    /// The same change with its entities in another form.
    #[must_use]
    pub fn map<F>(self, form: impl FnMut(E) -> F) -> Changed<F> {
        Changed {
            counters: self.counters,
            from: self.from,
            entities: self.entities.into_iter().map(form).collect(),
        }
    }
}

/// Where a scope's history stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Present {
    /// The history's epoch: another one after a restore.
    pub epoch: String,
    /// The scope's counters.
    pub counters: Counters,
}

/// What lies after a number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ahead {
    /// Numbers of entities and tombstones, ascending, each with the bytes it takes in a frame.
    pub sizes: Vec<(u64, usize)>,
    /// Whether that is all there is.
    pub is_all: bool,
}

/// A stored history that can be followed: one project's, with its sessions.
pub trait History {
    /// Entities and tombstones as they go into a frame; by default none.
    type Entities: Default;
    /// What reading fails with.
    type Error;

    /// Whose history it is. Scopes of other projects are not asked for.
    fn project(&self) -> &ProjectId;

    /// Where a scope stands; `None` for a session that is not there.
    ///
    /// # Errors
    /// When it cannot be read.
    fn present(&self, scope: &Scope) -> Result<Option<Present>, Self::Error>;

    /// What lies after a number: at most [`PAGE_ENTITIES`], at least one where
    /// there is one.
    ///
    /// # Errors
    /// When it cannot be read.
    fn ahead(&self, scope: &Scope, after: u64) -> Result<Ahead, Self::Error>;

    /// All that lies under `after < seq <= to`, in order of its numbers.
    ///
    /// # Errors
    /// When it cannot be read.
    fn read(&self, scope: &Scope, after: u64, to: u64) -> Result<Self::Entities, Self::Error>;
}

/// A page of what changed after a sequence number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<E> {
    /// Up to where it goes.
    pub to: u64,
    /// What changed, in order of seq, as it is now.
    pub entities: E,
    /// Whether there is more after it.
    pub more: bool,
}

/// Reads the page of a scope after a sequence number; `newest` is the scope's
/// newest. At least one entity where there is one, and at most [`PAGE_BYTES`]
/// otherwise.
///
/// # Errors
/// What reading fails with.
pub fn page<H: History>(
    history: &H,
    scope: &Scope,
    after: u64,
    newest: u64,
) -> Result<Page<H::Entities>, H::Error> {
    let ahead = match after < newest {
        true => history.ahead(scope, after)?,
        false => Ahead::default(),
    };
    let to = end(&ahead, newest);
    let entities = match ahead.sizes.is_empty() {
        true => H::Entities::default(),
        false => history.read(scope, after, to)?,
    };
    let more = to < newest;
    Ok(Page { to, entities, more })
}

/// Up to which number a page goes.
fn end(ahead: &Ahead, newest: u64) -> u64 {
    let mut bytes = 0_usize;
    let mut reached = None;
    for (seq, size) in &ahead.sizes {
        bytes = bytes.saturating_add(*size);
        if bytes > PAGE_BYTES
            && let Some(reached) = reached
        {
            return reached;
        }
        reached = Some(*seq);
    }
    // After the last there may be numbers under which nothing lies any more.
    reached.filter(|_| !ahead.is_all).unwrap_or(newest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ahead(sizes: &[(u64, usize)], is_all: bool) -> Ahead {
        Ahead {
            sizes: sizes.to_vec(),
            is_all,
        }
    }

    #[test]
    fn a_page_ends_by_bytes_by_count_or_at_the_present() {
        let third = PAGE_BYTES / 3;
        let cases = [
            (ahead(&[], true), 9),
            (ahead(&[(3, third), (5, third)], true), 9),
            (ahead(&[(3, third), (5, third)], false), 5),
            (ahead(&[(3, third), (5, third), (6, third)], false), 6),
            (ahead(&[(3, third), (5, third), (6, third + 9)], true), 5),
            (ahead(&[(3, 2 * PAGE_BYTES), (5, 1)], true), 3),
            (ahead(&[(3, 2 * PAGE_BYTES)], true), 9),
            (ahead(&[(3, usize::MAX), (4, usize::MAX)], true), 3),
        ];
        for (ahead, to) in cases {
            assert_eq!(end(&ahead, 9), to, "{ahead:?}");
        }
    }

    #[test]
    fn a_turn_tells_the_last_version_of_what_it_wrote_twice() {
        let mut work = Changeset::new(Counters {
            seq: 4,
            pos: 2,
            floor: 0,
        });
        assert_eq!(work.clone().finish(), None);
        for (had, what) in [(Some(2), "a"), (None, "b"), (Some(5), "aa")] {
            let mut counters = work.counters();
            counters.next_seq();
            work.put(counters, had, what);
        }
        // A number that is not used up.
        let _ = work.counters().next_seq();
        let changed = work.finish().unwrap();
        assert_eq!((changed.from, changed.to()), (4, 7));
        assert_eq!(changed.entities, ["b", "aa"]);
    }
}

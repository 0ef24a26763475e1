//! What a feed reads: counters, entities, tombstones, without I/O.
//!
//! Each scope counts for itself and without gaps. An entity lies under the last
//! number that touched it; one that was removed leaves a tombstone under a
//! number of its own. Purging tombstones moves the floor; cursors below it
//! cannot be continued. A restore makes another epoch, and no cursor of the old
//! one is continued.

use super::{PAGE_BYTES, Scope};
use serde::{Deserialize, Serialize};

/// How many entities one call of [`History::after`] returns at most.
pub const CHUNK: usize = 64;

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

/// A stored history that can be followed.
pub trait History {
    /// An entity or tombstone, as it goes into a frame.
    type Entity;
    /// What reading fails with.
    type Error;

    /// The epoch: another one after a restore.
    ///
    /// # Errors
    /// When it cannot be read.
    fn epoch(&self) -> Result<String, Self::Error>;

    /// A scope's counters; `None` for a scope that is not there.
    ///
    /// # Errors
    /// When they cannot be read.
    fn counters(&self, scope: &Scope) -> Result<Option<Counters>, Self::Error>;

    /// At most [`CHUNK`] entities and tombstones after a number, in order of
    /// their numbers; fewer mean that there are no more. `None` stands for one
    /// that has no form on the wire.
    ///
    /// # Errors
    /// When they cannot be read.
    fn after(&self, scope: &Scope, after: u64) -> Result<Chunk<Self::Entity>, Self::Error>;

    /// How many bytes an entity takes in a frame.
    fn size(entity: &Self::Entity) -> usize;
}

/// Entities with their numbers.
pub type Chunk<E> = Vec<(u64, Option<E>)>;

/// A page of what changed after a sequence number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<E> {
    /// Up to where it goes.
    pub to: u64,
    /// What changed, in order of seq, as it is now.
    pub entities: Vec<E>,
    /// Whether there is more after it.
    pub more: bool,
}

/// Reads the page of a scope after a sequence number; `present` is the scope's
/// newest. At least one entity where there is one, and at most [`PAGE_BYTES`]
/// otherwise.
///
/// # Errors
/// What reading fails with.
pub fn page<H: History>(
    history: &H,
    scope: &Scope,
    after: u64,
    present: u64,
) -> Result<Page<H::Entity>, H::Error> {
    let mut entities = Vec::new();
    let mut bytes = 0;
    let mut reached = after;
    loop {
        let chunk = history.after(scope, reached)?;
        let is_last = chunk.len() < CHUNK;
        for (seq, entity) in chunk {
            if let Some(entity) = entity {
                let size = H::size(&entity);
                if !entities.is_empty() && bytes + size > PAGE_BYTES {
                    return Ok(Page {
                        to: reached,
                        entities,
                        more: true,
                    });
                }
                bytes += size;
                entities.push(entity);
            }
            reached = seq;
        }
        if is_last {
            return Ok(Page {
                to: present,
                entities,
                more: false,
            });
        }
    }
}

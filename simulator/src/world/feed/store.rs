//! A project's history as it is stored: entities, tombstones, counters.

use crate::defect::Defect;
use sam_domain::conversation::row::Row;
use sam_domain::feed::history::{CHUNK, Chunk, Counters, History};
use sam_domain::feed::{Entity, Scope};
use sam_domain::id::{ProjectId, RowId, SessionId, TaskId};
use std::collections::BTreeMap;
use std::convert::Infallible;

/// What names an entity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Row(RowId),
    Task(TaskId),
    Session(SessionId),
}

impl Key {
    pub(super) fn gone(&self) -> Entity {
        match self {
            Self::Row(id) => Entity::RowGone(id.clone()),
            Self::Task(id) => Entity::TaskGone(id.clone()),
            Self::Session(id) => Entity::SessionGone(id.clone()),
        }
    }
}

/// One scope.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    pub(super) counters: Counters,
    pub(super) entities: BTreeMap<Key, (u64, Entity)>,
    /// What lies under each number: an entity, or the tombstone of one.
    order: BTreeMap<u64, (Key, bool)>,
}

/// What a change did: from, to, what is to be told.
pub(super) type Changed = (u64, u64, Entity);

/// The stored history.
#[derive(Clone, Debug)]
pub(super) struct Store {
    pub(super) epoch: u64,
    pub(super) scopes: BTreeMap<Scope, Kept>,
    /// A page leaves one entity out, once in so many.
    pub(super) skips: Option<u64>,
}

impl Store {
    pub(super) fn new(project: ProjectId) -> Self {
        Self {
            epoch: 1,
            scopes: BTreeMap::from([(Scope::Project(project), Kept::default())]),
            skips: None,
        }
    }

    /// The epoch's name.
    pub(super) fn name(&self) -> String {
        format!("epoch-{}", self.epoch)
    }

    pub(super) fn put(&mut self, scope: &Scope, key: Key, mut entity: Entity) -> Changed {
        let kept = self.scopes.entry(scope.clone()).or_default();
        let from = kept.counters.seq;
        let seq = kept.counters.next_seq();
        let held = kept.entities.get(&key);
        if let Entity::Row(row) = &mut entity {
            row.seq = seq;
            row.pos = match held {
                Some((_, Entity::Row(held))) => held.pos,
                _ => kept.counters.next_pos(),
            };
        }
        if let Some((old, _)) = held {
            kept.order.remove(old);
        }
        kept.order.insert(seq, (key.clone(), false));
        kept.entities.insert(key, (seq, entity.clone()));
        (from, seq, entity)
    }

    pub(super) fn delete(&mut self, scope: &Scope, key: &Key) -> Option<Changed> {
        let kept = self.scopes.get_mut(scope)?;
        let (old, _) = kept.entities.remove(key)?;
        kept.order.remove(&old);
        let from = kept.counters.seq;
        let seq = kept.counters.next_seq();
        kept.order.insert(seq, (key.clone(), true));
        Some((from, seq, key.gone()))
    }

    /// Removes a scope's tombstones up to a number. Whether the floor moved.
    pub(super) fn purge(&mut self, scope: &Scope, through: u64, defect: Option<Defect>) -> bool {
        let Some(kept) = self.scopes.get_mut(scope) else {
            return false;
        };
        let mut counters = kept.counters;
        let moves = counters.purge(through);
        if moves {
            kept.order
                .retain(|seq, (_, gone)| !*gone || *seq > counters.floor);
            if defect != Some(Defect::FloorForgotten) {
                kept.counters = counters;
            }
        }
        moves
    }

    /// A session's rows as they are shown.
    pub(super) fn rows(&self, session: &SessionId) -> Vec<&Row> {
        let kept = self.scopes.get(&Scope::Session(session.clone()));
        let mut rows: Vec<&Row> = kept
            .into_iter()
            .flat_map(|kept| kept.entities.values())
            .filter_map(|(_, entity)| match entity {
                Entity::Row(row) => Some(&**row),
                _ => None,
            })
            .collect();
        rows.sort_by_key(|row| row.pos);
        rows
    }
}

impl History for Store {
    type Entity = Entity;
    type Error = Infallible;

    fn epoch(&self) -> Result<String, Infallible> {
        Ok(self.name())
    }

    fn counters(&self, scope: &Scope) -> Result<Option<Counters>, Infallible> {
        Ok(self.scopes.get(scope).map(|kept| kept.counters))
    }

    fn after(&self, scope: &Scope, after: u64) -> Result<Chunk<Entity>, Infallible> {
        let Some(kept) = self.scopes.get(scope) else {
            return Ok(Vec::new());
        };
        let entity = |key: &Key, gone: bool| match gone {
            true => Some(key.gone()),
            false => kept.entities.get(key).map(|(_, entity)| entity.clone()),
        };
        Ok(kept
            .order
            .range(after + 1..)
            .filter(|(seq, _)| self.skips.is_none_or(|skips| **seq % skips != 0))
            .take(CHUNK)
            .map(|(seq, (key, gone))| (*seq, entity(key, *gone)))
            .collect())
    }

    /// Large, so that a few of them fill a page.
    fn size(_: &Entity) -> usize {
        100 * 1024
    }
}

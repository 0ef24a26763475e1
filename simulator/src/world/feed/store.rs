//! A project's history as it is stored: entities, tombstones, counters.

use crate::defect::Defect;
use sam_domain::conversation::row::Row;
use sam_domain::feed::history::{Ahead, Changed, Changeset, Counters, History, Present};
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

/// Few, so that a page is bounded by the number of its entities as well.
const AHEAD: usize = 3;

impl Kept {
    fn put(&mut self, changes: &mut Changeset<Entity>, key: Key, mut entity: Entity) {
        let mut counters = changes.counters();
        let seq = counters.next_seq();
        let held = self.entities.get(&key);
        if let Entity::Row(row) = &mut entity {
            row.seq = seq;
            row.pos = match held {
                Some((_, Entity::Row(held))) => held.pos,
                _ => counters.next_pos(),
            };
        }
        let had = held.map(|(had, _)| *had);
        if let Some(had) = had {
            self.order.remove(&had);
        }
        self.order.insert(seq, (key.clone(), false));
        self.entities.insert(key, (seq, entity.clone()));
        changes.put(counters, had, entity);
    }

    fn finish(&mut self, changes: Changeset<Entity>) -> Option<Changed<Entity>> {
        let changed = changes.finish()?;
        self.counters = changed.counters;
        Some(changed)
    }
}

/// The stored history.
#[derive(Clone, Debug)]
pub(super) struct Store {
    pub(super) project: ProjectId,
    pub(super) epoch: u64,
    pub(super) scopes: BTreeMap<Scope, Kept>,
    /// A page leaves one entity out, once in so many.
    pub(super) skips: Option<u64>,
}

impl Store {
    pub(super) fn new(project: ProjectId) -> Self {
        Self {
            epoch: 1,
            scopes: BTreeMap::from([(Scope::Project(project.clone()), Kept::default())]),
            project,
            skips: None,
        }
    }

    /// The epoch's name.
    pub(super) fn name(&self) -> String {
        format!("epoch-{}", self.epoch)
    }

    /// One turn that puts entities, in their order.
    pub(super) fn put(
        &mut self,
        scope: &Scope,
        entities: impl IntoIterator<Item = (Key, Entity)>,
    ) -> Option<Changed<Entity>> {
        let kept = self.scopes.entry(scope.clone()).or_default();
        let mut changes = Changeset::new(kept.counters);
        for (key, entity) in entities {
            kept.put(&mut changes, key, entity);
        }
        kept.finish(changes)
    }

    pub(super) fn delete(&mut self, scope: &Scope, key: &Key) -> Option<Changed<Entity>> {
        let kept = self.scopes.get_mut(scope)?;
        let (had, _) = kept.entities.remove(key)?;
        kept.order.remove(&had);
        let mut changes = Changeset::new(kept.counters);
        let mut counters = changes.counters();
        kept.order.insert(counters.next_seq(), (key.clone(), true));
        changes.put(counters, Some(had), key.gone());
        kept.finish(changes)
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
    type Entities = Vec<Entity>;
    type Error = Infallible;

    fn project(&self) -> &ProjectId {
        &self.project
    }

    fn present(&self, scope: &Scope) -> Result<Option<Present>, Infallible> {
        Ok(self.scopes.get(scope).map(|kept| Present {
            epoch: self.name(),
            counters: kept.counters,
        }))
    }

    /// Most are so large that two fill a page.
    fn ahead(&self, scope: &Scope, after: u64) -> Result<Ahead, Infallible> {
        let size = |seq: u64| if seq.is_multiple_of(4) { 1 } else { 100 * 1024 };
        let mut ahead = self
            .scopes
            .get(scope)
            .into_iter()
            .flat_map(|kept| kept.order.range(after + 1..));
        let sizes = ahead.by_ref().take(AHEAD);
        Ok(Ahead {
            sizes: sizes.map(|(seq, _)| (*seq, size(*seq))).collect(),
            is_all: ahead.next().is_none(),
        })
    }

    fn read(&self, scope: &Scope, after: u64, to: u64) -> Result<Vec<Entity>, Infallible> {
        let Some(kept) = self.scopes.get(scope) else {
            return Ok(Vec::new());
        };
        let entity = |key: &Key, gone: bool| match gone {
            true => Some(key.gone()),
            false => kept.entities.get(key).map(|(_, entity)| entity.clone()),
        };
        Ok(kept
            .order
            .range(after + 1..=to)
            .filter(|(seq, _)| self.skips.is_none_or(|skips| **seq % skips != 0))
            .filter_map(|(_, (key, gone))| entity(key, *gone))
            .collect())
    }
}

//! What the gateway remembers of each request, for the tests that ask.
//!
//! Header values are never kept, only their names: a request's key must not come out of `/control/requests`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde_json::Value;
use tokio::sync::Notify;

use super::faults::FaultKind;
use crate::conversation::Usage;

/// Records kept; the oldest leave first.
const KEPT: usize = 1000;

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Still being answered.
    Running,
    /// Answered to the end.
    Complete,
    /// Answered with an error status.
    Refused,
    /// Broken off by a fault.
    Cut,
    /// The client left before the end.
    Disconnected,
}

/// One request as it came in and what became of it.
#[derive(Debug, Clone, Serialize)]
pub struct Record {
    /// Counts from 1.
    pub id: u64,
    /// Request path.
    pub path: String,
    /// Names of the request's headers, sorted.
    pub header_names: Vec<String>,
    /// Which header carried the accepted key; none when no key is asked for.
    pub authorised_by: Option<&'static str>,
    /// The body, as JSON; null when it is not JSON.
    pub body: Value,
    /// HTTP status of the answer.
    pub status: u16,
    /// How it ended.
    pub outcome: Outcome,
    /// Events of the stream that were handed to the socket.
    pub chunks_sent: usize,
    /// Whether the stream waits to be released.
    pub held: bool,
    /// The fault that happened to it.
    pub fault: Option<FaultKind>,
    /// The usage of the whole answer. It reached the client only if the outcome is `complete`.
    pub usage: Option<Usage>,
    #[serde(skip)]
    release: Arc<Notify>,
}

/// All records, shared between the handlers.
#[derive(Debug, Clone, Default)]
pub(super) struct Records {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    kept: Vec<Record>,
}

impl Records {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a record; it ends as [`Outcome::Disconnected`] unless the guard is told otherwise before it is dropped.
    #[must_use]
    pub(super) fn open(&self, path: &str, header_names: Vec<String>, body: Value) -> RecordGuard {
        let mut inner = self.lock();
        inner.next += 1;
        let id = inner.next;
        if inner.kept.len() >= KEPT {
            inner.kept.remove(0);
        }
        inner.kept.push(Record {
            id,
            path: path.to_owned(),
            header_names,
            authorised_by: None,
            body,
            status: 200,
            outcome: Outcome::Running,
            chunks_sent: 0,
            held: false,
            fault: None,
            usage: None,
            release: Arc::default(),
        });
        RecordGuard {
            records: self.clone(),
            id,
        }
    }

    /// A copy of every record.
    #[must_use]
    pub(super) fn all(&self) -> Vec<Record> {
        self.lock().kept.clone()
    }

    /// Forgets every record; the numbering goes on.
    pub(super) fn clear(&self) {
        self.lock().kept.clear();
    }

    /// Lets held streams go on: the one named, or all. Answers how many there were.
    pub(super) fn release(&self, id: Option<u64>) -> usize {
        let inner = self.lock();
        let held = inner
            .kept
            .iter()
            .filter(|record| record.held && id.is_none_or(|id| id == record.id));
        held.map(|record| record.release.notify_one()).count()
    }
}

/// Writes to one record; dropping it unfinished records that the client left.
#[derive(Debug)]
pub(super) struct RecordGuard {
    records: Records,
    id: u64,
}

impl RecordGuard {
    /// The record's number.
    #[must_use]
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// Changes the record.
    pub(super) fn update(&self, change: impl FnOnce(&mut Record)) {
        if let Some(record) = self
            .records
            .lock()
            .kept
            .iter_mut()
            .find(|record| record.id == self.id)
        {
            change(record);
        }
    }

    /// Waits until the record is released by [`Records::release`].
    pub(super) async fn hold(&self) {
        let mut release = None;
        self.update(|record| {
            record.held = true;
            release = Some(Arc::clone(&record.release));
        });
        if let Some(release) = release {
            release.notified().await;
        }
        self.update(|record| record.held = false);
    }
}

impl Drop for RecordGuard {
    fn drop(&mut self) {
        self.update(|record| {
            record.held = false;
            if record.outcome == Outcome::Running {
                record.outcome = Outcome::Disconnected;
            }
        });
    }
}

//! Keeps what an agent says.
//!
//! Updates that come at the same time are taken in together, and each version
//! of a row is on disk before the next ones are. When the disk refuses, versions wait in memory, in order, and are tried again; a
//! newer version takes the place of an older one that still waits.
//!
//! A row that grows is kept as it is every [`KEEP_EVERY`]: what an agent said
//! longer ago than that outlives a `kill -9` of this program. That is not worth
//! a wait for the disk, so a power cut may take what grew since its last version.

use super::live::Live;
use super::outbox::Outbox;
use super::transcript::{Transcript, TurnEnd};
use crate::clock;
use crate::store::{RowVersion, Store};
use sam_acp::{AgentUpdate, ToolCall};
use sam_domain::id::{RowId, WorkspaceId};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// How often deltas go out: the first words after a pause at once.
const DELTA_EVERY: Duration = Duration::from_millis(25);
/// How often a growing row is kept for the case that this program dies.
const KEEP_EVERY: Duration = Duration::from_millis(200);
/// Rows that wait for the disk together.
const ROWS_AT_ONCE: usize = 64;
/// How often a disk that refused is tried again.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// Writes the rows of one agent session.
#[derive(Debug)]
pub(crate) struct Writer {
    store: Arc<Store>,
    workspace: WorkspaceId,
    transcript: Transcript,
    waiting: VecDeque<RowVersion>,
    outbox: Arc<Outbox>,
    live: Live,
    stored: mpsc::UnboundedReceiver<(RowId, u32)>,
    due: Option<Instant>,
    ticked_at: Option<Instant>,
    kept_at: Option<Instant>,
}

impl Writer {
    /// For an agent that works in `root`.
    pub(crate) fn new(
        store: &Arc<Store>,
        workspace: &WorkspaceId,
        root: PathBuf,
        outbox: &Arc<Outbox>,
        live: Live,
    ) -> Self {
        Self {
            store: Arc::clone(store),
            workspace: workspace.clone(),
            transcript: Transcript::new(root),
            waiting: VecDeque::new(),
            stored: outbox.watch(),
            outbox: Arc::clone(outbox),
            live,
            due: None,
            ticked_at: None,
            kept_at: None,
        }
    }

    /// Takes in updates, in their order.
    pub(crate) fn updates(&mut self, updates: Vec<AgentUpdate>) {
        let mut turn = clock::turn();
        let versions = updates
            .into_iter()
            .flat_map(|update| self.transcript.update(&mut turn, update))
            .collect();
        self.keep(versions);
    }

    /// A tool call as the agent has told it so far.
    pub(crate) fn told_of(&self, id: &str) -> Option<&ToolCall> {
        self.transcript.told_of(id)
    }

    /// Adds a row of SAM's own.
    pub(crate) fn add(&mut self, version: RowVersion) {
        self.keep(vec![version]);
    }

    /// When [`Writer::tick`] is due; `None` when nothing grows. What an agent
    /// says meanwhile does not put it off.
    pub(crate) fn due(&mut self) -> Option<Instant> {
        let now = Instant::now();
        let at = if !self.waiting.is_empty() {
            now + RETRY_EVERY
        } else if self.transcript.growing() {
            self.ticked_at.map_or(now, |at| now.max(at + DELTA_EVERY))
        } else {
            self.due = None;
            return None;
        };
        Some(*self.due.get_or_insert(at))
    }

    /// Whether the agent has announced a call that has not ended.
    pub(crate) fn calling(&self) -> bool {
        self.transcript.calling()
    }

    /// Stores what has grown long enough and sends deltas.
    pub(crate) fn tick(&mut self) {
        self.due = None;
        self.ticked_at = Some(Instant::now());
        while let Ok((row, rev)) = self.stored.try_recv() {
            self.transcript.stored(&row, rev);
        }
        let versions = self.transcript.tick(clock::now());
        self.keep(versions);
        if self.kept_at.is_none_or(|at| at.elapsed() >= KEEP_EVERY) {
            self.kept_at = Some(Instant::now());
            let grown = self.transcript.kept();
            if let Err(error) = self.store.keep_rows(&self.workspace, &grown) {
                crate::log::warning!("a growing row is not kept: {error}");
            }
        }
        // One delta for each growing row; there are never more than a few.
        if self.live.room() > 16 {
            for delta in self.transcript.deltas() {
                self.live.send(delta);
            }
        }
    }

    /// Ends the turn's rows. Returns the number of the last upsert, once
    /// everything is on disk.
    pub(crate) async fn end_turn(&mut self, end: TurnEnd<'_>) -> u64 {
        let versions = self.transcript.end(&mut clock::turn(), &end);
        self.keep(versions);
        loop {
            if self.waiting.is_empty()
                && let Ok(last) = self.store.last_row_number(&self.workspace)
            {
                return last;
            }
            tokio::time::sleep(RETRY_EVERY).await;
            self.keep(Vec::new());
        }
    }

    fn keep(&mut self, versions: Vec<RowVersion>) {
        for version in versions {
            match self.waiting.iter_mut().find(|held| held.id == version.id) {
                Some(held) => {
                    let bodies = std::mem::take(&mut held.bodies);
                    *held = version;
                    held.bodies.extend(bodies);
                }
                None => self.waiting.push_back(version),
            }
        }
        let mut kept = false;
        while !self.waiting.is_empty() {
            let waiting = self.waiting.make_contiguous();
            let together = waiting.len().min(ROWS_AT_ONCE);
            let (rows, _) = waiting.split_at(together);
            match self.store.put_rows(&self.workspace, rows) {
                Ok(()) => {
                    self.waiting.drain(..together);
                    kept = true;
                }
                Err(error) => {
                    crate::log::warning!("a row waits for the disk: {error}");
                    break;
                }
            }
        }
        if kept {
            self.outbox.wake();
        }
    }
}

//! Delivers a workspace's rows.
//!
//! Model: one task takes the oldest upserts, delivers the bodies they name,
//! posts them in order and removes them once they are taken. While the control
//! plane cannot be reached, or does not accept the token, everything stays and
//! is tried again, for ever. Only a row that is refused by itself is dropped,
//! and the conversation says so.

use super::transcript::notice;
use crate::api::{ApiFailure, Backoff, WorkspaceApi};
use crate::clock;
use crate::log::warning;
use crate::store::{PendingRow, Store, StoreError};
use sam_domain::conversation::row::NoticeLevel;
use sam_domain::conversation::wire::{BATCH_BYTES, BATCH_ROWS, RowOutcome};
use sam_domain::id::{RowId, WorkspaceId};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};

/// Room for what surrounds the rows of a batch.
const ENVELOPE_BYTES: usize = 1024;
/// How long a new row waits for company: an agent says several things at once.
const GATHER: Duration = Duration::from_millis(20);

/// Delivers the rows of one workspace.
#[derive(Debug)]
pub(crate) struct Outbox {
    store: Arc<Store>,
    api: WorkspaceApi,
    workspace: WorkspaceId,
    woken: Notify,
    ending: AtomicBool,
    empty: Notify,
    watcher: Mutex<Option<mpsc::UnboundedSender<(RowId, u32)>>>,
}

/// Why a delivery stopped.
#[derive(Debug, thiserror::Error)]
enum Stop {
    #[error(transparent)]
    Api(#[from] ApiFailure),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Outbox {
    /// Starts delivering.
    pub(crate) fn start(
        store: &Arc<Store>,
        api: &WorkspaceApi,
        workspace: &WorkspaceId,
    ) -> Arc<Self> {
        let outbox = Arc::new(Self {
            store: Arc::clone(store),
            api: api.clone(),
            workspace: workspace.clone(),
            woken: Notify::new(),
            ending: AtomicBool::new(false),
            empty: Notify::new(),
            watcher: Mutex::new(None),
        });
        tokio::spawn(Arc::clone(&outbox).run());
        outbox
    }

    /// There is something new.
    pub(crate) fn wake(&self) {
        self.woken.notify_one();
    }

    /// Ends the task once everything is delivered.
    pub(crate) fn end(&self) {
        self.ending.store(true, Ordering::Relaxed);
        self.wake();
    }

    /// Hears of every version that is stored, from now on, in place of an
    /// earlier listener.
    pub(super) fn watch(&self) -> mpsc::UnboundedReceiver<(RowId, u32)> {
        let (sender, receiver) = mpsc::unbounded_channel();
        *self.watcher.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
        receiver
    }

    /// Waits until nothing is owed.
    pub(crate) async fn drained(&self) {
        loop {
            let empty = self.empty.notified();
            if matches!(self.store.owes_rows(&self.workspace), Ok(false)) {
                return;
            }
            empty.await;
        }
    }

    async fn run(self: Arc<Self>) {
        let mut backoff = Backoff::standard();
        // A workspace that was taken away is refused until it is given back.
        let mut refused = Backoff::refused();
        let mut quiet = false;
        loop {
            match self.deliver().await {
                Ok(true) => {
                    backoff.reset();
                    refused.reset();
                    quiet = false;
                }
                Ok(false) => {
                    self.empty.notify_waiters();
                    if self.ending.load(Ordering::Relaxed) {
                        return;
                    }
                    self.woken.notified().await;
                    tokio::time::sleep(GATHER).await;
                }
                Err(stop) => {
                    if !quiet {
                        warning!("rows of {} wait: {stop}", self.workspace);
                    }
                    quiet = true;
                    let wait = match stop {
                        Stop::Api(ApiFailure::Refused { .. }) => refused.step(),
                        Stop::Api(_) | Stop::Store(_) => backoff.step(),
                    };
                    self.api.api().pause(wait).await;
                }
            }
        }
    }

    /// Delivers one batch. `false` when there was none.
    async fn deliver(&self) -> Result<bool, Stop> {
        let batch =
            self.store
                .take_batch(&self.workspace, BATCH_ROWS, BATCH_BYTES - ENVELOPE_BYTES)?;
        if batch.is_empty() {
            return Ok(false);
        }
        self.deliver_bodies().await?;
        match self.post(&batch).await {
            Err(Stop::Api(ApiFailure::Refused {
                status: 400 | 413 | 422,
                ..
            })) => {
                // One of them is to blame: one by one finds it.
                for row in &batch {
                    self.post_alone(row).await?;
                }
            }
            other => other?,
        }
        Ok(true)
    }

    async fn deliver_bodies(&self) -> Result<(), Stop> {
        while let Some((sha256, data)) = self.store.next_body(&self.workspace)? {
            match self.api.put_body(&sha256, data).await {
                Ok(()) => {}
                Err(ApiFailure::Refused {
                    status: status @ (400 | 413 | 422),
                    message,
                    ..
                }) => {
                    warning!(
                        "a body of {} was refused ({status}): {message}",
                        self.workspace
                    );
                    self.say_refused(
                        "A long output could not be stored; its row shows a part of it.",
                    );
                }
                Err(failure) => return Err(failure.into()),
            }
            self.store.remove_body(&self.workspace, &sha256)?;
        }
        Ok(())
    }

    async fn post(&self, batch: &[PendingRow]) -> Result<(), Stop> {
        let rows: Vec<&str> = batch.iter().map(|row| row.json.as_str()).collect();
        let answer = self.api.post_rows(&rows).await?;
        if answer.outcomes.len() != batch.len() {
            let why = "it answered for another number of rows than it was sent".to_owned();
            return Err(ApiFailure::Unreachable(why).into());
        }
        for (row, outcome) in batch.iter().zip(&answer.outcomes) {
            match outcome {
                RowOutcome::Accepted | RowOutcome::Duplicate => self.tell(row),
                RowOutcome::Refused => self.refused(row),
            }
        }
        let numbers: Vec<u64> = batch.iter().map(|row| row.n).collect();
        Ok(self.store.settle_rows(&self.workspace, &numbers)?)
    }

    async fn post_alone(&self, row: &PendingRow) -> Result<(), Stop> {
        match self.post(std::slice::from_ref(row)).await {
            Err(Stop::Api(ApiFailure::Refused {
                status: 400 | 413 | 422,
                ..
            })) => {
                self.refused(row);
                Ok(self.store.settle_rows(&self.workspace, &[row.n])?)
            }
            other => other,
        }
    }

    fn tell(&self, row: &PendingRow) {
        let watcher = self.watcher.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(watcher) = watcher.as_ref() {
            let _ = watcher.send((row.row.clone(), row.rev));
        }
    }

    fn refused(&self, row: &PendingRow) {
        warning!(
            "the control plane refused {} (version {})",
            row.row,
            row.rev
        );
        // Not about a notice about a notice.
        if !row.json.contains("\"row_refused\"") {
            self.say_refused(
                "A part of the conversation was refused by the control plane and is missing here.",
            );
        }
    }

    fn say_refused(&self, text: &str) {
        let row = notice(
            &mut clock::turn(),
            NoticeLevel::Warning,
            "row_refused",
            text,
        );
        if let Err(error) = self.store.put_row(&self.workspace, &row) {
            warning!("cannot say that a row was refused: {error}");
        }
    }
}

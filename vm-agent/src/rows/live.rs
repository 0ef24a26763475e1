//! The socket for deltas.
//!
//! What travels here is text early, never the record: a delta that is lost is
//! healed by its row's next version. So nothing waits for this socket, and
//! while it is down nothing is offered to it.

use crate::api::{ApiFailure, Backoff, Socket, SocketMessage, WorkspaceApi};
use sam_domain::conversation::wire::LiveDelta;
use sam_domain::id::WorkspaceId;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Deltas that wait to be sent.
const QUEUE: usize = 64;
/// Largest message the control plane sends here.
const MESSAGE_LIMIT: usize = 64 * 1024;

/// A live socket that keeps itself connected; dropping it closes it.
#[derive(Debug)]
pub(crate) struct Live {
    queue: mpsc::Sender<LiveDelta>,
    up: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Live {
    /// Connects in the background; gives up a connection that is silent for `lease`.
    pub(crate) fn start(api: WorkspaceApi, workspace: &WorkspaceId, lease: Duration) -> Self {
        let (queue, deltas) = mpsc::channel(QUEUE);
        let up = Arc::new(AtomicBool::new(false));
        let path = format!("api/workspaces/{workspace}/live");
        let task = tokio::spawn(run(api, path, lease, deltas, Arc::clone(&up)));
        Self { queue, up, task }
    }

    /// How many deltas would be taken now.
    pub(super) fn room(&self) -> usize {
        if self.up.load(Ordering::Relaxed) {
            self.queue.capacity()
        } else {
            0
        }
    }

    /// Sends a delta, or loses it.
    pub(super) fn send(&self, delta: LiveDelta) {
        let _ = self.queue.try_send(delta);
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(
    api: WorkspaceApi,
    path: String,
    lease: Duration,
    mut deltas: mpsc::Receiver<LiveDelta>,
    up: Arc<AtomicBool>,
) {
    let mut backoff = Backoff::standard();
    let mut barred = Backoff::refused();
    let mut refused = None;
    loop {
        let mut used = None;
        let opened = match api.tokens(refused.as_ref()).await {
            Ok(tokens) => {
                used = Some(tokens.workspace.clone());
                Socket::open(api.api(), &path, &tokens.workspace, MESSAGE_LIMIT).await
            }
            Err(failure) => Err(failure),
        };
        refused = None;
        let wait = match opened {
            Ok(socket) => {
                backoff.reset();
                barred.reset();
                while deltas.try_recv().is_ok() {}
                up.store(true, Ordering::Relaxed);
                hold(socket, lease, api.api().renewals(), &mut deltas).await;
                up.store(false, Ordering::Relaxed);
                backoff.step()
            }
            Err(ApiFailure::Unauthorised(_)) => {
                refused = used;
                backoff.step()
            }
            Err(ApiFailure::Unreachable(_) | ApiFailure::Unavailable(_)) => backoff.step(),
            Err(ApiFailure::Refused { .. }) => barred.step(),
        };
        api.api().pause(wait).await;
    }
}

/// Until the connection ends.
async fn hold(
    mut socket: Socket,
    lease: Duration,
    mut renewals: watch::Receiver<()>,
    deltas: &mut mpsc::Receiver<LiveDelta>,
) {
    let mut ping = tokio::time::interval(lease / 3);
    let mut heard = Instant::now();
    loop {
        tokio::select! {
            delta = deltas.recv() => {
                let Some(delta) = delta else { return };
                let Ok(text) = serde_json::to_string(&delta) else { continue };
                if socket.send(text).await.is_err() {
                    return;
                }
            }
            message = socket.next() => match message {
                Ok(SocketMessage::Text(_) | SocketMessage::Alive) => heard = Instant::now(),
                Err(_) => return,
            },
            _ = renewals.changed() => return,
            _ = ping.tick() => {
                if heard.elapsed() > lease || socket.ping().await.is_err() {
                    return;
                }
            }
        }
    }
}

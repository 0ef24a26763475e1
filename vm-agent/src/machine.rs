//! What everything on this machine shares.

use crate::agent::Agents;
use crate::api::{Api, NodeIdentity, WorkspaceApi};
use crate::hub::Hub;
use crate::layout::Layout;
use crate::rows::Outbox;
use crate::store::Store;
use sam_domain::id::WorkspaceId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::watch;

/// What this machine was told to keep to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Most bytes of a repository.
    pub(crate) repository: u64,
    /// How long an agent's question waits for a person.
    pub(crate) permission_wait: Duration,
    /// How long an agent at work may give no sign of life.
    pub(crate) agent_silence: Duration,
}

/// The store, the hub, the API, and each workspace's deliveries.
pub(crate) struct Machine {
    /// The disk.
    pub(crate) store: Arc<Store>,
    /// Where everything is reported.
    pub(crate) hub: Hub,
    /// Where agents are found and put.
    pub(crate) agents: Agents,
    /// What it was told to keep to.
    pub(crate) limits: Limits,
    api: Api,
    node: Arc<RwLock<NodeIdentity>>,
    deliveries: Mutex<HashMap<WorkspaceId, (WorkspaceApi, Arc<Outbox>)>>,
    disk_full: watch::Sender<bool>,
}

impl Machine {
    pub(crate) fn new(
        store: Arc<Store>,
        hub: Hub,
        api: Api,
        node: Arc<RwLock<NodeIdentity>>,
        agents: Agents,
        limits: Limits,
    ) -> Self {
        Self {
            store,
            hub,
            agents,
            limits,
            api,
            node,
            deliveries: Mutex::default(),
            disk_full: watch::Sender::new(false),
        }
    }

    /// Takes note of whether the disk is full.
    pub(crate) fn set_disk_full(&self, full: bool) {
        self.disk_full.send_replace(full);
    }

    /// Waits while the disk is full.
    pub(crate) async fn until_room(&self) {
        // The sender lives as long as the machine: waiting cannot fail.
        let _ = self.disk_full.subscribe().wait_for(|full| !full).await;
    }

    /// The folders of a workspace.
    pub(crate) fn layout(&self, workspace: &WorkspaceId) -> Layout {
        Layout::new(self.store.dir(), workspace)
    }

    /// The workspace's API and outbox; the outbox is delivering from then on.
    pub(crate) fn deliveries(&self, workspace: &WorkspaceId) -> (WorkspaceApi, Arc<Outbox>) {
        let mut held = self
            .deliveries
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        held.entry(workspace.clone())
            .or_insert_with(|| {
                let api = WorkspaceApi::new(&self.api, &self.node, workspace);
                let outbox = Outbox::start(&self.store, &api, workspace);
                (api, outbox)
            })
            .clone()
    }

    /// The workspace is gone: its outbox ends once everything is delivered.
    pub(crate) fn forget(&self, workspace: &WorkspaceId) {
        let mut held = self
            .deliveries
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some((_, outbox)) = held.remove(workspace) {
            outbox.end();
        }
    }

    /// Waits until no workspace owes rows.
    pub(crate) async fn rows_delivered(&self) {
        let outboxes: Vec<_> = self
            .deliveries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .map(|(_, outbox)| Arc::clone(outbox))
            .collect();
        for outbox in outboxes {
            outbox.drained().await;
        }
    }
}

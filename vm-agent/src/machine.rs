//! What everything on this machine shares.

use crate::api::{Api, NodeIdentity, WorkspaceApi};
use crate::hub::Hub;
use crate::layout::Layout;
use crate::rows::Outbox;
use crate::store::Store;
use sam_domain::id::WorkspaceId;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// The store, the hub, the API, and each workspace's deliveries.
pub(crate) struct Machine {
    /// The disk.
    pub(crate) store: Arc<Store>,
    /// Where everything is reported.
    pub(crate) hub: Hub,
    /// Folders searched first for agents.
    pub(crate) agent_path: Vec<PathBuf>,
    /// Most bytes of a repository.
    pub(crate) max_repository: u64,
    api: Api,
    node: Arc<RwLock<NodeIdentity>>,
    deliveries: Mutex<HashMap<WorkspaceId, (WorkspaceApi, Arc<Outbox>)>>,
}

impl Machine {
    pub(crate) fn new(
        store: Arc<Store>,
        hub: Hub,
        api: Api,
        node: Arc<RwLock<NodeIdentity>>,
        agent_path: Vec<PathBuf>,
        max_repository: u64,
    ) -> Self {
        Self {
            store,
            hub,
            agent_path,
            max_repository,
            api,
            node,
            deliveries: Mutex::default(),
        }
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

//! The short-lived tokens of one workspace.
//!
//! They live in memory: fetched when first needed, again shortly before they
//! expire, and again when the control plane says that one is not good. One
//! fetch at a time; whoever waits for it gets its result.

use super::client::{Api, ApiFailure};
use crate::secret::Secret;
use reqwest::Method;
use sam_domain::conversation::wire::{BatchAnswer, MessageBatch};
use sam_domain::id::{NodeId, WorkspaceId};
use sam_domain::time::{Millis, Timestamp};
use std::sync::{Arc, RwLock};
use std::time::Duration;
use tokio::sync::Mutex;

/// A token is renewed when it has less than this left.
const RENEW_BEFORE: Millis = Millis::minutes(5);
/// Time to deliver one body.
const BODY_LIMIT: Duration = Duration::from_secs(120);

/// Both tokens of a workspace.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    /// Writes rows and bodies.
    pub(crate) workspace: Secret,
    /// Calls the model.
    pub(crate) model: Secret,
    expires_at: Timestamp,
}

/// Who the node is, shared: a second join replaces it.
#[derive(Clone, Debug)]
pub(crate) struct NodeIdentity {
    /// The node.
    pub(crate) node: NodeId,
    /// Its token.
    pub(crate) token: Secret,
}

/// The API on behalf of one workspace.
#[derive(Clone, Debug)]
pub(crate) struct WorkspaceApi {
    api: Api,
    node: Arc<RwLock<NodeIdentity>>,
    workspace: WorkspaceId,
    held: Arc<Mutex<Option<Tokens>>>,
}

impl WorkspaceApi {
    /// The API for `workspace`.
    pub(crate) fn new(
        api: &Api,
        node: &Arc<RwLock<NodeIdentity>>,
        workspace: &WorkspaceId,
    ) -> Self {
        Self {
            api: api.clone(),
            node: Arc::clone(node),
            workspace: workspace.clone(),
            held: Arc::default(),
        }
    }

    pub(crate) fn api(&self) -> &Api {
        &self.api
    }

    /// Good tokens; other ones than `refused`, if the control plane refused some.
    pub(crate) async fn tokens(&self, refused: Option<&Secret>) -> Result<Tokens, ApiFailure> {
        let mut held = self.held.lock().await;
        if let Some(tokens) = held.as_ref() {
            let fresh = tokens.expires_at > crate::clock::now().plus(RENEW_BEFORE);
            let good = refused.is_none_or(|bad| tokens.workspace != *bad && tokens.model != *bad);
            if fresh && good {
                return Ok(tokens.clone());
            }
        }
        let node = self
            .node
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone();
        let answer = self
            .api
            .workspace_tokens(&node.node, &node.token, &self.workspace)
            .await?;
        let tokens = Tokens {
            workspace: Secret::new(answer.workspace_token),
            model: Secret::new(answer.model_token),
            expires_at: answer.expires_at,
        };
        *held = Some(tokens.clone());
        Ok(tokens)
    }

    /// Delivers a batch of rows, each as the JSON of a `RowUpsert`.
    pub(crate) async fn post_rows(&self, rows: &[&str]) -> Result<BatchAnswer, ApiFailure> {
        let path = format!("api/workspaces/{}/messages", self.workspace);
        // The rows are JSON already: what was stored is what is sent.
        let body = format!("{{\"rows\":[{}]}}", rows.join(","));
        debug_assert!(serde_json::from_str::<MessageBatch>(&body).is_ok());
        self.with_token(|api, token| {
            api.request(Method::POST, &path, token)
                .timeout(BODY_LIMIT)
                .header("content-type", "application/json")
                .body(body.clone())
        })
        .await?
        .json()
        .await
        .map_err(|error| super::client::unreachable(&error))
    }

    /// Delivers a body under its SHA-256.
    pub(crate) async fn put_body(&self, sha256: &str, data: Vec<u8>) -> Result<(), ApiFailure> {
        let path = format!("api/workspaces/{}/bodies/{sha256}", self.workspace);
        self.with_token(|api, token| {
            api.request(Method::PUT, &path, token)
                .timeout(BODY_LIMIT)
                .header("content-type", "application/octet-stream")
                .body(data.clone())
        })
        .await
        .map(drop)
    }

    /// Sends a request with the workspace token; once more with a new token when
    /// the first is not accepted.
    async fn with_token(
        &self,
        make: impl Fn(&Api, &Secret) -> reqwest::RequestBuilder,
    ) -> Result<reqwest::Response, ApiFailure> {
        let token = self.tokens(None).await?.workspace;
        match self.api.send(make(&self.api, &token)).await {
            Err(ApiFailure::Unauthorised(_)) => {
                let token = self.tokens(Some(&token)).await?.workspace;
                self.api.send(make(&self.api, &token)).await
            }
            other => other,
        }
    }
}

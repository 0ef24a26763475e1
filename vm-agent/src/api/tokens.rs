//! The short-lived tokens of one workspace.
//!
//! They live in memory: fetched when first needed, again shortly before they
//! expire, and again when the control plane says that one is not good. One
//! fetch at a time; whoever waits for it gets its result.

use super::Backoff;
use super::client::{Api, ApiFailure, model_url, unreachable};
use crate::secret::Secret;
use reqwest::Method;
use sam_domain::conversation::row::BodyRef;
use sam_domain::conversation::wire::{BatchAnswer, MessageBatch};
use sam_domain::id::{NodeId, WorkspaceId};
use sam_domain::login::wire::WorkspaceLogin;
use std::sync::{Arc, RwLock};
use std::time::Duration;
use tokio::sync::Mutex;

/// A token is renewed when it has less than this left.
const RENEW_BEFORE: Duration = Duration::from_secs(5 * 60);
/// Time to deliver one body.
const BODY_LIMIT: Duration = Duration::from_secs(120);
/// Time for the list of models; the control plane may ask its upstream for it.
const MODELS_LIMIT: Duration = Duration::from_secs(20);

/// Both tokens of a workspace.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    /// Writes rows and bodies.
    pub(crate) workspace: Secret,
    /// Calls the model.
    pub(crate) model: Secret,
    /// On the clock that nobody sets; the wall clock may be days off.
    renew_at: Duration,
}

impl Tokens {
    fn of_workspace(&self) -> &Secret {
        &self.workspace
    }

    fn of_model(&self) -> &Secret {
        &self.model
    }
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
            let fresh = crate::clock::since_boot() < tokens.renew_at;
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
        let asked = crate::clock::since_boot();
        let answer = self
            .api
            .workspace_tokens(&node.node, &node.token, &self.workspace)
            .await?;
        let tokens = Tokens {
            workspace: Secret::new(answer.workspace_token),
            model: Secret::new(answer.model_token),
            renew_at: asked
                + Duration::from_millis(answer.expires_in.0).saturating_sub(RENEW_BEFORE),
        };
        *held = Some(tokens.clone());
        Ok(tokens)
    }

    /// Asks until there is an answer or a refusal, however long it takes to reach
    /// the control plane: whoever waits for the answer has a deadline of its own.
    pub(crate) async fn until_answered<T>(
        &self,
        what: &str,
        ask: impl AsyncFn(&Self) -> Result<T, ApiFailure>,
    ) -> Result<T, ApiFailure> {
        let mut backoff = Backoff::standard();
        loop {
            match ask(self).await {
                Err(
                    failure @ (ApiFailure::Unreachable(_)
                    | ApiFailure::Unavailable(_)
                    | ApiFailure::Unauthorised(_)),
                ) => {
                    crate::log::warning!("{what}: {failure}");
                    self.api.pause(backoff.step()).await;
                }
                other => return other,
            }
        }
    }

    /// The models that the workspace may use, in the shape of OpenAI's list.
    pub(crate) async fn models(&self) -> Result<serde_json::Value, ApiFailure> {
        let url = model_url(&self.api, "/v1/models");
        self.with_token(Tokens::of_model, |api, token| {
            api.request_to(Method::GET, url.clone(), token)
                .timeout(MODELS_LIMIT)
        })
        .await?
        .json()
        .await
        .map_err(|error| unreachable(&error))
    }

    /// The login of the workspace's agent, if its owner chose to use one.
    pub(crate) async fn login(&self) -> Result<WorkspaceLogin, ApiFailure> {
        let node = self
            .node
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone();
        let api = &self.api;
        api.workspace_login(&node.node, &node.token, &self.workspace)
            .await
    }

    /// Delivers a batch of rows, each as the JSON of a `RowUpsert`.
    pub(crate) async fn post_rows(&self, rows: &[&str]) -> Result<BatchAnswer, ApiFailure> {
        // Said with every batch, so that rows are not dated by a clock that is off.
        let sent_at = crate::clock::now().0;
        let path = format!(
            "api/workspaces/{}/messages?sent_at={sent_at}",
            self.workspace
        );
        // The rows are JSON already: what was stored is what is sent.
        let body = format!("{{\"rows\":[{}]}}", rows.join(","));
        debug_assert!(serde_json::from_str::<MessageBatch>(&body).is_ok());
        self.with_token(Tokens::of_workspace, |api, token| {
            api.request(Method::POST, &path, token)
                .timeout(BODY_LIMIT)
                .header("content-type", "application/json")
                .body(body.clone())
        })
        .await?
        .json()
        .await
        .map_err(|error| unreachable(&error))
    }

    /// Delivers a body under its SHA-256.
    pub(crate) async fn put_body(&self, sha256: &str, data: Vec<u8>) -> Result<(), ApiFailure> {
        let path = format!("api/workspaces/{}/bodies/{sha256}", self.workspace);
        self.with_token(Tokens::of_workspace, |api, token| {
            api.request(Method::PUT, &path, token)
                .timeout(BODY_LIMIT)
                .header("content-type", "application/octet-stream")
                .body(data.clone())
        })
        .await
        .map(drop)
    }

    /// A body of the workspace's project, if its bytes are what its name says.
    pub(crate) async fn body(&self, named: &BodyRef) -> Result<Vec<u8>, ApiFailure> {
        let path = format!("api/workspaces/{}/bodies/{}", self.workspace, named.sha256);
        let mut answer = self
            .with_token(Tokens::of_workspace, |api, token| {
                api.request(Method::GET, &path, token).timeout(BODY_LIMIT)
            })
            .await?;
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| unreachable(&error))? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() as u64 > named.bytes {
                break;
            }
        }
        let (is, (_, bytes)) = crate::rows::body(bytes);
        if is == *named {
            Ok(bytes)
        } else {
            let why = "a body came with other bytes than its name says".to_owned();
            Err(ApiFailure::Unreachable(why))
        }
    }

    /// Sends a request with one of the tokens; once more with a new one when the
    /// first is not accepted.
    async fn with_token(
        &self,
        which: fn(&Tokens) -> &Secret,
        make: impl Fn(&Api, &Secret) -> reqwest::RequestBuilder,
    ) -> Result<reqwest::Response, ApiFailure> {
        let held = self.tokens(None).await?;
        let token = which(&held);
        match self.api.send(make(&self.api, token)).await {
            Err(ApiFailure::Unauthorised(_)) => {
                let fresh = self.tokens(Some(token)).await?;
                self.api.send(make(&self.api, which(&fresh))).await
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests;

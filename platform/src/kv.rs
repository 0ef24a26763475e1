//! KV, for what may be stale: answers that can be computed again. Never the only place of anything.

use serde::Serialize;
use serde::de::DeserializeOwned;
use worker::Env;

use crate::bindings::{self, BindingError};
use crate::js::JsFailure;

/// What KV can fail with. A caller treats each as a miss.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KvFailure {
    /// The namespace is not bound.
    #[error(transparent)]
    Binding(#[from] BindingError),
    /// The runtime failed.
    #[error("kv: {0}")]
    Runtime(JsFailure),
    /// The stored value is not what it is read as.
    #[error("kv value: {0}")]
    Value(String),
}

impl From<worker::KvError> for KvFailure {
    fn from(error: worker::KvError) -> Self {
        Self::Runtime(JsFailure::new(error.to_string()))
    }
}

/// The namespace of what may be stale.
#[derive(Debug, Clone)]
pub struct Cache {
    store: worker::KvStore,
}

impl Cache {
    /// The namespace bound as `CACHE`.
    pub fn of(env: &Env) -> Result<Self, KvFailure> {
        bindings::raw(env, bindings::CACHE)?;
        Ok(Self {
            store: env
                .kv(bindings::CACHE)
                .map_err(|error| KvFailure::Runtime(error.into()))?,
        })
    }

    /// A value, if one is stored and still holds.
    pub async fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, KvFailure> {
        match self.store.get(key).text().await? {
            None => Ok(None),
            Some(text) => sam_domain::json::from_str(&text)
                .map(Some)
                .map_err(|error| KvFailure::Value(error.to_string())),
        }
    }

    /// Stores a value for `seconds` (at least 60, the runtime's shortest).
    pub async fn put<T: Serialize>(
        &self,
        key: &str,
        value: &T,
        seconds: u64,
    ) -> Result<(), KvFailure> {
        let text =
            serde_json::to_string(value).map_err(|error| KvFailure::Value(error.to_string()))?;
        self.store
            .put(key, text)?
            .expiration_ttl(seconds.max(60))
            .execute()
            .await?;
        Ok(())
    }
}

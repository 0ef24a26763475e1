//! What the deployment binds, by name. `wrangler.toml` and the local server use the same names.

use worker::Env;

pub use sam_domain::settings::{
    SAM_AI_GATEWAY, SAM_AI_GATEWAY_URL, SAM_CLAIM_TOKEN, SAM_CLAUDE_TOKEN_URL,
    SAM_CLOUDFLARE_ACCOUNT, SAM_CLOUDFLARE_TOKEN, SAM_CLOUDFLARE_URL, SAM_CODEX_TOKEN_URL,
    SAM_CREDENTIAL_KEYS, SAM_GITHUB_API_URL, SAM_GITHUB_CLIENT_ID, SAM_GITHUB_CLIENT_SECRET,
    SAM_GITHUB_URL, SAM_IDLE_LIMIT, SAM_LINK_LEASE, SAM_MODEL, SAM_MODEL_AUTH, SAM_MODEL_DIALECTS,
    SAM_MODEL_KEY, SAM_MODEL_KIND, SAM_MODEL_SILENCE, SAM_MODEL_URL, SAM_PUBLIC_URL,
    SAM_QUESTION_LIMIT, SAM_SECRET, SAM_SIGN_UP,
};

use crate::crypto::Secret;
use crate::d1::D1;
use crate::js::{self, JsFailure};

/// D1 database.
pub const DB: &str = "DB";
/// KV namespace of what may be stale.
pub const CACHE: &str = "CACHE";
/// The files deployed beside the Worker.
pub const ASSETS: &str = "ASSETS";
/// R2 bucket of bodies.
pub const BODIES: &str = "BODIES";

/// A binding is missing or of another type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("binding {name}: {cause}")]
pub struct BindingError {
    /// Its name in the configuration.
    pub name: &'static str,
    /// What is wrong with it.
    pub cause: JsFailure,
}

/// A binding as a JavaScript object.
pub(crate) fn raw(env: &Env, name: &'static str) -> Result<wasm_bindgen::JsValue, BindingError> {
    let value = js::get(env, name).map_err(|cause| BindingError { name, cause })?;
    if value.is_undefined() || value.is_null() {
        return Err(BindingError {
            name,
            cause: JsFailure::new("it is not configured"),
        });
    }
    Ok(value)
}

/// A text setting; `None` when it is unset or empty.
pub fn setting(env: &Env, name: &'static str) -> Option<String> {
    raw(env, name)
        .ok()
        .and_then(|value| value.as_string())
        .filter(|text| !text.is_empty())
}

/// A setting that is a URL, with its host in ASCII; `None` when it is unset or empty.
pub fn url_setting(env: &Env, name: &'static str) -> Option<String> {
    setting(env, name).map(|text| crate::address::plain(&text).into_owned())
}

/// A secret setting; `None` when it is unset or empty.
pub fn secret(env: &Env, name: &'static str) -> Option<Secret> {
    setting(env, name).map(Secret::new)
}

/// The D1 database.
pub fn database(env: &Env) -> Result<D1, BindingError> {
    Ok(D1::new(raw(env, DB)?))
}

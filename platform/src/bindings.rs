//! What the deployment binds, by name. `wrangler.toml` and the local server use the same names.

use worker::Env;

use crate::crypto::Secret;
use crate::d1::D1;
use crate::js::{self, JsFailure};

/// D1 database.
pub const DB: &str = "DB";
/// KV namespace of what may be stale.
pub const CACHE: &str = "CACHE";
/// R2 bucket of bodies.
pub const BODIES: &str = "BODIES";

/// The HMAC key of every token, at least 32 characters.
pub const SAM_SECRET: &str = "SAM_SECRET";
/// The one-time claim token.
pub const SAM_CLAIM_TOKEN: &str = "SAM_CLAIM_TOKEN";
/// Where people reach this installation; taken from the request when unset.
pub const SAM_PUBLIC_URL: &str = "SAM_PUBLIC_URL";
/// Base of the model endpoint, `/v1` included, or an AI Gateway endpoint.
pub const SAM_MODEL_URL: &str = "SAM_MODEL_URL";
/// Key sent to the model endpoint.
pub const SAM_MODEL_KEY: &str = "SAM_MODEL_KEY";
/// Default model id.
pub const SAM_MODEL: &str = "SAM_MODEL";
/// How the key travels: `authorization`, `cf-aig-authorization` or `none`.
pub const SAM_MODEL_AUTH: &str = "SAM_MODEL_AUTH";
/// `scripted` for the stand-in gateway, else `real`; interfaces label the model by it.
pub const SAM_MODEL_KIND: &str = "SAM_MODEL_KIND";

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

/// A secret setting; `None` when it is unset or empty.
pub fn secret(env: &Env, name: &'static str) -> Option<Secret> {
    setting(env, name).map(Secret::new)
}

/// The D1 database.
pub fn database(env: &Env) -> Result<D1, BindingError> {
    Ok(D1::new(raw(env, DB)?))
}

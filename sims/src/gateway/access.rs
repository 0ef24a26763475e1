//! Who may call what: the keys that a request has to carry.
//!
//! Three doors are copied, each with the rules of the service behind it:
//!
//! | door | asks for |
//! |---|---|
//! | `/v1/…` | the key, in any of the headers that clients use |
//! | `/v1/{account}/{gateway}/{provider}/…` | AI Gateway: `cf-aig-authorization` with the key, unless the gateway was set to ask for none; then the provider's rules |
//! | `/client/v4/…` | Cloudflare's API: `authorization: Bearer` with the key |
//!
//! A provider behind the gateway takes its own key ([`super::Options::provider_key`]). Without any it
//! is paid by unified billing, except Workers AI, which asks for the Cloudflare token. An empty
//! credential is one that is wrong, not one that is missing: a client that sends `Bearer ` and
//! nothing is refused by the provider.

use axum::Json;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::{API_KEY, Gateway, error};
use crate::conversation::MODEL;
use crate::dialect::Dialect;

/// The header that AI Gateway reads.
pub(super) const GATEWAY_KEY: &str = "cf-aig-authorization";

/// A path below an AI Gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Door {
    /// The gateway's id.
    pub(super) gateway: String,
    /// `openai`, `anthropic`, `workers-ai` or `compat`.
    pub(super) provider: String,
}

impl Door {
    /// The door that a path leads through; none for a path of the gateway's own API.
    pub(super) fn of(path: &str) -> Option<Self> {
        let mut parts = path.strip_prefix("/v1/")?.split('/');
        let (_, gateway, provider) = (parts.next()?, parts.next()?, parts.next()?);
        parts.next()?;
        ["openai", "anthropic", "workers-ai", "compat"]
            .contains(&provider)
            .then(|| Self {
                gateway: gateway.to_owned(),
                provider: provider.to_owned(),
            })
    }

    /// Whether the provider has a model of this name, as far as names tell.
    fn has(&self, model: &str) -> bool {
        match self.provider.as_str() {
            "openai" => model.starts_with("gpt-"),
            "anthropic" => model.starts_with("claude-"),
            "workers-ai" => model.starts_with("@cf/"),
            _ => model.split_once('/').is_some_and(|(provider, rest)| {
                !rest.is_empty()
                    && !provider.starts_with('@')
                    && (provider == "workers-ai") == rest.starts_with("@cf/")
            }),
        }
    }

    /// Models that the provider lists.
    pub(super) fn models(&self) -> Vec<&'static str> {
        match self.provider.as_str() {
            "openai" => vec!["gpt-4.1", "gpt-4.1-mini", "gpt-6-preview"],
            "anthropic" => vec!["claude-haiku-4-5", "claude-sonnet-4-5"],
            "workers-ai" => vec![
                "@cf/google/gemma-4-26b-a4b-it",
                "@cf/meta/llama-4-scout-17b-16e-instruct",
            ],
            _ => Vec::new(),
        }
    }

    /// The request as the scripted model reads it: every model of the provider's is played by it.
    pub(super) fn scripted(&self, mut body: Value) -> Value {
        let named = body.get("model").and_then(Value::as_str);
        if named.is_some_and(|model| self.has(model))
            && let Some(fields) = body.as_object_mut()
        {
            fields.insert("model".to_owned(), json!(MODEL));
        }
        body
    }
}

fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn carries(headers: &HeaderMap, name: &str, key: &str) -> bool {
    let held = value(headers, name);
    if name == API_KEY {
        return held == Some(key);
    }
    held.and_then(|value| value.strip_prefix("Bearer ")) == Some(key)
}

/// The header that carried what pays for the request, or the refusal.
pub(super) fn authorise(
    gateway: &Gateway,
    dialect: &dyn Dialect,
    path: &str,
    headers: &HeaderMap,
) -> Result<Option<&'static str>, Box<Response>> {
    let Some(key) = &gateway.options.key else {
        return Ok(None);
    };
    let Some(door) = Door::of(path) else {
        let known = [GATEWAY_KEY, "authorization", API_KEY];
        let carrier = known.into_iter().find(|name| carries(headers, name, key));
        return carrier.map(Some).ok_or_else(|| refused(dialect).into());
    };
    if gateway.settings.asks_for_key(&door.gateway) && !carries(headers, GATEWAY_KEY, key) {
        let words = json!({
            "success": false, "result": [], "messages": [],
            "error": [{"code": 2009, "message": "Unauthorized"}],
        });
        return Err((StatusCode::UNAUTHORIZED, Json(words))
            .into_response()
            .into());
    }
    let own = if door.provider == "anthropic" {
        API_KEY
    } else {
        "authorization"
    };
    if door.provider == "workers-ai" {
        return match carries(headers, own, key) {
            true => Ok(Some(own)),
            false => Err(refused(dialect).into()),
        };
    }
    if value(headers, own).is_some() {
        let provider_key = gateway.options.provider_key.as_deref();
        return match provider_key {
            Some(key) if carries(headers, own, key) => Ok(Some(own)),
            _ => Err(refused(dialect).into()),
        };
    }
    if gateway.settings.is_unpaid(&door.provider) {
        return Err(refused(dialect).into());
    }
    Ok(Some(GATEWAY_KEY))
}

fn refused(dialect: &dyn Dialect) -> Response {
    error(
        dialect,
        StatusCode::UNAUTHORIZED,
        "invalid_api_key",
        "Incorrect API key provided.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_below_a_gateway_names_its_provider() {
        let of = |path: &str| Door::of(path).map(|door| (door.gateway, door.provider));
        let door = |provider: &str| Some(("sam".to_owned(), provider.to_owned()));
        assert_eq!(of("/v1/acc/sam/openai/chat/completions"), door("openai"));
        assert_eq!(of("/v1/acc/sam/anthropic/v1/messages"), door("anthropic"));
        assert_eq!(of("/v1/acc/sam/workers-ai/v1/models"), door("workers-ai"));
        assert_eq!(of("/v1/chat/completions"), None);
        assert_eq!(of("/v1/messages/count_tokens"), None);
    }

    #[test]
    fn a_provider_plays_its_own_models_alone() {
        for (provider, model, played) in [
            ("openai", "gpt-4.1", true),
            ("openai", "claude-sonnet-4-5", false),
            ("anthropic", "claude-sonnet-4-5", true),
            ("workers-ai", "@cf/google/gemma-4-26b-a4b-it", true),
            ("compat", "openai/gpt-4.1", true),
            ("compat", "workers-ai/@cf/google/gemma-4-26b-a4b-it", true),
            ("compat", "@cf/google/gemma-4-26b-a4b-it", false),
            ("compat", "gpt-4.1", false),
        ] {
            let door = Door {
                gateway: "sam".to_owned(),
                provider: provider.to_owned(),
            };
            let body = door.scripted(json!({"model": model}));
            assert_eq!(body["model"] == MODEL, played, "{provider} {model}");
        }
    }
}

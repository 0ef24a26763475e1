//! The catalogue of models, for people; and for administrators, who change it.

use std::time::Duration;

use sam_domain::catalogue::changes::{ModelChange, Models, Role};
use sam_domain::catalogue::model::{Dialect, Model, Provider};
use sam_domain::error::ApiError;
use sam_domain::id::UserId;
use sam_domain::provider::Mode;
use sam_domain::provider::key::HeldKey;
use sam_domain::provider::route::{Platform, route};
use sam_domain::provider::wire::{ModelList, ModelView, PutModelDefaults, Refreshed};
use sam_platform::d1::model_access::{self, Asker, ModelAccess};
use sam_platform::d1::models::ModelChanges;
use sam_platform::http;
use serde_json::Value;

use super::audit;
use crate::call::Call;
use crate::errors::{Answer, Failed, log};
use crate::principal::{Admin, User};
use crate::proxy::access::platform_upstream;
use crate::proxy::installation::Installation;
use crate::proxy::models::{self, Listed, is_there};

/// How long a provider may take to list its models.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most models that one refreshing adds.
const MOST_ADDED: usize = 200;

pub(crate) async fn list(call: &Call, user: User) -> Answer {
    Ok(http::json(200, &views(call, user.id()).await?))
}

pub(crate) async fn change(call: &Call, admin: Admin) -> Answer {
    let patch: Value = call.json().await?;
    let table_database = call.database()?;
    let table = ModelChanges(&table_database);
    let id = patch.get("id").and_then(Value::as_str).unwrap_or_default();
    let held = table.change(id).await?;
    let held = held.and_then(|held| serde_json::to_value(held).ok());
    // Checked as it will be kept: what is absent stays, what is null is forgotten.
    let merged = merged(held.unwrap_or_default(), &patch);
    let change: ModelChange = sam_domain::json::from_str(&merged.to_string())
        .map_err(|error| ApiError::new(400, "malformed_body", format!("Refused: {error}.")))?;
    change.check()?;
    table.patch(id, &patch, admin.id(), call.now).await?;
    audit::record(call, &table_database, admin.id(), "model_changed", id).await?;
    let views = views(call, admin.id()).await?;
    let view = views.models.into_iter().find(|view| view.model.id == id);
    Ok(http::json(200, &view))
}

/// A value with a patch laid over it, as in RFC 7396.
fn merged(held: Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else {
        return patch.clone();
    };
    let mut object = match held {
        Value::Object(object) => object,
        _ => serde_json::Map::new(),
    };
    for (name, value) in patch {
        if value.is_null() {
            object.remove(name);
        } else {
            let inner = object.remove(name).unwrap_or_default();
            object.insert(name.clone(), merged(inner, value));
        }
    }
    Value::Object(object)
}

pub(crate) async fn put_defaults(call: &Call, admin: Admin) -> Answer {
    let request: PutModelDefaults = call.json().await?;
    let database = call.database()?;
    let table = ModelChanges(&database);
    let catalogue = table.catalogue().await?;
    for (role, id) in request.defaults.iter().filter(|(_, id)| !id.is_empty()) {
        if !catalogue
            .get(id)
            .as_ref()
            .is_some_and(Models::may_be_default)
        {
            return Err(ApiError::new(
                422,
                "model_not_a_default",
                format!(
                    "The model of `{}` is unknown, not enabled, or deprecated.",
                    role.name()
                ),
            )
            .hint("GET /api/models says which models there are.")
            .into());
        }
    }
    table
        .choose(&request.defaults, admin.id(), call.now)
        .await?;
    for (role, id) in &request.defaults {
        let action = "model_default";
        let detail = Some(id.as_str());
        audit::detailed(
            call,
            &database,
            admin.id(),
            action,
            role.name(),
            None,
            detail,
        )
        .await?;
    }
    Ok(http::json(200, &views(call, admin.id()).await?))
}

/// Asks each provider that the installation has access to, and keeps what is new, switched off.
pub(crate) async fn refresh(call: &Call, admin: Admin) -> Answer {
    let installation = Installation::of(&call.env)?;
    let database = call.database()?;
    let table = ModelChanges(&database);
    let held = model_access::read(&database, Asker::person(admin.id())).await?;
    let (mut refreshed, mut new) = (Refreshed::default(), Vec::new());
    for provider in [Provider::WorkersAi, Provider::Openai, Provider::Anthropic] {
        let ids = match listed(call, &installation, &held, provider).await {
            Ok(ids) => ids,
            Err(why) => {
                refreshed
                    .unasked
                    .push(format!("{}: {why}", provider.name()));
                continue;
            }
        };
        for id in &ids {
            if held.models.get(id).is_none() && is_for_text(provider, id) {
                refreshed.added.push(id.clone());
                new.push(ModelChange {
                    id: id.clone(),
                    provider: Some(provider),
                    enabled: Some(false),
                    ..ModelChange::default()
                });
            }
        }
        let gone = held.models.list().into_iter().filter(|model| {
            model.enabled
                && model.provider == provider
                && !ids.iter().any(|id| *id == model.provider_model)
        });
        refreshed
            .unlisted
            .extend(gone.map(|model| model.id.into_owned()));
    }
    new.truncate(MOST_ADDED);
    refreshed.added.truncate(MOST_ADDED);
    table.add(&new, admin.id(), call.now).await?;
    audit::record(call, &database, admin.id(), "models_refreshed", "models").await?;
    Ok(http::json(200, &refreshed))
}

async fn listed(
    call: &Call,
    installation: &Installation,
    held: &ModelAccess,
    provider: Provider,
) -> Result<Vec<String>, String> {
    let asked = match platform_upstream(call, installation, held, provider) {
        Ok(upstream) => models::ask(&upstream, PATIENCE).await,
        Err(Failed(error)) => return Err(error.message),
    };
    match asked {
        Ok(Listed::Models(ids)) => Ok(ids),
        Ok(Listed::Status(status)) => Err(format!("it answered with {status}")),
        Err(error) => {
            log(&format!("models of {}: {error}", provider.name()));
            Err("it cannot be reached".to_owned())
        }
    }
}

/// Whether a model of a provider's list answers in words, as far as its id tells.
fn is_for_text(provider: Provider, id: &str) -> bool {
    let other = [
        "audio",
        "realtime",
        "image",
        "tts",
        "transcribe",
        "search",
        "embed",
    ];
    let family: &[&str] = match provider {
        Provider::Openai => &["gpt-", "o1", "o3", "o4", "codex"],
        Provider::Anthropic => &["claude-"],
        Provider::WorkersAi => &["@cf/", "@hf/"],
        Provider::AiGateway | Provider::Custom => &[""],
    };
    family.iter().any(|start| id.starts_with(start)) && !other.iter().any(|it| id.contains(it))
}

async fn views(call: &Call, user: &UserId) -> Result<ModelList, Failed> {
    let installation = Installation::of(&call.env);
    let platform = installation
        .map(|it| it.platform.clone())
        .unwrap_or_default();
    let database = call.database()?;
    let held = model_access::read(&database, Asker::person(user)).await?;
    let keys: Vec<HeldKey> = held.keys.iter().map(|key| key.held()).collect();
    let own = models::listed(call).await;
    let defaults: Vec<(Role, String)> = Role::ALL
        .into_iter()
        .filter_map(|role| Some((role, held.models.default_for(role)?.id.into_owned())))
        .collect();
    let view = |model: Model| ModelView {
        available: available(&model, &keys, &platform, &own),
        default_for: defaults
            .iter()
            .filter(|(_, id)| *id == model.id)
            .map(|(role, _)| *role)
            .collect(),
        model,
    };
    Ok(ModelList {
        models: held.models.list().into_iter().map(view).collect(),
    })
}

/// The modes in which a model can be called.
fn available(model: &Model, keys: &[HeldKey], platform: &Platform, own: &[String]) -> Vec<Mode> {
    if !model.is_selectable() {
        return Vec::new();
    }
    let modes = [Mode::Sam, Mode::OwnKey].into_iter();
    modes
        .filter(|mode| {
            route(model, Dialect::Chat, *mode, keys, platform)
                .is_ok_and(|route| is_there(&route, &model.id, own))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_patch_replaces_and_null_forgets() {
        let held = json!({"id": "m", "enabled": true, "prices": {"input": 1, "output": 2}});
        for (patch, expected) in [
            (
                json!({"enabled": false}),
                json!({"id": "m", "enabled": false, "prices": {"input": 1, "output": 2}}),
            ),
            (json!({"prices": null}), json!({"id": "m", "enabled": true})),
            (
                json!({"prices": {"input": 3}}),
                json!({"id": "m", "enabled": true, "prices": {"input": 3, "output": 2}}),
            ),
        ] {
            assert_eq!(merged(held.clone(), &patch), expected);
        }
        assert_eq!(merged(held, &json!([])), json!([]));
    }

    #[test]
    fn models_for_other_things_are_not_added() {
        for (provider, id, wanted) in [
            (Provider::Openai, "gpt-6", true),
            (Provider::Openai, "gpt-6-realtime", false),
            (Provider::Openai, "dall-e-4", false),
            (Provider::Anthropic, "claude-sonnet-6", true),
            (Provider::WorkersAi, "@cf/baai/bge-embed", false),
        ] {
            assert_eq!(is_for_text(provider, id), wanted, "{id}");
        }
    }
}

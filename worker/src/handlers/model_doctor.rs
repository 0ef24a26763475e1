//! The doctor's look at everything that model calls need, with what is wrong in words.
//!
//! It asks Cloudflare's API what the gateway is set to, and each provider through the gateway whether
//! it takes what the installation has. It changes nothing and spends nothing.

use std::time::Duration;

use sam_domain::access::doctor::{Check, Health};
use sam_domain::catalogue::changes::Role;
use sam_domain::catalogue::model::Provider;
use sam_domain::provider::route::Gateway;
use sam_platform::d1::model_access::{self, Asker, ModelAccess};
use sam_platform::fetch::{self, Outgoing};
use serde::Deserialize;

use crate::call::Call;
use crate::errors::Failed;
use crate::principal::Admin;
use crate::proxy::access::{endpoint_upstream, keyring, platform_upstream};
use crate::proxy::installation::Installation;
use crate::proxy::models::{self, Listed};
use crate::proxy::upstream::Upstream;

/// How long anybody may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest answer of Cloudflare's API that is read, in bytes.
const LIMIT: usize = 256 * 1024;
/// What makes the gateway as it should be.
const CONFIGURE: &str = "Run scripts/deploy/configure-ai-gateway.";

#[derive(Deserialize)]
struct Envelope {
    result: Option<GatewaySettings>,
}

#[derive(Deserialize)]
struct GatewaySettings {
    authentication: Option<bool>,
}

pub(crate) async fn checks(call: &Call, admin: &Admin) -> Result<Vec<Check>, Failed> {
    let mut findings = Vec::new();
    findings.push(match keyring(call) {
        Ok(keys) => good(
            "credential_key",
            format!(
                "Stored keys are encrypted under the key `{}`.",
                keys.present()
            ),
        ),
        Err(_) => bad(
            "credential_keys_unreadable",
            "SAM_CREDENTIAL_KEYS cannot be read: no stored key can be used.",
            "It is a list of `id:key`, each key 32 bytes in base64url.",
        ),
    });
    match Installation::of(&call.env) {
        Ok(installation) => access(call, admin, &installation, &mut findings).await?,
        Err(error) => {
            let hint = error.hint.unwrap_or_default();
            findings.push(bad("model", &error.message, &hint));
        }
    }
    Ok(findings)
}

async fn access(
    call: &Call,
    admin: &Admin,
    installation: &Installation,
    findings: &mut Vec<Check>,
) -> Result<(), Failed> {
    let held = model_access::read(&call.database()?, Asker::person(admin.id())).await?;
    if let Some(upstream) = endpoint_upstream(installation) {
        findings.push(endpoint(&upstream).await);
    }
    if let Some(gateway) = &installation.platform.gateway {
        let found = gateway_settings(installation, gateway).await;
        let reachable = found.name != "cloudflare_token_refused";
        findings.push(found);
        if reachable {
            for provider in [Provider::WorkersAi, Provider::Openai, Provider::Anthropic] {
                findings.push(provider_access(call, installation, &held, provider).await);
            }
        }
    }
    if installation.platform == sam_domain::provider::route::Platform::default() {
        let keys = held
            .keys
            .iter()
            .any(|key| key.scope == sam_domain::provider::key::Scope::Platform);
        if !keys {
            findings.push(bad(
                "no_model_access",
                "The installation has no access to models of its own; people can only use their own keys.",
                "Set SAM_MODEL_URL, or SAM_CLOUDFLARE_ACCOUNT and SAM_CLOUDFLARE_TOKEN.",
            ));
        }
    }
    // In the order in which a call without a model finds one.
    let default = installation.model.clone().or_else(|| {
        let model = held.models.default_for(Role::Agent)?;
        Some(model.id.into_owned())
    });
    findings.push(match default {
        Some(model) => good("default_model", format!("The default model is {model}.")),
        None => bad(
            "no_default_model",
            "No model is enabled that could be a default.",
            "Enable one with `sam model set ID --enable`, or set SAM_MODEL.",
        ),
    });
    Ok(())
}

async fn endpoint(upstream: &Upstream) -> Check {
    match models::ask(upstream, PATIENCE).await {
        Ok(Listed::Models(ids)) => good(
            "model",
            format!(
                "The model endpoint answers, and lists {} models.",
                ids.len()
            ),
        ),
        Ok(Listed::Status(status @ (401 | 403))) => bad(
            "model",
            &format!("The model endpoint refuses the key ({status})."),
            "Check SAM_MODEL_KEY and SAM_MODEL_AUTH.",
        ),
        Ok(Listed::Status(_)) => good(
            "model",
            "The model endpoint answers; it does not list its models.".to_owned(),
        ),
        Err(_) => bad(
            "model",
            "The model endpoint cannot be reached.",
            "Check SAM_MODEL_URL, and that what it names is running.",
        ),
    }
}

/// What Cloudflare's API says of the gateway.
async fn gateway_settings(installation: &Installation, gateway: &Gateway) -> Check {
    let url = format!(
        "{}/accounts/{}/ai-gateway/gateways/{}",
        installation.cloudflare, gateway.account, gateway.id
    );
    let token = installation.token.as_ref();
    let token = token.map_or_else(String::new, |token| format!("Bearer {}", token.expose()));
    let unreachable = || {
        bad(
            "cloudflare_unreachable",
            "Cloudflare's API cannot be reached, so that the gateway's settings are not known.",
            "Check SAM_CLOUDFLARE_URL and the network.",
        )
    };
    let asked = Outgoing {
        method: "GET",
        url: &url,
        headers: vec![
            ("authorization", token),
            ("accept", "application/json".to_owned()),
        ],
        body: None,
        first_byte_within: PATIENCE,
    };
    let Ok(incoming) = fetch::send(&asked).await else {
        return unreachable();
    };
    match incoming.status {
        200 => {}
        401 | 403 => {
            return bad(
                "cloudflare_token_refused",
                "Cloudflare refuses SAM_CLOUDFLARE_TOKEN, or it may not read AI Gateway.",
                "Make a token of this account with AI Gateway (read, run) and Workers AI (read).",
            );
        }
        404 => {
            return bad(
                "gateway_missing",
                &format!("The account has no AI Gateway `{}`.", gateway.id),
                CONFIGURE,
            );
        }
        _ => return unreachable(),
    }
    let body = std::pin::pin!(incoming.into_bytes(LIMIT));
    let Some(Ok(bytes)) = fetch::within(PATIENCE, body).await else {
        return unreachable();
    };
    let settings = sam_platform::http::parse_json::<Envelope>(&bytes).ok();
    match settings.and_then(|envelope| envelope.result) {
        Some(GatewaySettings {
            authentication: Some(true),
        }) => good(
            "gateway",
            format!("The AI Gateway `{}` asks for authentication.", gateway.id),
        ),
        Some(_) => bad(
            "gateway_unauthenticated",
            &format!(
                "The AI Gateway `{}` takes calls of anybody who knows its address.",
                gateway.id
            ),
            CONFIGURE,
        ),
        None => unreachable(),
    }
}

/// Whether a provider takes what the installation has for it.
async fn provider_access(
    call: &Call,
    installation: &Installation,
    held: &ModelAccess,
    provider: Provider,
) -> Check {
    let name = provider.name();
    let upstream = match platform_upstream(call, installation, held, provider) {
        Ok(upstream) => upstream,
        Err(Failed(error)) => {
            let hint = error.hint.unwrap_or_default();
            return bad("provider_missing", &error.message, &hint);
        }
    };
    match models::ask(&upstream, PATIENCE).await {
        Ok(Listed::Models(_)) => good("provider", format!("{name} can be called.")),
        Ok(Listed::Status(status @ (401 | 403))) => bad(
            "provider_missing",
            &format!(
                "{name} refuses the installation ({status}): the gateway holds no key for it, \
                 unified billing does not pay for it, or the token is wrong."
            ),
            "Store a key at the gateway or with `sam credential set --platform`, load credits for \
             unified billing, or check SAM_CLOUDFLARE_TOKEN.",
        ),
        // What does not list its models may still answer.
        Ok(Listed::Status(status)) => good(
            "provider",
            format!("{name} answers, but not with its models ({status})."),
        ),
        Err(_) => bad(
            "provider_unreachable",
            &format!("{name} cannot be reached through the gateway."),
            "Check SAM_AI_GATEWAY_URL and the network.",
        ),
    }
}

fn good(name: &str, message: String) -> Check {
    Check::ok(name, message)
}

fn bad(name: &str, message: &str, hint: &str) -> Check {
    Check::not(name, Health::Failed, message, hint)
}

//! The device flow (RFC 8628), as programs and as people meet it.
//!
//! Programs get the words and shapes of the RFC, in forms or JSON, from routes that need no
//! credential. People decide on the page, as themselves: with an unnarrowed session, and after
//! comparing what is shown.

use sam_domain::access::tokens::{Scope, Scopes};
use sam_domain::collect::Map;
use sam_domain::device::call::{Begun, Decided, DeviceCall};
use sam_domain::device::code::{DEVICE_CODE, UserCode};
use sam_domain::device::flow::{DeviceAnswer, INTERVAL, LIFETIME};
use sam_domain::device::wire::{
    AccessToken, Asked, AuthorizationServer, DecideDevice, DeviceCodes, DeviceView, GRANT_TYPE,
    OAuthError,
};
use sam_domain::error::ApiError;
use sam_domain::id::{Id as _, UserId};
use sam_domain::limit::LimitName;
use sam_platform::crypto::base64url;
use sam_platform::crypto::keys::TOKEN_BYTES;
use sam_platform::d1::users::Users;
use sam_platform::objects::CallError;
use sam_platform::{entropy, http, js, objects};
use std::net::IpAddr;
use url::{Url, form_urlencoded};
use worker::Response;

use super::audit;
use super::auth::{self, Narrowed};
use crate::call::Call;
use crate::errors::{Answer, Failed, hidden};
use crate::limits;
use crate::principal::{self, Public, User};

/// Longest body of a program's request, in bytes.
const BODY_LIMIT: usize = 8 * 1024;
/// Longest name that a program gives itself, in characters.
const CLIENT_LIMIT: usize = 100;
/// How often a code is drawn again that is another flow's.
const DRAWS: u32 = 5;

pub(crate) async fn metadata(call: &Call, _: Public) -> Answer {
    let at = |path: &str| page(call, path).to_string();
    let issuer = page(call, "/").to_string();
    Ok(http::json(
        200,
        &AuthorizationServer {
            issuer: issuer.trim_end_matches('/').to_owned(),
            device_authorization_endpoint: at("/api/auth/device/code"),
            token_endpoint: at("/api/auth/device/token"),
            response_types_supported: Vec::new(),
            grant_types_supported: vec![GRANT_TYPE.to_owned()],
            token_endpoint_auth_methods_supported: vec!["none".to_owned()],
            scopes_supported: Scope::ALL.map(|scope| scope.word().to_owned()).to_vec(),
        },
    ))
}

fn page(call: &Call, path: &str) -> Url {
    let mut url = call.public_url();
    url.set_path(path);
    url.set_query(None);
    url.set_fragment(None);
    url
}

/// A refusal in the words of RFC 6749.
fn refused(error: &str, description: &str) -> Response {
    http::json(400, &OAuthError::new(error, description))
}

/// The parameters of a program's request: a form, as the RFC has it, or a JSON object of texts.
/// `Err` is the refusal.
async fn parameters(call: &Call) -> Result<Map<String, String>, Response> {
    let bytes = http::read_body(&call.request, BODY_LIMIT)
        .await
        .map_err(|_| refused("invalid_request", "The body is too long or broke off."))?;
    let stated = call.header("content-type").unwrap_or_default();
    let essence = stated.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return http::parse_json(&bytes)
            .map_err(|_| refused("invalid_request", "The body is no JSON object of texts."));
    }
    let mut found = Map::new();
    for (name, value) in form_urlencoded::parse(&bytes) {
        // An empty parameter counts as none (RFC 6749, 3.2), a repeated one is refused.
        if value.is_empty() {
            continue;
        }
        if found
            .insert(name.into_owned(), value.into_owned())
            .is_some()
        {
            return Err(refused("invalid_request", "A parameter comes twice."));
        }
    }
    Ok(found)
}

/// The client's name for itself. Clients are public and not registered: it is shown as what it is.
fn client(parameters: &Map<String, String>) -> Result<String, Response> {
    let id = parameters
        .get("client_id")
        .map(String::as_str)
        .unwrap_or_default();
    let well_formed = (1..=CLIENT_LIMIT).contains(&id.chars().count())
        && id.chars().all(|c| c.is_ascii_graphic() || c == ' ');
    if well_formed {
        Ok(id.to_owned())
    } else {
        Err(refused(
            "invalid_request",
            "client_id is missing, too long, or has characters that are not printable ASCII.",
        ))
    }
}

fn scopes(parameters: &Map<String, String>) -> Result<Option<Scopes>, Response> {
    let Some(text) = parameters.get("scope") else {
        return Ok(None);
    };
    match text.parse::<Scopes>() {
        Ok(scopes) => Ok(Some(scopes).filter(|scopes| !scopes.is_empty())),
        Err(unknown) => Err(refused("invalid_scope", &unknown.to_string())),
    }
}

pub(crate) async fn begin(call: &Call, _: Public) -> Answer {
    let asked = async {
        let parameters = parameters(call).await?;
        Ok(Asked {
            client_id: client(&parameters)?,
            user_agent: auth::user_agent(call),
            address: limits::address(call),
            place: place(call),
            scopes: scopes(&parameters)?,
        })
    };
    let asked = match asked.await {
        Ok(asked) => asked,
        Err(refusal) => return Ok(refusal),
    };
    match limits::by_address(call, LimitName::DeviceCodeAddress).await {
        Err(Failed(error)) if error.status == 429 => {
            let mut reply = http::json(
                429,
                &OAuthError::new("temporarily_unavailable", &error.message),
            );
            if let Some(seconds) = call.retry_after.get() {
                reply
                    .headers_mut()
                    .set("retry-after", &seconds.to_string())?;
            }
            return Ok(reply);
        }
        counted => counted?,
    }
    let secret = base64url(&entropy::bytes::<TOKEN_BYTES>()?);
    for _ in 0..DRAWS {
        let code = UserCode::draw(entropy::for_id()?);
        let device_code = code.device_code(&secret);
        let ask = DeviceCall::Begin {
            device_hmac: hmac(call, &device_code)?,
            asked: asked.clone(),
        };
        match objects::device_flow(&call.env, &code)?.call(&ask).await? {
            Begun::Begun => return Ok(http::json(200, &codes(call, code, device_code))),
            Begun::Taken => {}
        }
    }
    Err(hidden(&"no user code is free"))
}

fn hmac(call: &Call, device_code: &str) -> Result<String, Failed> {
    let hash = call.key()?.hash_token(DEVICE_CODE, device_code);
    Ok(hash.as_str().to_owned())
}

fn codes(call: &Call, user_code: UserCode, device_code: String) -> DeviceCodes {
    let page = page(call, "/device");
    let mut complete = page.clone();
    complete
        .query_pairs_mut()
        .append_pair("code", &user_code.to_string());
    DeviceCodes {
        device_code,
        user_code,
        verification_uri: page.into(),
        verification_uri_complete: complete.into(),
        expires_in: LIFETIME.0 / 1000,
        interval: INTERVAL.0 / 1000,
    }
}

/// Where the caller is, as far as the edge knows. On one machine there is no edge, and what its
/// stand-in says is not true.
fn place(call: &Call) -> Option<String> {
    let here = |ip: IpAddr| ip.is_loopback();
    if limits::address(call)?.parse().is_ok_and(here) {
        return None;
    }
    let cf = js::get(call.request.inner(), "cf").ok()?;
    let of = |name| js::get(&cf, name).ok().and_then(|value| value.as_string());
    let parts: Vec<String> = ["city", "country"].into_iter().filter_map(of).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

pub(crate) async fn poll(call: &Call, _: Public) -> Answer {
    let parameters = match parameters(call).await {
        Ok(parameters) => parameters,
        Err(refusal) => return Ok(refusal),
    };
    match parameters.get("grant_type").map(String::as_str) {
        Some(GRANT_TYPE) => {}
        Some(_) => {
            return Ok(refused(
                "unsupported_grant_type",
                "This endpoint knows the device flow alone.",
            ));
        }
        None => return Ok(refused("invalid_request", "grant_type is missing.")),
    }
    let client_id = match client(&parameters) {
        Ok(client) => client,
        Err(refusal) => return Ok(refusal),
    };
    let Some(device_code) = parameters.get("device_code") else {
        return Ok(refused("invalid_request", "device_code is missing."));
    };
    let invalid = || {
        Ok(refused(
            "invalid_grant",
            "The device code is unknown, is another client's, or was redeemed before.",
        ))
    };
    let Some(code) = UserCode::of_device_code(device_code) else {
        return invalid();
    };
    let ask = DeviceCall::Poll {
        device_hmac: hmac(call, device_code)?,
        client_id: client_id.clone(),
    };
    let answer = match objects::device_flow(&call.env, &code)?.call(&ask).await {
        Err(CallError::Refused(error)) if error.status == 404 => return invalid(),
        answer => answer?,
    };
    Ok(match answer {
        DeviceAnswer::Pending => refused("authorization_pending", "Nobody has decided yet."),
        DeviceAnswer::SlowDown => refused(
            "slow_down",
            "The poll came too early; wait five seconds more between polls from now on.",
        ),
        DeviceAnswer::Denied => refused("access_denied", "The person said no."),
        DeviceAnswer::Expired => refused("expired_token", "The codes have expired; begin again."),
        DeviceAnswer::Granted { by, scopes } => return granted(call, &by, scopes, client_id).await,
        DeviceAnswer::Invalid | DeviceAnswer::Decided | DeviceAnswer::DecidedBefore => {
            return invalid();
        }
    })
}

async fn granted(call: &Call, by: &UserId, scopes: Option<Scopes>, client: String) -> Answer {
    // Who said yes may have been shut out since.
    let person = Users(&call.database()?).get(by).await?;
    let Some(person) = person.filter(|person| principal::active(person).is_ok()) else {
        return Ok(refused("access_denied", "The person may not sign in."));
    };
    let narrowed = Narrowed {
        scopes,
        api_token: None,
        client: Some(client),
    };
    let (token, lasts) = auth::open_session(call, &person, &narrowed).await?;
    Ok(http::json(
        200,
        &AccessToken {
            access_token: token.expose().to_owned(),
            token_type: "Bearer".to_owned(),
            expires_in: lasts.0 / 1000,
            scope: narrowed.scopes.map(|scopes| scopes.to_string()),
        },
    ))
}

pub(crate) async fn get(call: &Call, user: User) -> Answer {
    let code = call
        .segment(0)
        .and_then(|text| text.parse::<UserCode>().ok())
        .ok_or_else(|| ApiError::not_found("device code"))?;
    limits::by_person(call, LimitName::UserCodeAccount, user.id()).await?;
    let view: DeviceView = objects::device_flow(&call.env, &code)?
        .call(&DeviceCall::Look)
        .await?;
    Ok(http::json(200, &view))
}

pub(crate) async fn approve(call: &Call, user: User) -> Answer {
    decide(call, user, true).await
}

pub(crate) async fn deny(call: &Call, user: User) -> Answer {
    decide(call, user, false).await
}

async fn decide(call: &Call, user: User, approve: bool) -> Answer {
    let DecideDevice { user_code } = call.json().await?;
    limits::by_person(call, LimitName::UserCodeAccount, user.id()).await?;
    let ask = DeviceCall::Decide {
        by: user.id().clone(),
        approve,
    };
    let Decided { answer, view } = objects::device_flow(&call.env, &user_code)?
        .call(&ask)
        .await?;
    match answer {
        DeviceAnswer::Decided => {}
        DeviceAnswer::Expired => {
            return Err(
                ApiError::new(410, "device_code_expired", "The code has expired.")
                    .hint("Start again where you began: the program shows a new one.")
                    .into(),
            );
        }
        _ => {
            return Err(ApiError::conflict(
                "decided_before",
                "This code was approved or denied before.",
            )
            .hint("If that was not you, end the session it opened in Settings.")
            .into());
        }
    }
    let action = match approve {
        true => "device_approved",
        false => "device_denied",
    };
    audit::detailed(
        call,
        &call.database()?,
        user.id(),
        action,
        user.id().as_str(),
        None,
        Some(&view.asked.client_id),
    )
    .await?;
    Ok(http::json(200, &view))
}

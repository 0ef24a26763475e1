//! API tokens: made, listed, revoked, and exchanged for a session.

use sam_domain::access::tokens::{
    ApiTokenList, ApiTokenView, CreateApiToken, CreatedApiToken, Scope, Scopes, TokenLogin,
};
use sam_domain::access::wire::SignedIn;
use sam_domain::conversation::call::Done;
use sam_domain::error::ApiError;
use sam_domain::id::{ApiTokenId, Id as _};
use sam_domain::limit::LimitName;
use sam_domain::time::Millis;
use sam_platform::crypto::random_token;
use sam_platform::d1::api_tokens::ApiTokens;
use sam_platform::d1::auth_sessions::AuthSessions;
use sam_platform::http;

use super::auth::{self, Narrowed};
use super::{audit, auth_sessions};
use crate::call::Call;
use crate::errors::Answer;
use crate::limits;
use crate::principal::{self, API_TOKEN, Public, User};

/// Prefix of the tokens of older installations, which still open a session.
const OLDER_TOKEN: &str = "sam_test_";
/// Longest name of a token, in characters.
const NAME_LIMIT: usize = 100;
/// Most days a token may last.
const DAYS_LIMIT: u32 = 3650;
/// Most tokens of one person that can be used.
const TOKENS_LIMIT: u32 = 100;

pub(crate) async fn list(call: &Call, user: User) -> Answer {
    let tokens = ApiTokens(&call.database()?)
        .of_user(user.id(), call.now)
        .await?;
    Ok(http::json(200, &ApiTokenList { tokens }))
}

pub(crate) async fn create(call: &Call, user: User) -> Answer {
    let request: CreateApiToken = call.json().await?;
    let name = request.name.trim();
    if name.is_empty() || name.chars().count() > NAME_LIMIT || name.chars().any(char::is_control) {
        return Err(ApiError::bad_request(format!(
            "`name` must have 1 to {NAME_LIMIT} characters, none of them a control character."
        ))
        .into());
    }
    let scopes = request
        .scopes
        .unwrap_or_else(|| Scopes::from_iter([Scope::Read, Scope::Write]));
    if scopes.is_empty() {
        return Err(ApiError::bad_request("`scopes` names none.").into());
    }
    let days = request.expires_in_days;
    if days.is_some_and(|days| !(1..=DAYS_LIMIT).contains(&days)) {
        return Err(ApiError::bad_request(format!(
            "`expires_in_days` must be from 1 to {DAYS_LIMIT}."
        ))
        .into());
    }
    let secret = random_token(API_TOKEN)?;
    let view = ApiTokenView {
        id: call.mint()?,
        name: name.to_owned(),
        scopes,
        created_at: call.now,
        expires_at: days.map(|days| call.now.plus(Millis::hours(24 * u64::from(days)))),
        last_used_at: None,
    };
    let database = call.database()?;
    let hash = call.key()?.hash_token(API_TOKEN, secret.expose());
    let stored = ApiTokens(&database)
        .insert(&hash, user.id(), &view, TOKENS_LIMIT)
        .await?;
    if !stored {
        return Err(ApiError::conflict(
            "too_many_tokens",
            format!("You have {TOKENS_LIMIT} API tokens already."),
        )
        .hint("Revoke those that nothing uses any more.")
        .into());
    }
    audit::detailed(
        call,
        &database,
        user.id(),
        "api_token_made",
        view.id.as_str(),
        None,
        Some(&view.scopes.to_string()),
    )
    .await?;
    let token = secret.expose().to_owned();
    Ok(http::json(201, &CreatedApiToken { token, view }))
}

pub(crate) async fn revoke(call: &Call, user: User) -> Answer {
    let token: ApiTokenId = call.id(0, "API token")?;
    let database = call.database()?;
    let revoked = ApiTokens(&database)
        .revoke(user.id(), &token, call.now)
        .await?
        .ok_or_else(|| ApiError::not_found("API token"))?;
    let mut opened = AuthSessions(&database).of_api_token(&token).await?;
    opened.push(revoked.handle().to_owned());
    audit::record(
        call,
        &database,
        user.id(),
        "api_token_revoked",
        token.as_str(),
    )
    .await?;
    auth_sessions::close(call, &database, user.id(), opened).await?;
    Ok(http::json(200, &Done {}))
}

pub(crate) async fn login(call: &Call, _: Public) -> Answer {
    let request: TokenLogin = call.json().await?;
    let prefix = [API_TOKEN, OLDER_TOKEN]
        .into_iter()
        .find(|prefix| request.token.starts_with(prefix))
        .ok_or_else(|| {
            ApiError::new(400, "not_an_api_token", "This is not an API token.").hint(
                "One begins with `sam_pat_`; make it in Settings, or with `sam token create`.",
            )
        })?;
    let database = call.database()?;
    let hash = call.key()?.hash_token(prefix, &request.token);
    let presented = ApiTokens(&database)
        .present(&hash, call.now)
        .await?
        .ok_or_else(|| {
            ApiError::new(
                401,
                "api_token_refused",
                "The API token is unknown, was revoked or has expired.",
            )
            .hint("Make another one: in Settings, or with `sam token create`.")
        })?;
    limits::by_person(call, LimitName::TokenLoginAccount, &presented.user.id).await?;
    principal::active(&presented.user)?;
    ApiTokens(&database).used(&presented.id, call.now).await?;
    let narrowed = Narrowed {
        scopes: Some(presented.scopes),
        api_token: Some((presented.id, presented.expires_at)),
        client: None,
    };
    let (token, _) = auth::open_session(call, &presented.user, &narrowed).await?;
    // No cookie: this is for programs, and a browser's own session must not be narrowed by it.
    Ok(http::json(
        200,
        &SignedIn {
            token: token.expose().to_owned(),
            user: presented.user.view(),
        },
    ))
}

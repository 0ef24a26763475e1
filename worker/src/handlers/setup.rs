//! Claiming the installation, once, and what is set in the app.

use sam_domain::access::setup::PutConfig;
use sam_domain::access::wire::{ClaimSetup, Role, SetupStatus};
use sam_domain::error::ApiError;
use sam_domain::settings::KEPT;
use sam_platform::bindings;
use sam_platform::crypto::Secret;
use sam_platform::d1::installation::Installation;
use sam_platform::d1::settings::{self, Settings};
use sam_platform::d1::users::User;
use sam_platform::http;

use super::{audit, auth, github};
use crate::call::Call;
use crate::config::{self, Config};
use crate::errors::{Answer, Failed, hidden};
use crate::principal::{Admin, Public};
use crate::proxy::access::keyring;
use crate::proxy::installation;

/// Longest value of a setting, in bytes.
const VALUE_LIMIT: usize = 500;
/// What `SAM_SIGN_UP` can be.
const SIGN_UP: [&str; 3] = ["invite", "approval", "open"];

pub(crate) async fn status(call: &Call, _: Public) -> Answer {
    let claim = Installation(&call.database()?).claim().await?;
    Ok(http::json(
        200,
        &SetupStatus {
            claimed: claim.is_some(),
            model: installation::status(&call.env),
            github: github::is_configured(call).await,
        },
    ))
}

pub(crate) async fn claim(call: &Call, _: Public) -> Answer {
    let request: ClaimSetup = call.json().await?;
    let name = auth::person_name(request.name.as_deref().unwrap_or("admin"))?;
    let database = call.database()?;
    let installation = Installation(&database);
    if installation.claim().await?.is_some() {
        return Err(already_claimed().into());
    }
    let configured = bindings::secret(&call.env, bindings::SAM_CLAIM_TOKEN).ok_or_else(|| {
        ApiError::new(503, "claim_disabled", "No claim token is configured.")
            .hint("Set SAM_CLAIM_TOKEN and start the server again.")
    })?;
    let presented = Secret::new(request.claim_token);
    if !call.key()?.secrets_equal(&configured, &presented) {
        return Err(
            ApiError::new(403, "wrong_claim_token", "This is not the claim token.")
                .hint("The server keeps it in the file `claim-token` of its state directory.")
                .into(),
        );
    }
    let admin = User {
        id: call.mint()?,
        name: name.to_owned(),
        role: Role::Admin,
        created_at: call.now,
        suspended_at: None,
        waits_since: None,
    };
    // The database decides between simultaneous claims.
    if !installation.try_claim(&admin).await? {
        return Err(already_claimed().into());
    }
    auth::sign_in(call, &admin).await
}

fn already_claimed() -> ApiError {
    ApiError::conflict("already_claimed", "This installation has been claimed.")
        .hint("Sign in with a sign-in link from whoever claimed it.")
}

pub(crate) async fn config(call: &Call, _: Admin) -> Answer {
    Ok(http::json(200, &Config::of(call).await?.view()))
}

pub(crate) async fn put_config(call: &Call, admin: Admin) -> Answer {
    let request: PutConfig = call.json().await?;
    let mut changes = Vec::new();
    // Everything is looked at before anything is stored.
    for (name, value) in request.settings {
        let name = KEPT.into_iter().find(|kept| *kept == name).ok_or_else(|| {
            ApiError::new(
                400,
                "unknown_setting",
                format!("There is no setting {name:?} that can be kept here."),
            )
            .hint(format!("There are {}.", KEPT.join(", ")))
        })?;
        if config::by_environment(call, name).is_some() {
            return Err(ApiError::conflict(
                "set_by_environment",
                format!("{name} is set where the server was started, and that wins."),
            )
            .hint("Change it there, or take it away there and set it here.")
            .into());
        }
        if let Some(value) = &value {
            acceptable(name, value)?;
        }
        changes.push((name, value.map(Secret::new)));
    }
    let (database, keys) = (call.database()?, keyring(call)?);
    let sealed = |(name, value): (&'static str, Option<Secret>)| {
        let seal = |value| keys.seal(&settings::purpose(name), &value);
        let sealed = value.map(seal).transpose();
        Ok::<_, Failed>((name, sealed.map_err(|error| hidden(&error))?))
    };
    let changes: Vec<_> = changes.into_iter().map(sealed).collect::<Result<_, _>>()?;
    let table = Settings(&database);
    table.change(&changes, admin.id(), call.now).await?;
    for (name, value) in &changes {
        let action = match value {
            Some(_) => "setting_put",
            None => "setting_removed",
        };
        audit::record(call, &database, admin.id(), action, name).await?;
    }
    Ok(http::json(200, &Config::of(call).await?.view()))
}

/// Refuses a value that the setting cannot have. The value is not told again.
fn acceptable(name: &str, value: &str) -> Result<(), ApiError> {
    let printable = value.bytes().all(|byte| byte.is_ascii_graphic());
    let known = name != bindings::SAM_SIGN_UP || SIGN_UP.contains(&value);
    if !value.is_empty() && value.len() <= VALUE_LIMIT && printable && known {
        return Ok(());
    }
    let message = match name {
        bindings::SAM_SIGN_UP => format!("{name} is one of {}.", SIGN_UP.join(", ")),
        _ => format!("{name} has 1 to {VALUE_LIMIT} printable characters, and no space."),
    };
    Err(ApiError::bad_request(message))
}

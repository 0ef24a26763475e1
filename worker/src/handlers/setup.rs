//! Claiming the installation, once.

use sam_domain::access::wire::{ClaimSetup, Role, SetupStatus};
use sam_domain::error::ApiError;
use sam_domain::limit::LimitName;
use sam_platform::bindings;
use sam_platform::crypto::Secret;
use sam_platform::d1::installation::Installation;
use sam_platform::d1::users::User;
use sam_platform::http;

use super::{auth, github};
use crate::call::Call;
use crate::errors::Answer;
use crate::limits;
use crate::principal::Public;
use crate::proxy::installation;

pub(crate) async fn status(call: &Call, _: Public) -> Answer {
    let claim = Installation(&call.database()?).claim().await?;
    Ok(http::json(
        200,
        &SetupStatus {
            claimed: claim.is_some(),
            model: installation::status(&call.env),
            github: github::is_configured(call),
        },
    ))
}

pub(crate) async fn claim(call: &Call, _: Public) -> Answer {
    let request: ClaimSetup = call.json().await?;
    limits::by_address(call, LimitName::SignInAddress).await?;
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

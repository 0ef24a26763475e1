//! Signing in and out.

use futures::future::join_all;
use sam_domain::access::wire::{LinkLogin, SignInLink, SignedIn};
use sam_domain::conversation::call::{Done, ProjectCall};
use sam_domain::error::ApiError;
use sam_domain::time::Millis;
use sam_platform::crypto::random_token;
use sam_platform::d1::auth_sessions::AuthSessions;
use sam_platform::d1::projects::Projects;
use sam_platform::d1::sign_in_links::SignInLinks;
use sam_platform::d1::users::{self, Users};
use sam_platform::http::{self, cookies};
use worker::Response;

use crate::call::Call;
use crate::errors::{Answer, Failed, log};
use crate::objects;
use crate::principal::{COOKIE, Public, SESSION, User};

/// Prefix of sign-in links' secrets.
const LINK: &str = "sam_lnk_";
/// How long a sign-in link works.
const LINK_LIFETIME: Millis = Millis::minutes(15);
/// How long a session lasts.
const SESSION_LIFETIME: Millis = Millis::hours(24 * 30);

/// Opens a session for a person whose claim was checked by the caller.
pub(super) async fn sign_in(call: &Call, person: &users::User) -> Answer {
    let token = random_token(SESSION)?;
    let hash = call.key()?.hash_token(SESSION, token.expose());
    let client = match call.header("user-agent") {
        Some(agent) if agent.starts_with("sam/") => "cli",
        _ => "web",
    };
    AuthSessions(&call.database()?)
        .insert(
            &hash,
            &person.id,
            client,
            call.now,
            call.now.plus(SESSION_LIFETIME),
        )
        .await?;
    let reply = http::json(
        200,
        &SignedIn {
            token: token.expose().to_owned(),
            user: person.view(),
        },
    );
    let cookie = cookies::issue(
        COOKIE,
        token.expose(),
        SESSION_LIFETIME.0 / 1000,
        call.secure_cookies(),
    );
    with_cookie(reply, &cookie)
}

fn with_cookie(mut reply: Response, cookie: &str) -> Answer {
    reply.headers_mut().set("set-cookie", cookie)?;
    Ok(reply)
}

pub(crate) async fn link_login(call: &Call, _: Public) -> Answer {
    let request: LinkLogin = call.json().await?;
    let spent = || -> Failed {
        ApiError::new(
            410,
            "link_spent",
            "This sign-in link was used before or has expired.",
        )
        .hint("Each link works once, for 15 minutes. Make a new one where you are signed in.")
        .into()
    };
    let database = call.database()?;
    let hash = call.key()?.hash_token(LINK, &request.link);
    let person = SignInLinks(&database)
        .redeem(&hash, call.now)
        .await?
        .ok_or_else(spent)?;
    let person = Users(&database).get(&person).await?.ok_or_else(spent)?;
    sign_in(call, &person).await
}

pub(crate) async fn me(_: &Call, user: User) -> Answer {
    Ok(http::json(200, &user.person.view()))
}

pub(crate) async fn logout(call: &Call, user: User) -> Answer {
    let database = call.database()?;
    AuthSessions(&database)
        .revoke(&user.session, call.now)
        .await?;
    // The session opens nothing any more; what it has open is closed wherever it may be.
    let ask = ProjectCall::CloseSockets {
        auth_session: user.session.handle().to_owned(),
    };
    let projects = Projects(&database).of_member(user.id()).await?;
    let closing = projects
        .iter()
        .map(|project| objects::project::<Done>(call, &project.id, &ask));
    for closed in join_all(closing).await {
        if let Err(error) = closed {
            log(&format!(
                "sockets of an ended session stay until they expire: {}",
                error.0
            ));
        }
    }
    let cookie = cookies::revoke(COOKIE, call.secure_cookies());
    with_cookie(http::json(200, &Done {}), &cookie)
}

pub(crate) async fn create_link(call: &Call, user: User) -> Answer {
    let secret = random_token(LINK)?;
    let expires_at = call.now.plus(LINK_LIFETIME);
    SignInLinks(&call.database()?)
        .insert(
            &call.key()?.hash_token(LINK, secret.expose()),
            user.id(),
            call.now,
            expires_at,
        )
        .await?;
    let mut url = call.public_url();
    url.set_path("/sign-in");
    url.set_query(None);
    // Fragments reach no server, no log and no referrer.
    url.set_fragment(Some(secret.expose()));
    Ok(http::json(
        201,
        &SignInLink {
            url: url.into(),
            expires_at,
        },
    ))
}

//! Signing in and out.

use futures::future::join_all;
use sam_domain::access::tokens::Scopes;
use sam_domain::access::wire::{InviteLogin, LinkLogin, SignInLink, SignedIn};
use sam_domain::conversation::call::{Done, ProjectCall, SocketOwner};
use sam_domain::error::ApiError;
use sam_domain::id::{ApiTokenId, Id as _, ProjectId, UserId};
use sam_domain::time::{Millis, Timestamp};
use sam_platform::crypto::{Secret, random_token};
use sam_platform::d1::auth_sessions::{AuthSessions, NewSession};
use sam_platform::d1::invites::Invites;
use sam_platform::d1::projects::Projects;
use sam_platform::d1::sign_in_links::SignInLinks;
use sam_platform::d1::users::{self, Users};
use sam_platform::http::{self, cookies};
use worker::Response;

use super::{audit, auth_sessions};
use crate::call::Call;
use crate::errors::{Answer, Failed, log};
use crate::objects;
use crate::principal::{self, COOKIE, Public, SESSION, User};

/// Prefix of sign-in links' secrets.
const LINK: &str = "sam_lnk_";
/// Prefix of invites' secrets.
pub(super) const INVITE: &str = "sam_inv_";
/// Longest name of a person, in characters.
const NAME_LIMIT: usize = 100;
/// Most of a program's own description that is kept, in characters.
const USER_AGENT_LIMIT: usize = 120;
/// How long a sign-in link works.
const LINK_LIFETIME: Millis = Millis::minutes(15);
/// For how long an exchanged session still answers what was asked before.
const EXCHANGE_GRACE: Millis = Millis::seconds(30);
/// How long a session lasts.
const SESSION_LIFETIME: Millis = Millis::hours(24 * 30);

/// What a session is opened with, where that is not its person's whole right.
#[derive(Debug, Default)]
pub(super) struct Narrowed {
    /// What it may do; everything that its person may, when absent.
    pub(super) scopes: Option<Scopes>,
    /// The API token that opens it, and when that ends.
    pub(super) api_token: Option<(ApiTokenId, Option<Timestamp>)>,
    /// What the program calls itself.
    pub(super) client: Option<String>,
}

/// Opens a session for a person whose claim was checked by the caller. Returns its token and for how
/// long it lasts.
pub(super) async fn open_session(
    call: &Call,
    person: &users::User,
    narrowed: &Narrowed,
) -> Result<(Secret, Millis), Failed> {
    let token = random_token(SESSION)?;
    let hash = call.key()?.hash_token(SESSION, token.expose());
    let user_agent = user_agent(call);
    let client = narrowed.client.as_deref().unwrap_or(match &user_agent {
        Some(agent) if agent.starts_with("sam/") => "cli",
        _ => "web",
    });
    let latest = call.now.plus(SESSION_LIFETIME);
    let api_token = narrowed.api_token.as_ref();
    let expires_at = api_token
        .and_then(|(_, ends)| *ends)
        .map_or(latest, |ends| ends.min(latest));
    let new = NewSession {
        user: &person.id,
        client,
        user_agent: user_agent.as_deref(),
        scopes: narrowed.scopes.as_ref(),
        api_token: api_token.map(|(id, _)| id),
        now: call.now,
        expires_at,
    };
    AuthSessions(&call.database()?).insert(&hash, &new).await?;
    Ok((token, expires_at.since(call.now)))
}

/// What the caller says of itself, shortened, without what a terminal would obey.
pub(super) fn user_agent(call: &Call) -> Option<String> {
    let agent = call.header("user-agent")?;
    let shown = agent.chars().filter(|c| !c.is_control());
    Some(shown.take(USER_AGENT_LIMIT).collect())
}

/// Opens a session for a person whose claim was checked by the caller, and answers with it.
pub(super) async fn sign_in(call: &Call, person: &users::User) -> Answer {
    end_former(call).await?;
    let (token, lasts) = open_session(call, person, &Narrowed::default()).await?;
    let reply = http::json(
        200,
        &SignedIn {
            token: token.expose().to_owned(),
            user: person.view(),
        },
    );
    with_cookie(reply, &session_cookie(call, &token, lasts))
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
    principal::active(&person)?;
    sign_in(call, &person).await
}

pub(crate) async fn invite_login(call: &Call, _: Public) -> Answer {
    let request: InviteLogin = call.json().await?;
    let name = person_name(&request.name)?;
    let id: UserId = call.mint()?;
    let database = call.database()?;
    let hash = call.key()?.hash_token(INVITE, &request.invite);
    let role = Invites(&database)
        .redeem(&hash, &id, name, call.now)
        .await?
        .ok_or_else(|| {
            ApiError::new(
                410,
                "invite_spent",
                "This invite was used before, was taken back or has expired.",
            )
            .hint("Ask whoever invited you for a new one.")
        })?;
    let person = users::User {
        id,
        name: name.to_owned(),
        role,
        created_at: call.now,
        suspended_at: None,
        waits_since: None,
    };
    audit::record(
        call,
        &database,
        &person.id,
        "person_came",
        person.id.as_str(),
    )
    .await?;
    sign_in(call, &person).await
}

/// Refuses what nobody can be called.
pub(super) fn person_name(name: &str) -> Result<&str, ApiError> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > NAME_LIMIT || name.chars().any(char::is_control) {
        return Err(ApiError::bad_request(format!(
            "`name` must have 1 to {NAME_LIMIT} characters, none of them a control character."
        )));
    }
    Ok(name)
}

/// Who is signed in. A browser whose person's role has changed gets another session in exchange: what
/// the former token was good for ends, wherever else it may be known.
pub(crate) async fn me(call: &Call, user: User) -> Answer {
    let reply = http::json(200, &user.person.view());
    if !user.is_outdated || call.bearer().is_some() {
        return Ok(reply);
    }
    let database = call.database()?;
    let sessions = AuthSessions(&database);
    let token = random_token(SESSION)?;
    let hash = call.key()?.hash_token(SESSION, token.expose());
    let ends = call.now.plus(EXCHANGE_GRACE);
    if !sessions
        .exchange(&user.session, &hash, call.now, ends)
        .await?
    {
        return Ok(reply);
    }
    let former = vec![user.session.handle().to_owned()];
    auth_sessions::close(call, &database, user.id(), former).await?;
    with_cookie(reply, &session_cookie(call, &token, SESSION_LIFETIME))
}

fn session_cookie(call: &Call, token: &Secret, lasts: Millis) -> String {
    let secure = call.secure_cookies();
    cookies::issue(COOKIE, token.expose(), lasts.0 / 1000, secure)
}

/// Ends the session that this browser had before it signs in anew.
pub(super) async fn end_former(call: &Call) -> Result<(), Failed> {
    let Some(token) = http::cookie(&call.request, COOKIE) else {
        return Ok(());
    };
    let database = call.database()?;
    let (sessions, hash) = (
        AuthSessions(&database),
        call.key()?.hash_token(SESSION, &token),
    );
    if let Some(former) = sessions.user(&hash, call.now).await? {
        sessions.revoke(&hash, call.now).await?;
        let handle = vec![hash.handle().to_owned()];
        auth_sessions::close(call, &database, &former.user.id, handle).await?;
    }
    Ok(())
}

pub(crate) async fn logout(call: &Call, user: User) -> Answer {
    if !user.is_session {
        return Err(ApiError::new(
            403,
            "not_a_session",
            "An API token is no session that could be ended.",
        )
        .hint("Revoke it: in Settings, or with `sam token revoke`.")
        .into());
    }
    let database = call.database()?;
    AuthSessions(&database)
        .revoke(&user.session, call.now)
        .await?;
    // The session opens nothing any more; what it has open is closed wherever it may be.
    let projects = Projects(&database).of_member(user.id()).await?;
    let of = SocketOwner::AuthSession(user.session.handle().to_owned());
    close_sockets(call, projects.iter().map(|(project, _)| &project.id), of).await;
    let cookie = cookies::revoke(COOKIE, call.secure_cookies());
    with_cookie(http::json(200, &Done {}), &cookie)
}

/// Closes what was opened with an authorisation that has ended, in these projects. Where that fails
/// it is logged: the sockets then end when their authorisation expires.
pub(super) async fn close_sockets(
    call: &Call,
    projects: impl IntoIterator<Item = &ProjectId>,
    of: SocketOwner,
) {
    let ask = ProjectCall::CloseSockets { of };
    let closing = projects
        .into_iter()
        .map(|project| objects::project::<Done>(call, project, &ask));
    for closed in join_all(closing).await {
        if let Err(error) = closed {
            log(&format!(
                "sockets without authorisation stay until they expire: {}",
                error.0
            ));
        }
    }
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
    Ok(http::json(
        201,
        &SignInLink {
            url: page_with_secret(call, "/sign-in", &secret),
            expires_at,
        },
    ))
}

/// The address of a page of ours that is handed a secret. Fragments reach no server, no log and no
/// referrer.
pub(super) fn page_with_secret(call: &Call, path: &str, secret: &Secret) -> String {
    let mut url = call.public_url();
    url.set_path(path);
    url.set_query(None);
    url.set_fragment(Some(secret.expose()));
    url.into()
}

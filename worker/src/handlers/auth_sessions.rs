//! A person's open sessions.

use sam_domain::access::tokens::{AuthSessionList, AuthSessionView};
use sam_domain::conversation::call::{Done, SocketOwner};
use sam_domain::error::ApiError;
use sam_domain::id::{Id as _, UserId};
use sam_platform::d1::D1;
use sam_platform::d1::auth_sessions::{AuthSession, AuthSessions};
use sam_platform::d1::projects::Projects;
use sam_platform::http;

use super::{audit, auth};
use crate::call::Call;
use crate::errors::{Answer, Failed};
use crate::principal::User;

pub(crate) async fn list(call: &Call, user: User) -> Answer {
    let open = AuthSessions(&call.database()?)
        .list(user.id(), call.now)
        .await?;
    let current = user.session.handle();
    let sessions = open
        .into_iter()
        .map(|session| view(session, current))
        .collect();
    Ok(http::json(200, &AuthSessionList { sessions }))
}

fn view(session: AuthSession, current: &str) -> AuthSessionView {
    AuthSessionView {
        current: session.handle == current,
        handle: session.handle,
        client: session.client,
        user_agent: session.user_agent,
        scopes: session.scopes,
        api_token: session.api_token,
        created_at: session.created_at,
        expires_at: session.expires_at,
    }
}

pub(crate) async fn end(call: &Call, user: User) -> Answer {
    let handle = call.segment(0).unwrap_or_default().to_owned();
    let database = call.database()?;
    let ended = AuthSessions(&database)
        .revoke_by_handle(user.id(), &handle, call.now)
        .await?;
    if !ended {
        return Err(ApiError::not_found("session").into());
    }
    audit::record(
        call,
        &database,
        user.id(),
        "session_ended",
        user.id().as_str(),
    )
    .await?;
    close(call, &database, user.id(), vec![handle]).await?;
    Ok(http::json(200, &Done {}))
}

pub(crate) async fn end_others(call: &Call, user: User) -> Answer {
    let database = call.database()?;
    let ended = AuthSessions(&database)
        .revoke_others(user.id(), &user.session, call.now)
        .await?;
    if !ended.is_empty() {
        audit::record(
            call,
            &database,
            user.id(),
            "sessions_ended",
            user.id().as_str(),
        )
        .await?;
    }
    close(call, &database, user.id(), ended).await?;
    Ok(http::json(200, &Done {}))
}

/// Closes what was opened with sessions that have ended.
pub(super) async fn close(
    call: &Call,
    database: &D1,
    user: &UserId,
    handles: Vec<String>,
) -> Result<(), Failed> {
    if handles.is_empty() {
        return Ok(());
    }
    let projects = Projects(database).of_member(user).await?;
    for handle in handles {
        let of = SocketOwner::AuthSession(handle);
        auth::close_sockets(call, projects.iter().map(|(project, _)| &project.id), of).await;
    }
    Ok(())
}

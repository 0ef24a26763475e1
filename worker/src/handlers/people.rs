//! The people of the installation, for those who run it.
//!
//! A person who is suspended or removed is shut out first, in the database that every request asks;
//! then what they have open is closed, what they have running is cancelled, and their machines are
//! cut off. Where one of these fails the request fails, and repeating it is harmless.

use futures::future::join_all;
use sam_domain::access::wire::{
    AuditList, ChangePerson, CreateInvite, CreatedInvite, InviteList, InviteView, PersonList, Role,
};
use sam_domain::conversation::call::{Done, SocketOwner};
use sam_domain::error::ApiError;
use sam_domain::id::{Id as _, InviteId, ProjectId, UserId};
use sam_domain::node::call::NodeCall;
use sam_domain::node::wire::NodeView;
use sam_domain::task::call::TaskCall;
use sam_domain::time::Millis;
use sam_platform::crypto::random_token;
use sam_platform::d1::D1;
use sam_platform::d1::audit_log::AuditLog;
use sam_platform::d1::auth_sessions::AuthSessions;
use sam_platform::d1::invites::Invites;
use sam_platform::d1::node_index::NodeIndex;
use sam_platform::d1::projects::Projects;
use sam_platform::d1::task_index::TaskIndex;
use sam_platform::d1::users::{User, Users};
use sam_platform::http;

use super::audit;
use super::auth::{self, INVITE};
use crate::call::Call;
use crate::errors::{Answer, Failed};
use crate::objects;
use crate::principal::Admin;

/// How long an invite works.
const INVITE_LIFETIME: Millis = Millis::hours(24 * 7);
/// Longest note on an invite, in characters.
const NOTE_LIMIT: usize = 200;
/// Most entries of one page of changes.
const AUDIT_ENTRIES: u32 = 200;

pub(crate) async fn list(call: &Call, _: Admin) -> Answer {
    let people = Users(&call.database()?).list().await?;
    let people = people.into_iter().map(User::person).collect();
    Ok(http::json(200, &PersonList { people }))
}

pub(crate) async fn change(call: &Call, admin: Admin) -> Answer {
    let user: UserId = call.id(0, "person")?;
    let request: ChangePerson = call.json().await?;
    let database = call.database()?;
    let users = Users(&database);
    let person = known(&users, &user).await?;
    if let Some(role) = request.role {
        if !users.set_role(&user, role, call.now).await? {
            return Err(last_admin().into());
        }
        audit::detailed(
            call,
            &database,
            admin.id(),
            "person_role",
            user.as_str(),
            None,
            Some(word(role)),
        )
        .await?;
    }
    if let Some(suspended) = request.suspended {
        let since = suspended.then(|| person.suspended_at.unwrap_or(call.now));
        if !users.set_suspended(&user, since).await? {
            return Err(last_admin().into());
        }
        let action = if suspended {
            cut_off(call, &database, &user, &NodeCall::Suspend { suspended }).await?;
            "person_suspended"
        } else {
            tell_machines(call, &database, &user, &NodeCall::Suspend { suspended }).await?;
            match person.waits_since {
                Some(_) => "person_approved",
                None => "person_let_back",
            }
        };
        audit::record(call, &database, admin.id(), action, user.as_str()).await?;
    }
    Ok(http::json(200, &known(&users, &user).await?.person()))
}

pub(crate) async fn remove(call: &Call, admin: Admin) -> Answer {
    let user: UserId = call.id(0, "person")?;
    let database = call.database()?;
    let users = Users(&database);
    let person = known(&users, &user).await?;
    // Before the memberships go, which say where their sockets are.
    let projects = projects_of(&database, &user).await?;
    if !users.remove(&user, admin.id(), call.now).await? {
        return Err(last_admin().into());
    }
    AuthSessions(&database).revoke_all(&user, call.now).await?;
    auth::close_sockets(call, &projects, SocketOwner::Person(user.clone())).await;
    cut_off(call, &database, &user, &NodeCall::Revoke).await?;
    let action = match person.waits_since {
        Some(_) => "person_declined",
        None => "person_removed",
    };
    audit::record(call, &database, admin.id(), action, user.as_str()).await?;
    Ok(http::json(200, &Done {}))
}

async fn known(users: &Users<'_>, user: &UserId) -> Result<User, Failed> {
    Ok(users
        .get(user)
        .await?
        .ok_or_else(|| ApiError::not_found("person"))?)
}

async fn projects_of(database: &D1, user: &UserId) -> Result<Vec<ProjectId>, Failed> {
    let projects = Projects(database).of_member(user).await?;
    Ok(projects
        .into_iter()
        .map(|(project, _)| project.id)
        .collect())
}

/// Ends everything that a person who was shut out has open or running.
async fn cut_off(
    call: &Call,
    database: &D1,
    user: &UserId,
    machines: &NodeCall,
) -> Result<(), Failed> {
    let projects = projects_of(database, user).await?;
    auth::close_sockets(call, &projects, SocketOwner::Person(user.clone())).await;
    // First, so that their own machines still hear that the work is over.
    let cancel = TaskCall::Cancel { by: user.clone() };
    let tasks = TaskIndex(database).open_of(user).await?;
    let cancelling = tasks.iter().map(|task| objects::task(call, task, &cancel));
    for cancelled in join_all(cancelling).await {
        cancelled?;
    }
    tell_machines(call, database, user, machines).await
}

async fn tell_machines(
    call: &Call,
    database: &D1,
    user: &UserId,
    ask: &NodeCall,
) -> Result<(), Failed> {
    let nodes = NodeIndex(database).of_owner(user).await?;
    let told = nodes
        .iter()
        .map(|node| objects::node::<NodeView>(call, &node.id, ask));
    for answer in join_all(told).await {
        answer?;
    }
    Ok(())
}

pub(crate) async fn list_invites(call: &Call, _: Admin) -> Answer {
    let invites = Invites(&call.database()?).open(call.now).await?;
    Ok(http::json(200, &InviteList { invites }))
}

pub(crate) async fn create_invite(call: &Call, admin: Admin) -> Answer {
    let request: CreateInvite = call.json().await?;
    let note = request.note.map(|note| note.trim().to_owned());
    if note
        .as_ref()
        .is_some_and(|note| note.chars().count() > NOTE_LIMIT)
    {
        return Err(ApiError::bad_request(format!(
            "`note` has more than {NOTE_LIMIT} characters."
        ))
        .into());
    }
    let secret = random_token(INVITE)?;
    let invite = InviteView {
        id: call.mint()?,
        role: request.role.unwrap_or(Role::Member),
        note,
        created_by: admin.id().clone(),
        created_at: call.now,
        expires_at: call.now.plus(INVITE_LIFETIME),
    };
    let database = call.database()?;
    let hash = call.key()?.hash_token(INVITE, secret.expose());
    Invites(&database).insert(&hash, &invite).await?;
    audit::detailed(
        call,
        &database,
        admin.id(),
        "invite_made",
        invite.id.as_str(),
        None,
        Some(word(invite.role)),
    )
    .await?;
    Ok(http::json(
        201,
        &CreatedInvite {
            id: invite.id,
            url: auth::page_with_secret(call, "/invite", &secret),
            expires_at: invite.expires_at,
        },
    ))
}

pub(crate) async fn revoke_invite(call: &Call, admin: Admin) -> Answer {
    let invite: InviteId = call.id(0, "invite")?;
    let database = call.database()?;
    if !Invites(&database).revoke(&invite, call.now).await? {
        return Err(ApiError::not_found("invite").into());
    }
    audit::record(
        call,
        &database,
        admin.id(),
        "invite_revoked",
        invite.as_str(),
    )
    .await?;
    Ok(http::json(200, &Done {}))
}

pub(crate) async fn list_audit(call: &Call, _: Admin) -> Answer {
    let limit = call.limit(AUDIT_ENTRIES)?;
    let entries = AuditLog(&call.database()?)
        .list(call.query("before")?, limit)
        .await?;
    Ok(http::json(200, &AuditList { entries }))
}

fn last_admin() -> ApiError {
    ApiError::conflict(
        "last_admin",
        "Somebody has to run the installation, and this is the last who can.",
    )
    .hint("Make somebody else an administrator first.")
}

const fn word(role: Role) -> &'static str {
    match role {
        Role::Admin => "admin",
        Role::Member => "member",
    }
}

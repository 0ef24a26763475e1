//! Who is in a project.
//!
//! Maintainers add, change and remove members up to their own role; owners do so with owners. A
//! project always has an owner.

use sam_domain::access::wire::{MemberList, ProjectRole, PutMember};
use sam_domain::conversation::call::{Done, SocketOwner};
use sam_domain::error::ApiError;
use sam_domain::id::{Id as _, UserId};
use sam_domain::node::call::NodeCall;
use sam_domain::node::wire::NodeView;
use sam_platform::d1::node_shares::NodeShares;
use sam_platform::d1::project_members::ProjectMembers;
use sam_platform::http;

use super::{audit, auth};
use crate::call::Call;
use crate::errors::{Answer, Failed};
use crate::membership::{Member, role_too_low};
use crate::objects;

pub(crate) async fn list(call: &Call, member: Member) -> Answer {
    let members = ProjectMembers(&call.database()?)
        .list(&member.project)
        .await?;
    Ok(http::json(200, &MemberList { members }))
}

pub(crate) async fn put(call: &Call, member: Member) -> Answer {
    let user: UserId = call.id(1, "person")?;
    let request: PutMember = call.json().await?;
    let database = call.database()?;
    let members = ProjectMembers(&database);
    let held = members.role(&member.project, &user).await?;
    reaches(&member, request.role)?;
    if let Some(held) = held {
        reaches(&member, held)?;
    }
    let view = members
        .put(&member.project, &user, request.role, call.now)
        .await?
        .ok_or_else(|| ApiError::not_found("person"))?;
    if view.role != request.role {
        return Err(last_owner().into());
    }
    audit::detailed(
        call,
        &database,
        member.id(),
        "member_put",
        user.as_str(),
        Some(&member.project),
        Some(word(request.role)),
    )
    .await?;
    Ok(http::json(200, &view))
}

pub(crate) async fn remove(call: &Call, member: Member) -> Answer {
    let user: UserId = call.id(1, "person")?;
    let database = call.database()?;
    let members = ProjectMembers(&database);
    let Some(held) = members.role(&member.project, &user).await? else {
        return Err(ApiError::not_found("member").into());
    };
    if user != *member.id() {
        if member.role < ProjectRole::Maintainer {
            return Err(role_too_low().into());
        }
        reaches(&member, held)?;
    }
    if !members.remove(&member.project, &user).await? {
        return Err(last_owner().into());
    }
    auth::close_sockets(call, [&member.project], SocketOwner::Person(user.clone())).await;
    take_machines_away(call, &member, &user).await?;
    audit::detailed(
        call,
        &database,
        member.id(),
        "member_removed",
        user.as_str(),
        Some(&member.project),
        None,
    )
    .await?;
    Ok(http::json(200, &Done {}))
}

/// The machines of somebody who left work for the project no more.
async fn take_machines_away(call: &Call, member: &Member, user: &UserId) -> Result<(), Failed> {
    let database = call.database()?;
    let shares = NodeShares(&database);
    for node in shares.of_owner(&member.project, user).await? {
        let ask = NodeCall::Share {
            project: member.project.clone(),
            shared: false,
        };
        let _: NodeView = objects::node(call, &node, &ask).await?;
        shares.remove(&node, &member.project).await?;
    }
    Ok(())
}

/// Refuses to give or take what is above one's own role.
fn reaches(member: &Member, role: ProjectRole) -> Result<(), ApiError> {
    if member.role >= role {
        Ok(())
    } else {
        Err(role_too_low())
    }
}

fn last_owner() -> ApiError {
    ApiError::conflict("last_owner", "A project always has an owner.")
        .hint("Make somebody else an owner first.")
}

const fn word(role: ProjectRole) -> &'static str {
    match role {
        ProjectRole::Viewer => "viewer",
        ProjectRole::Contributor => "contributor",
        ProjectRole::Maintainer => "maintainer",
        ProjectRole::Owner => "owner",
    }
}

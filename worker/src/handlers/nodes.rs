//! Machines: what their owners see, and what the machines themselves call.

use futures::future::join_all;
use sam_domain::access::claims::{Purpose, WorkspaceScope};
use sam_domain::access::internal::{LINK_URL, LinkAccess};
use sam_domain::access::wire::{
    JoinNode, JoinToken as NewJoinToken, Joined, ProjectRole, WorkspaceTokens,
    WorkspaceTokensRequest,
};
use sam_domain::collect;
use sam_domain::conversation::call::Done;
use sam_domain::error::ApiError;
use sam_domain::id::{Id as _, NodeId, ProjectId};
use sam_domain::link::question::{About, Question};
use sam_domain::node::call::NodeCall;
use sam_domain::node::wire::{NodeList, NodeView};
use sam_domain::time::Millis;
use sam_platform::crypto::random_token;
use sam_platform::d1::join_tokens::{JoinTokens, Redemption};
use sam_platform::d1::node_index::{IndexedNode, NodeIndex};
use sam_platform::d1::node_shares::NodeShares;
use sam_platform::d1::project_members::ProjectMembers;
use sam_platform::d1::users::Users;
use sam_platform::{http, objects as platform_objects};

use super::audit;
use crate::call::Call;
use crate::errors::{Answer, Failed, log};
use crate::objects;
use crate::principal::{self, JOIN, JoinToken, NODE, NodeToken, User};

/// How long a join token works.
const JOIN_LIFETIME: Millis = Millis::hours(1);
/// How long a workspace's tokens work.
const WORKSPACE_LIFETIME: Millis = Millis::hours(1);
/// Longest name of a node, in characters.
const NAME_LIMIT: usize = 100;
/// Longest identity of an agent's disk, in bytes.
const STORE_LIMIT: usize = 100;

pub(crate) async fn list(call: &Call, user: User) -> Answer {
    let indexed = NodeIndex(&call.database()?).of_owner(user.id()).await?;
    let asked = indexed
        .iter()
        .map(|node| objects::node::<NodeView>(call, &node.id, &NodeCall::Get));
    let mut nodes = Vec::new();
    // A node that does not answer is left out rather than hiding all others.
    for answer in join_all(asked).await {
        match answer {
            Ok(node) => nodes.push(node),
            Err(error) => log(&format!("a node was left out of a list: {}", error.0)),
        }
    }
    collect::sort_few(&mut nodes, |a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    Ok(http::json(200, &NodeList { nodes }))
}

pub(crate) async fn get(call: &Call, user: User) -> Answer {
    let node = own_node(call, &user).await?;
    let view: NodeView = objects::node(call, &node, &NodeCall::Get).await?;
    Ok(http::json(200, &view))
}

/// The node that the path names, which is this person's.
async fn own_node(call: &Call, user: &User) -> Result<NodeId, Failed> {
    let node: NodeId = call.id(0, "node")?;
    let owner = NodeIndex(&call.database()?).owner(&node).await?;
    if owner.as_ref() != Some(user.id()) {
        return Err(ApiError::not_found("node").into());
    }
    Ok(node)
}

/// Takes a machine out for good. Its own object decides; it tells the pool and the index, and the
/// index is written here as well, so that the next list is without it.
pub(crate) async fn remove(call: &Call, user: User) -> Answer {
    let node = own_node(call, &user).await?;
    let ask = NodeCall::Leave {
        force: call.query("force")?.unwrap_or(false),
    };
    let _: NodeView = objects::node(call, &node, &ask).await?;
    let database = call.database()?;
    NodeIndex(&database).remove(&node).await?;
    audit::record(call, &database, user.id(), "node_removed", node.as_str()).await?;
    Ok(http::json(200, &Done {}))
}

pub(crate) async fn diagnostics(call: &Call, user: User) -> Answer {
    let node = own_node(call, &user).await?;
    let question = Question {
        id: call.mint()?,
        about: About::Diagnostics,
        workspace: None,
        path: String::new(),
        offset: 0,
    };
    objects::ask(call, &node, question).await
}

pub(crate) async fn drain(call: &Call, user: User) -> Answer {
    set_draining(call, &user, true).await
}

pub(crate) async fn undrain(call: &Call, user: User) -> Answer {
    set_draining(call, &user, false).await
}

async fn set_draining(call: &Call, user: &User, drains: bool) -> Answer {
    let node = own_node(call, user).await?;
    let view: NodeView = objects::node(call, &node, &NodeCall::Drain { drains }).await?;
    Ok(http::json(200, &view))
}

pub(crate) async fn share(call: &Call, user: User) -> Answer {
    set_shared(call, &user, true).await
}

pub(crate) async fn unshare(call: &Call, user: User) -> Answer {
    set_shared(call, &user, false).await
}

/// The machine's own object is the record; the table only says where tasks look for one.
async fn set_shared(call: &Call, user: &User, shared: bool) -> Answer {
    let node = own_node(call, user).await?;
    let project: ProjectId = call.id(1, "project")?;
    let database = call.database()?;
    let role = ProjectMembers(&database).role(&project, user.id()).await?;
    if role.is_none_or(|role| role < ProjectRole::Contributor) {
        return Err(ApiError::not_found("project").into());
    }
    let ask = NodeCall::Share {
        project: project.clone(),
        shared,
    };
    let view: NodeView = objects::node(call, &node, &ask).await?;
    let shares = NodeShares(&database);
    let action = if shared {
        shares.insert(&node, &project, user.id(), call.now).await?;
        "node_shared"
    } else {
        shares.remove(&node, &project).await?;
        "node_unshared"
    };
    audit::detailed(
        call,
        &database,
        user.id(),
        action,
        node.as_str(),
        Some(&project),
        None,
    )
    .await?;
    Ok(http::json(200, &view))
}

pub(crate) async fn create_join_token(call: &Call, user: User) -> Answer {
    let token = random_token(JOIN)?;
    let expires_at = call.now.plus(JOIN_LIFETIME);
    JoinTokens(&call.database()?)
        .insert(
            &call.key()?.hash_token(JOIN, token.expose()),
            user.id(),
            call.now,
            expires_at,
        )
        .await?;
    Ok(http::json(
        201,
        &NewJoinToken {
            token: token.expose().to_owned(),
            expires_at,
        },
    ))
}

pub(crate) async fn join(call: &Call, token: JoinToken) -> Answer {
    let request: JoinNode = call.json().await?;
    let name = request.name.trim();
    if name.is_empty() || name.chars().count() > NAME_LIMIT {
        return Err(ApiError::bad_request(format!(
            "`name` must have 1 to {NAME_LIMIT} characters."
        ))
        .into());
    }
    if request.store_id.is_empty() || request.store_id.len() > STORE_LIMIT {
        return Err(ApiError::bad_request(format!(
            "`store_id` must have 1 to {STORE_LIMIT} bytes."
        ))
        .into());
    }
    let database = call.database()?;
    let proposed: NodeId = call.mint()?;
    let redemption = JoinTokens(&database)
        .redeem(&token.hash, &request.store_id, &proposed, call.now)
        .await?;
    let Redemption::Joined { owner, node } = redemption else {
        return Err(JoinToken::refused().into());
    };
    match Users(&database).get(&owner).await? {
        Some(owner) => principal::active(&owner)?,
        None => return Err(JoinToken::refused().into()),
    }
    let secret = random_token(&format!("{NODE}{node}."))?;
    let ask = NodeCall::Join {
        node: node.clone(),
        owner,
        name: name.to_owned(),
        token_hmac: call
            .key()?
            .hash_token(NODE, secret.expose())
            .as_str()
            .to_owned(),
    };
    let view: NodeView = objects::node(call, &node, &ask).await?;
    // A node that joined is listed from the first moment on.
    NodeIndex(&database).put(&indexed(call, &view)).await?;
    Ok(http::json(
        200,
        &Joined {
            node,
            token: secret.expose().to_owned(),
        },
    ))
}

fn indexed(call: &Call, view: &NodeView) -> IndexedNode {
    IndexedNode {
        id: view.id.clone(),
        owner_id: view.owner.clone(),
        name: view.name.clone(),
        state: view.state.word().to_owned(),
        rev: view.rev,
        created_at: call.now,
        updated_at: call.now,
    }
}

pub(crate) async fn link(call: &Call, token: NodeToken) -> Answer {
    let access = LinkAccess {
        node: token.node,
        token_hmac: token.hash.as_str().to_owned(),
    };
    let object = platform_objects::node(&call.env, &access.node)?;
    objects::upgrade(call, &object, LINK_URL, &access).await
}

pub(crate) async fn tokens(call: &Call, token: NodeToken) -> Answer {
    let request: WorkspaceTokensRequest = call.json().await?;
    let ask = NodeCall::Scope {
        token_hmac: token.hash.as_str().to_owned(),
        workspace: request.workspace,
    };
    let scope: WorkspaceScope = objects::node(call, &token.node, &ask).await?;
    let expires_at = call.now.plus(WORKSPACE_LIFETIME);
    let key = call.key()?;
    let sign = |purpose: Purpose| -> Result<String, Failed> {
        let signed = key.sign(purpose.prefix(), &scope.claims(purpose, expires_at))?;
        Ok(signed.expose().to_owned())
    };
    Ok(http::json(
        200,
        &WorkspaceTokens {
            workspace_token: sign(Purpose::Workspace)?,
            model_token: sign(Purpose::Model)?,
            expires_at,
            expires_in: WORKSPACE_LIFETIME,
        },
    ))
}

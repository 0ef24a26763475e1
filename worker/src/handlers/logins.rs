//! Subscription logins of coding agents. They come in and go out to one place: a machine of their
//! owner's, for the agent of a workspace of their owner's, and without the means to refresh them.

use sam_domain::access::claims::WorkspaceScope;
use sam_domain::agents::{DEFAULT_AGENT, listed};
use sam_domain::conversation::call::Done;
use sam_domain::error::ApiError;
use sam_domain::login::call::{LoginAsk, LoginCall, LoginName, LoginReply};
use sam_domain::login::wire::{PutLogin, WorkspaceLogin, WorkspaceLoginRequest};
use sam_domain::node::call::NodeCall;
use sam_domain::provider::Mode;
use sam_domain::time::Millis;
use sam_platform::d1::agent_providers::AgentProviders;
use sam_platform::d1::node_index::NodeIndex;
use sam_platform::{http, objects as platform_objects};

use super::audit;
use crate::call::Call;
use crate::errors::{Answer, Failed, hidden};
use crate::objects;
use crate::principal::{NodeToken, User};

pub(crate) async fn put(call: &Call, user: User) -> Answer {
    let name = of_path(call, &user)?;
    let request: PutLogin = call.json().await?;
    let reply = ask(call, &name, LoginAsk::Put(request.login)).await?;
    record(call, &name, "login_stored").await?;
    let view = reply
        .view
        .ok_or_else(|| hidden(&"a stored login is gone"))?;
    Ok(http::json(200, &view))
}

pub(crate) async fn remove(call: &Call, user: User) -> Answer {
    let name = of_path(call, &user)?;
    let reply = ask(call, &name, LoginAsk::Remove).await?;
    if reply.view.is_none() {
        return Err(ApiError::not_found("login").into());
    }
    record(call, &name, "login_removed").await?;
    Ok(http::json(200, &Done {}))
}

fn of_path(call: &Call, user: &User) -> Result<LoginName, ApiError> {
    let named = call.segment(0).unwrap_or_default();
    let agent = listed(named).ok_or_else(|| ApiError::not_found("agent"))?;
    if agent.own_login.is_none() {
        let message = format!("{} has no subscription login.", agent.name);
        return Err(ApiError::new(422, "no_own_login", message));
    }
    Ok(LoginName {
        user: user.id().clone(),
        agent: agent.id.to_owned(),
    })
}

async fn ask(call: &Call, name: &LoginName, ask: LoginAsk) -> Result<LoginReply, Failed> {
    let object = platform_objects::login(&call.env, name)?;
    let asked = LoginCall {
        name: name.clone(),
        ask,
    };
    Ok(object.call(&asked).await?)
}

async fn record(call: &Call, name: &LoginName, what: &'static str) -> Result<(), Failed> {
    let database = call.database()?;
    audit::record(call, &database, &name.user, what, &name.agent).await
}

/// What the machine of a workspace needs for its agent.
pub(crate) async fn of_workspace(call: &Call, token: NodeToken) -> Answer {
    let request: WorkspaceLoginRequest = call.json().await?;
    let scope = NodeCall::Scope {
        token_hmac: token.hash.as_str().to_owned(),
        workspace: request.workspace,
    };
    let scope: WorkspaceScope = objects::node(call, &token.node, &scope).await?;
    let agent = scope.agent.as_deref().unwrap_or(DEFAULT_AGENT);
    let database = call.database()?;
    let choices = AgentProviders(&database).of(&scope.user).await?;
    let choice = choices
        .into_iter()
        .find(|choice| choice.agent == agent && !choice.for_all)
        .filter(|choice| choice.mode == Mode::OwnLogin);
    let Some(choice) = choice else {
        let none = WorkspaceLogin {
            file: None,
            model: None,
            ask_again_in: Millis::hours(1),
        };
        return Ok(http::json(200, &none));
    };
    if NodeIndex(&database).owner(&token.node).await?.as_ref() != Some(&scope.user) {
        return Err(ApiError::new(
            403,
            "login_stays_home",
            format!("Your login of {agent} is given to your own machines alone, and this one is somebody else's."),
        )
        .hint(format!(
            "Let a machine of yours take the task, or choose another way to pay with `sam agent provider {agent}`."
        ))
        .into());
    }
    let name = LoginName {
        user: scope.user,
        agent: agent.to_owned(),
    };
    let reply = ask(call, &name, LoginAsk::HandOver).await?;
    Ok(http::json(
        200,
        &WorkspaceLogin {
            file: reply.file,
            model: choice.model,
            ask_again_in: reply.ask_again_in,
        },
    ))
}

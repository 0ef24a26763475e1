//! Whose access to models an agent uses: a person's choice, and the administrators' for everybody
//! who did not choose.

use sam_domain::agents::{LISTED, listed};
use sam_domain::error::ApiError;
use sam_domain::id::UserId;
use sam_domain::provider::wire::{AgentProvider, AgentProviders, PutAgentProvider};
use sam_domain::provider::{Mode, choices, chosen};
use sam_platform::bindings;
use sam_platform::d1::agent_logins::{AgentLogins, StoredLogin};
use sam_platform::d1::agent_providers::{AgentProviders as Table, Choice};
use sam_platform::http;

use super::audit;
use crate::call::Call;
use crate::errors::Answer;
use crate::principal::{Admin, User};

/// Longest model id that is taken, in bytes.
const MODEL_LIMIT: usize = 200;

pub(crate) async fn list(call: &Call, user: User) -> Answer {
    let database = call.database()?;
    let choices = Table(&database).of(user.id()).await?;
    let logins = AgentLogins(&database).of(user.id()).await?;
    let agents = LISTED
        .iter()
        .map(|agent| view(call, agent.id, &choices, &logins))
        .collect();
    Ok(http::json(200, &AgentProviders { agents }))
}

pub(crate) async fn put(call: &Call, user: User) -> Answer {
    choose(call, user.id(), Some(user.id())).await
}

pub(crate) async fn put_default(call: &Call, admin: Admin) -> Answer {
    choose(call, admin.id(), None).await
}

async fn choose(call: &Call, by: &UserId, owner: Option<&UserId>) -> Answer {
    let name = call.segment(0).unwrap_or_default();
    let agent = listed(name).ok_or_else(|| ApiError::not_found("agent"))?;
    let request: PutAgentProvider = call.json().await?;
    // Nobody else can decide that a person's subscription is used.
    let choices = match owner {
        Some(_) => choices(agent.id),
        None => &[Mode::Sam, Mode::OwnKey],
    };
    if let Some(mode) = request.mode.filter(|mode| !choices.contains(mode)) {
        let names: Vec<&str> = choices.iter().map(|mode| mode.name()).collect();
        let message = format!("`{}` cannot be chosen for {}.", mode.name(), agent.id);
        return Err(ApiError::new(422, "provider_not_offered", message)
            .hint(format!("Choose {}.", names.join(" or ")))
            .into());
    }
    let model = request.model.as_deref().filter(|model| !model.is_empty());
    let plain =
        |text: &str| text.len() <= MODEL_LIMIT && text.bytes().all(|b| b.is_ascii_graphic());
    if !model.is_none_or(plain) {
        let message = "A model's id is 1 to 200 printable characters.";
        return Err(ApiError::new(422, "bad_model_id", message).into());
    }
    let choice = request.mode.map(|mode| (mode, model));
    let database = call.database()?;
    let table = Table(&database);
    table.put(owner, agent.id, choice, call.now).await?;
    if owner.is_none() {
        let word = request.mode.map_or("none", Mode::name);
        let action = "agent_provider_default";
        audit::detailed(call, &database, by, action, agent.id, None, Some(word)).await?;
    }
    let held = table.of(by).await?;
    let logins = AgentLogins(&database).of(by).await?;
    Ok(http::json(200, &view(call, agent.id, &held, &logins)))
}

fn view(call: &Call, agent: &str, held: &[Choice], logins: &[StoredLogin]) -> AgentProvider {
    let find = |for_all: bool| {
        held.iter()
            .find(|choice| choice.agent == agent && choice.for_all == for_all)
    };
    let (person, administrator) = (find(false), find(true));
    let single = bindings::setting(&call.env, bindings::SAM_MODEL_URL).is_some();
    let mode = |choice: Option<&Choice>| choice.map(|choice| choice.mode);
    let (chosen, chosen_by) = chosen(mode(person), mode(administrator), single);
    AgentProvider {
        agent: agent.to_owned(),
        mode: chosen,
        chosen_by,
        model: person.or(administrator).and_then(|it| it.model.clone()),
        choices: choices(agent).to_vec(),
        login: logins
            .iter()
            .find(|login| login.agent == agent)
            .map(|login| login.view(call.now)),
    }
}

//! `sam model …`, `sam agent …` and `sam admin …`

use crate::api::{Api, Call};
use crate::args::models::{Admin, Agent, Model, SetModel};
use crate::args::money::Dollars;
use crate::context::Context;
use crate::error::{Exit, Failure};
use crate::output::style::Paint;
use crate::output::table::Cell;
use crate::output::text;
use sam_domain::access::doctor::{Diagnosis, Health};
use sam_domain::access::route::RouteId;
use sam_domain::budget::{dollars, grouped};
use sam_domain::catalogue::changes::ModelChange;
use sam_domain::catalogue::price::{Limits, Prices};
use sam_domain::provider::wire::{
    AgentProvider, AgentProviders, ModelList, ModelView, PutAgentProvider, PutModelDefaults,
    Refreshed, Rotated,
};
use sam_domain::provider::{ChosenBy, Mode};

pub(super) async fn model(context: &Context, command: Model) -> Result<Exit, Failure> {
    let api = context.api()?;
    match command {
        Model::List { all } => list(context, &api, all).await,
        Model::Set(asked) => set(context, &api, &asked).await,
        Model::Default { role, model } => {
            let model = if model == "none" {
                String::new()
            } else {
                model
            };
            let body = PutModelDefaults {
                defaults: [(role, model)].into(),
            };
            let call = Call::new(RouteId::PutModelDefaults, &[]).body(&body)?;
            let list: ModelList = api.json(call).await?;
            let out = &context.out;
            if out.json {
                out.value(&list)?;
                return Ok(Exit::Ok);
            }
            let chosen = list.models.iter().find(|it| it.default_for.contains(&role));
            let chosen = chosen.map_or("nothing", |it| it.model.id.as_ref());
            out.line(&format!(
                "{} uses {}.",
                role.name(),
                text::clean_line(chosen)
            ))?;
            Ok(Exit::Ok)
        }
        Model::Refresh => refresh(context, &api).await,
    }
}

async fn list(context: &Context, api: &Api, all: bool) -> Result<Exit, Failure> {
    let mut list: ModelList = api.json(Call::new(RouteId::Models, &[])).await?;
    let total = list.models.len();
    if !all {
        list.models.retain(|view| !view.available.is_empty());
    }
    let out = &context.out;
    if out.json {
        out.value(&list)?;
        return Ok(Exit::Ok);
    }
    let rows: Vec<Vec<Cell>> = list.models.iter().map(row).collect();
    let headings = [
        "MODEL",
        "PROVIDER",
        "CONTEXT",
        "OUTPUT",
        "$ IN",
        "$ OUT",
        "CALLED AS",
        "",
    ];
    out.table(&headings, &rows)?;
    let hidden = total - list.models.len();
    if hidden > 0 {
        out.hint(&format!(
            "{hidden} more are out of reach or switched off: `sam model list --all`."
        ));
    }
    Ok(Exit::Ok)
}

fn row(view: &ModelView) -> Vec<Cell> {
    let model = &view.model;
    let tokens = |of: fn(&Limits) -> u64| {
        model
            .limits
            .as_ref()
            .map_or("?".to_owned(), |it| grouped(of(it)))
    };
    let price = |of: fn(&Prices) -> u64| {
        model
            .prices
            .as_ref()
            .map_or("?".to_owned(), |it| dollars(of(it)))
    };
    let modes: Vec<&str> = view.available.iter().map(|mode| mode.name()).collect();
    let mut notes: Vec<String> = view
        .default_for
        .iter()
        .map(|role| format!("default for {}", role.name()))
        .collect();
    if !model.enabled {
        notes.push("off".to_owned());
    }
    notes.extend(model.deprecated_on.iter().map(|day| format!("ends {day}")));
    vec![
        Cell::new(&model.id).paint(Paint::Strong).whole(),
        Cell::new(model.provider.name()),
        Cell::new(tokens(|limits| limits.context)),
        Cell::new(tokens(|limits| limits.output)),
        Cell::new(price(|prices| prices.input)),
        Cell::new(price(|prices| prices.output)),
        Cell::new(if modes.is_empty() {
            "–".to_owned()
        } else {
            modes.join(", ")
        }),
        Cell::new(notes.join(", ")).paint(Paint::Muted),
    ]
}

async fn set(context: &Context, api: &Api, asked: &SetModel) -> Result<Exit, Failure> {
    let number = |amount: Option<crate::args::money::Amount>| amount.and_then(|it| it.0);
    let money = |amount: Option<Dollars>| amount.and_then(|it| it.0);
    let limits = number(asked.context).zip(number(asked.max_output));
    let prices = money(asked.input).zip(money(asked.output));
    let change = ModelChange {
        id: asked.model.clone(),
        provider: asked.provider,
        provider_model: asked.provider_model.clone(),
        limits: limits.map(|(context, output)| Limits {
            context,
            output,
            image: number(asked.image).unwrap_or_default(),
        }),
        prices: prices.map(|(input, output)| Prices {
            input,
            cached_input: money(asked.cached_input).unwrap_or(input),
            cache_write: money(asked.cache_write).unwrap_or(input),
            output,
        }),
        reasoning: asked.reasoning,
        completion_tokens: asked.completion_tokens,
        deprecated_on: asked.deprecated_on.as_ref().map(|day| match day.as_str() {
            "none" => String::new(),
            day => day.to_owned(),
        }),
        enabled: match (asked.enable, asked.disable) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        },
        ..ModelChange::default()
    };
    let call = Call::new(RouteId::ChangeModel, &[]).body(&change)?;
    let view: ModelView = api.json(call).await?;
    let out = &context.out;
    if out.json {
        out.value(&view)?;
    } else {
        let state = if view.model.is_selectable() {
            "enabled"
        } else {
            "switched off"
        };
        out.line(&format!("{} is {state}.", text::clean_line(&view.model.id)))?;
    }
    Ok(Exit::Ok)
}

async fn refresh(context: &Context, api: &Api) -> Result<Exit, Failure> {
    let refreshed: Refreshed = api.json(Call::new(RouteId::RefreshModels, &[])).await?;
    let out = &context.out;
    if out.json {
        out.value(&refreshed)?;
        return Ok(Exit::Ok);
    }
    for (what, ids) in [
        ("new, switched off", &refreshed.added),
        ("enabled, not listed any more", &refreshed.unlisted),
        ("not asked", &refreshed.unasked),
    ] {
        for id in ids {
            out.line(&format!("{what}: {}", text::clean_line(id)))?;
        }
    }
    if !refreshed.added.is_empty() {
        out.hint("Enable one with `sam model set ID --enable`, with its limits and prices.");
    }
    Ok(Exit::Ok)
}

pub(super) async fn agent(context: &Context, command: Agent) -> Result<Exit, Failure> {
    let api = context.api()?;
    let out = &context.out;
    match command {
        Agent::List => super::agent::list(context).await,
        Agent::Login { agent, file } => super::agent::login(context, &agent, file.as_deref()).await,
        Agent::Logout { agent } => super::agent::logout(context, &agent).await,
        Agent::Provider {
            agent: Some(agent),
            choice: Some(choice),
            model,
            everybody,
        } => {
            let body = PutAgentProvider {
                mode: choice.0,
                model,
            };
            let route = if everybody {
                RouteId::PutDefaultAgentProvider
            } else {
                RouteId::PutAgentProvider
            };
            let segments = [agent.as_str()];
            let call = Call::new(route, &segments).body(&body)?;
            let held: AgentProvider = api.json(call).await?;
            if held.mode == Some(Mode::OwnLogin) && held.login.is_none() {
                let agent = text::clean_line(&held.agent);
                out.hint(&format!("Store the login with `sam agent login {agent}`."));
            }
            said(context, &held)
        }
        Agent::Provider { agent: None, .. } => {
            let list: AgentProviders = api.json(Call::new(RouteId::ListAgents, &[])).await?;
            if out.json {
                out.value(&list)?;
                return Ok(Exit::Ok);
            }
            let rows: Vec<Vec<Cell>> = list.agents.iter().map(agent_row).collect();
            out.table(&["AGENT", "ACCESS", "CHOSEN BY", "MODEL", "LOGIN"], &rows)?;
            Ok(Exit::Ok)
        }
        Agent::Provider {
            agent: Some(agent), ..
        } => {
            let list: AgentProviders = api.json(Call::new(RouteId::ListAgents, &[])).await?;
            let found = list.agents.iter().find(|it| it.agent == agent);
            match found {
                Some(found) => said(context, found),
                None => Err(Failure::NotFound {
                    message: format!("There is no agent {}.", text::clean_line(&agent)),
                    hint: Some("`sam agent list` names them.".to_owned()),
                }),
            }
        }
    }
}

fn said(context: &Context, held: &AgentProvider) -> Result<Exit, Failure> {
    let out = &context.out;
    if out.json {
        out.value(held)?;
        return Ok(Exit::Ok);
    }
    let agent = text::clean_line(&held.agent);
    match held.mode {
        Some(mode) => {
            let model = held.model.as_deref().map_or(String::new(), |model| {
                format!(
                    ", and the model {} when it names none",
                    text::clean_line(model)
                )
            });
            out.line(&format!("{agent} uses {}{model}.", access(mode)))?;
            if let Some(login) = held.login.as_ref().filter(|it| it.needs_sign_in.is_some()) {
                super::agent::said_of_login(context, login)?;
            }
        }
        None => {
            let choices: Vec<&str> = held.choices.iter().map(|mode| mode.name()).collect();
            out.line(&format!("Nobody has chosen whose access {agent} uses."))?;
            out.hint(&format!(
                "`sam agent provider {agent} {}`",
                choices.join("|")
            ));
        }
    }
    Ok(Exit::Ok)
}

const fn access(mode: Mode) -> &'static str {
    match mode {
        Mode::Sam => "the installation's access",
        Mode::OwnKey => "your own key, or the project's",
        Mode::OwnLogin => "your subscription",
    }
}

fn agent_row(held: &AgentProvider) -> Vec<Cell> {
    let by = match held.chosen_by {
        ChosenBy::Person => "you",
        ChosenBy::Administrator => "an administrator",
        ChosenBy::Installation => "SAM_MODEL_URL",
        ChosenBy::Nobody => "nobody",
    };
    vec![
        Cell::new(&held.agent).paint(Paint::Strong).whole(),
        Cell::new(held.mode.map_or("–", Mode::name)),
        Cell::new(by),
        Cell::new(held.model.as_deref().unwrap_or("default")),
        login_cell(held),
    ]
}

fn login_cell(held: &AgentProvider) -> Cell {
    match &held.login {
        None => Cell::new("–"),
        Some(login) if login.needs_sign_in.is_some() => {
            Cell::new("needs sign-in").paint(Paint::Danger)
        }
        Some(_) => Cell::new("stored").paint(Paint::Ok),
    }
}

pub(super) async fn admin(context: &Context, command: Admin) -> Result<Exit, Failure> {
    let api = context.api()?;
    match command {
        Admin::Doctor => doctor(context, &api).await,
        Admin::RotateKey => rotate(context, &api).await,
    }
}

/// Exits with 1 when something is wrong.
async fn doctor(context: &Context, api: &Api) -> Result<Exit, Failure> {
    let diagnosis: Diagnosis = api.json(Call::new(RouteId::Doctor, &[])).await?;
    let out = &context.out;
    if out.json {
        out.value(&diagnosis)?;
    } else {
        for check in &diagnosis.checks {
            let (mark, paint) = match check.health {
                Health::Ok => ("ok", Paint::Ok),
                Health::Warning => ("warning", Paint::Warn),
                Health::Failed => ("wrong", Paint::Danger),
                Health::Off => ("off", Paint::Muted),
            };
            let message = text::clean_line(&check.message);
            out.line(&format!("{}  {message}", out.style.paint(paint, mark)))?;
            if let Some(hint) = check.hint.as_deref() {
                out.hint(&text::clean_line(hint));
            }
        }
    }
    Ok(if diagnosis.is_healthy() {
        Exit::Ok
    } else {
        Exit::Failed
    })
}

/// Exits with 1 when a key cannot be read any more.
async fn rotate(context: &Context, api: &Api) -> Result<Exit, Failure> {
    let rotated: Rotated = api.json(Call::new(RouteId::RotateKey, &[])).await?;
    let out = &context.out;
    if out.json {
        out.value(&rotated)?;
    } else {
        out.line(&format!(
            "{} keys are now under {}; {} were already.",
            rotated.moved, rotated.key_id, rotated.already
        ))?;
        for id in &rotated.unreadable {
            out.line(&format!(
                "{id} cannot be read: its encryption key is not configured."
            ))?;
        }
        if rotated.unreadable.is_empty() {
            out.hint("Older keys can be taken out of SAM_CREDENTIAL_KEYS.");
        }
    }
    Ok(if rotated.unreadable.is_empty() {
        Exit::Ok
    } else {
        Exit::Failed
    })
}

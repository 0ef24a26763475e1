//! `sam credential …`

use super::stdin;
use crate::api::{Api, Call};
use crate::args::models::{Credential, KeyPlace, SetCredential};
use crate::context::Context;
use crate::error::{Exit, Failure};
use crate::output::style::Paint;
use crate::output::table::Cell;
use crate::output::{text, time};
use crate::resolve;
use crate::secret::Secret;
use sam_domain::access::route::RouteId;
use sam_domain::catalogue::model::{Dialect, Provider};
use sam_domain::conversation::call::Done;
use sam_domain::provider::key::{Endpoint, KeyHeader};
use sam_domain::provider::wire::{CredentialList, CredentialView, KeyCheck, PutCredential};

pub(super) async fn run(context: &Context, command: Credential) -> Result<Exit, Failure> {
    let api = context.api()?;
    match command {
        Credential::List(place) => {
            let place = Place::of(context, &api, &place).await?;
            list(context, &api, &place).await
        }
        Credential::Set(asked) => {
            let place = Place::of(context, &api, &asked.place).await?;
            let body = stored(&asked)?;
            put(context, &api, &place, asked.provider, &body).await
        }
        Credential::Off { provider, place } => switch(context, &api, &place, provider, false).await,
        Credential::On { provider, place } => switch(context, &api, &place, provider, true).await,
        Credential::Remove { provider, place } => {
            let place = Place::of(context, &api, &place).await?;
            let segments = place.segments(provider.name());
            let _: Done = api.json(Call::new(place.remove, &segments)).await?;
            let out = &context.out;
            if out.json {
                out.value(&serde_json::json!({ "provider": provider.name(), "removed": true }))?;
            } else {
                out.line(&format!("The key for {} is removed.", provider.name()))?;
            }
            Ok(Exit::Ok)
        }
    }
}

/// Where keys are listed, stored and removed.
struct Place {
    list: RouteId,
    put: RouteId,
    remove: RouteId,
    project: Option<String>,
}

impl Place {
    async fn of(context: &Context, api: &Api, place: &KeyPlace) -> Result<Self, Failure> {
        if let Some(named) = &place.project {
            let project = resolve::project(context, api, Some(named)).await?;
            return Ok(Self {
                list: RouteId::ListProjectCredentials,
                put: RouteId::PutProjectCredential,
                remove: RouteId::RemoveProjectCredential,
                project: Some(project.id.to_string()),
            });
        }
        let (list, put, remove) = if place.platform {
            (
                RouteId::ListPlatformCredentials,
                RouteId::PutPlatformCredential,
                RouteId::RemovePlatformCredential,
            )
        } else {
            (
                RouteId::ListCredentials,
                RouteId::PutCredential,
                RouteId::RemoveCredential,
            )
        };
        Ok(Self {
            list,
            put,
            remove,
            project: None,
        })
    }

    fn segments<'a>(&'a self, provider: &'a str) -> Vec<&'a str> {
        let project = self.project.as_deref();
        project.into_iter().chain([provider]).collect()
    }
}

/// What is stored: the key comes from stdin, never from an argument that others can read.
fn stored(asked: &SetCredential) -> Result<PutCredential, Failure> {
    let keyless = asked.header == Some(KeyHeader::None);
    let key = if keyless {
        None
    } else {
        let key = Secret::new(&stdin()?);
        if key.is_empty() {
            return Err(Failure::usage(
                "There is no key on stdin.",
                "Pipe it in, or paste it and end with Ctrl-D.",
            ));
        }
        Some(key.expose().to_owned())
    };
    let dialects = if asked.dialects.is_empty() {
        vec![Dialect::Chat]
    } else {
        asked.dialects.clone()
    };
    Ok(PutCredential {
        key,
        active: None,
        endpoint: asked.url.clone().map(|url| Endpoint {
            url,
            dialects,
            header: asked.header.unwrap_or_default(),
        }),
        account: asked.account.clone(),
    })
}

async fn switch(
    context: &Context,
    api: &Api,
    place: &KeyPlace,
    provider: Provider,
    active: bool,
) -> Result<Exit, Failure> {
    let place = Place::of(context, api, place).await?;
    let body = PutCredential {
        active: Some(active),
        ..PutCredential::default()
    };
    put(context, api, &place, provider, &body).await
}

async fn put(
    context: &Context,
    api: &Api,
    place: &Place,
    provider: Provider,
    body: &PutCredential,
) -> Result<Exit, Failure> {
    let segments = place.segments(provider.name());
    let call = Call::new(place.put, &segments).body(body)?;
    let held: CredentialView = api.json(call).await?;
    let out = &context.out;
    if out.json {
        out.value(&held)?;
        return Ok(Exit::Ok);
    }
    let state = if held.active {
        "stored"
    } else {
        "switched off"
    };
    out.line(&format!("The key for {} is {state}.", provider.name()))?;
    if let Some(warning) = &held.warning {
        out.hint(&text::clean_line(warning));
    }
    Ok(Exit::Ok)
}

async fn list(context: &Context, api: &Api, place: &Place) -> Result<Exit, Failure> {
    let segments: Vec<&str> = place.project.as_deref().into_iter().collect();
    let list: CredentialList = api.json(Call::new(place.list, &segments)).await?;
    let out = &context.out;
    if out.json {
        out.value(&list)?;
        return Ok(Exit::Ok);
    }
    if list.credentials.is_empty() {
        out.hint("No key is stored. `sam credential set PROVIDER` stores one.");
        return Ok(Exit::Ok);
    }
    let now = time::now();
    let rows: Vec<Vec<Cell>> = list
        .credentials
        .iter()
        .map(|held| {
            let address = held.endpoint.as_ref().map(|endpoint| endpoint.url.clone());
            vec![
                Cell::new(held.provider.name()).paint(Paint::Strong),
                Cell::new(if held.active { "on" } else { "off" }),
                Cell::new(match held.check {
                    KeyCheck::Accepted => "accepted",
                    KeyCheck::Refused => "refused",
                    KeyCheck::Unknown => "not checked",
                }),
                Cell::new(address.or_else(|| held.account.clone()).unwrap_or_default()),
                Cell::new(time::ago(held.updated_at, now)).paint(Paint::Muted),
            ]
        })
        .collect();
    let headings = ["PROVIDER", "", "KEY", "WHERE", "STORED"];
    out.table(&headings, &rows)?;
    Ok(Exit::Ok)
}

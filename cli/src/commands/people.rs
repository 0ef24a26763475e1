//! `sam people …`

use super::auth::role;
use crate::api::{Api, Call};
use crate::args::People;
use crate::context::Context;
use crate::error::{Exit, Failure};
use crate::output::style::Paint;
use crate::output::table::Cell;
use crate::output::{text, time};
use crate::resolve;
use sam_domain::access::route::RouteId;
use sam_domain::access::wire::{
    ChangePerson, CreateInvite, CreatedInvite, InviteList, PersonList, PersonView,
};
use sam_domain::conversation::call::Done;
use sam_domain::id::Id;

pub(super) async fn run(context: &Context, command: People) -> Result<Exit, Failure> {
    let api = context.api()?;
    let suspend = |suspended| ChangePerson {
        suspended: Some(suspended),
        ..ChangePerson::default()
    };
    match command {
        People::List => list(context, &api).await,
        People::Invite { role, note } => {
            let body = CreateInvite {
                role: Some(role.into()),
                note,
            };
            invite(context, &api, &body).await
        }
        People::Invites => invites(context, &api).await,
        People::Revoke { invite } => revoke(context, &api, invite.as_deref()).await,
        People::Role { person, role } => {
            let change = ChangePerson {
                role: Some(role.into()),
                ..ChangePerson::default()
            };
            change_to(context, &api, Some(&person), &change).await
        }
        People::Suspend { person } => {
            change_to(context, &api, person.as_deref(), &suspend(true)).await
        }
        People::Restore { person } => {
            change_to(context, &api, person.as_deref(), &suspend(false)).await
        }
        People::Remove { person } => remove(context, &api, person.as_deref()).await,
    }
}

async fn list(context: &Context, api: &Api) -> Result<Exit, Failure> {
    let list: PersonList = api.json(Call::new(RouteId::ListPeople, &[])).await?;
    let out = &context.out;
    if out.json {
        out.value(&list)?;
        return Ok(Exit::Ok);
    }
    let now = time::now();
    let rows: Vec<Vec<Cell>> = list
        .people
        .iter()
        .map(|person| {
            vec![
                Cell::new(&person.name).paint(Paint::Strong),
                Cell::new(role(person.role)),
                match person.suspended_at {
                    Some(at) => Cell::new(format!("suspended {}", time::ago(at, now))),
                    None => Cell::new("active"),
                },
                Cell::new(time::ago(person.created_at, now)),
                Cell::new(person.id.as_str()).paint(Paint::Muted).whole(),
            ]
        })
        .collect();
    let headings = ["NAME", "ROLE", "STATE", "CAME", "ID"];
    out.table(&headings, &rows)?;
    Ok(Exit::Ok)
}

async fn invite(context: &Context, api: &Api, body: &CreateInvite) -> Result<Exit, Failure> {
    let call = Call::new(RouteId::CreateInvite, &[]).body(body)?;
    let invite: CreatedInvite = api.json(call).await?;
    let out = &context.out;
    if out.json {
        out.value(&invite)?;
    } else {
        out.line(
            &out.style
                .paint(Paint::Strong, &text::clean_line(&invite.url)),
        )?;
        out.hint(&format!(
            "It lets one person in, once: sam auth login --invite - --name <their name>\n\
             It ends {}; take it back with sam people revoke {}.",
            time::until(invite.expires_at, time::now()),
            invite.id.short()
        ));
    }
    Ok(Exit::Ok)
}

async fn invites(context: &Context, api: &Api) -> Result<Exit, Failure> {
    let list: InviteList = api.json(Call::new(RouteId::ListInvites, &[])).await?;
    let out = &context.out;
    if out.json {
        out.value(&list)?;
        return Ok(Exit::Ok);
    }
    if list.invites.is_empty() {
        out.hint("No invite can still be used.");
        return Ok(Exit::Ok);
    }
    let now = time::now();
    let rows: Vec<Vec<Cell>> = list
        .invites
        .iter()
        .map(|invite| {
            vec![
                Cell::new(invite.id.short()).paint(Paint::Strong),
                Cell::new(role(invite.role)),
                Cell::new(time::until(invite.expires_at, now)),
                Cell::new(invite.note.as_deref().unwrap_or_default()),
            ]
        })
        .collect();
    out.table(&["ID", "ROLE", "ENDS", "NOTE"], &rows)?;
    Ok(Exit::Ok)
}

async fn revoke(context: &Context, api: &Api, named: Option<&str>) -> Result<Exit, Failure> {
    let list: InviteList = api.json(Call::new(RouteId::ListInvites, &[])).await?;
    let invite = resolve::named_or_chosen(context, named, "invite", list.invites, |invite| {
        (invite.note.as_deref().unwrap_or_default(), &invite.id)
    })?;
    let segments = [invite.id.as_str()];
    let _: Done = api
        .json(Call::new(RouteId::RevokeInvite, &segments))
        .await?;
    let out = &context.out;
    if out.json {
        out.value(&invite)?;
    } else {
        out.line(&format!("Invite {} lets nobody in.", invite.id.short()))?;
    }
    Ok(Exit::Ok)
}

async fn person(context: &Context, api: &Api, named: Option<&str>) -> Result<PersonView, Failure> {
    let list: PersonList = api.json(Call::new(RouteId::ListPeople, &[])).await?;
    resolve::named_or_chosen(context, named, "person", list.people, |person| {
        (&person.name, &person.id)
    })
}

async fn change_to(
    context: &Context,
    api: &Api,
    named: Option<&str>,
    change: &ChangePerson,
) -> Result<Exit, Failure> {
    let person = person(context, api, named).await?;
    let segments = [person.id.as_str()];
    let call = Call::new(RouteId::ChangePerson, &segments).body(change)?;
    let person: PersonView = api.json(call).await?;
    let out = &context.out;
    if out.json {
        out.value(&person)?;
    } else {
        let state = match person.suspended_at {
            Some(_) => "suspended",
            None => "active",
        };
        out.line(&format!(
            "{} is {} and {state}.",
            text::clean_line(&person.name),
            role(person.role)
        ))?;
    }
    Ok(Exit::Ok)
}

async fn remove(context: &Context, api: &Api, named: Option<&str>) -> Result<Exit, Failure> {
    let person = person(context, api, named).await?;
    let segments = [person.id.as_str()];
    let _: Done = api
        .json(Call::new(RouteId::RemovePerson, &segments))
        .await?;
    let out = &context.out;
    if out.json {
        out.value(&person)?;
    } else {
        out.line(&format!("{} is removed.", text::clean_line(&person.name)))?;
    }
    Ok(Exit::Ok)
}

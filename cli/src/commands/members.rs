//! `sam project members …`

use super::project::role;
use crate::api::{Api, Call};
use crate::args::{Members, ProjectMembers};
use crate::context::Context;
use crate::error::{Exit, Failure};
use crate::output::style::Paint;
use crate::output::table::Cell;
use crate::output::{text, time};
use crate::resolve;
use sam_domain::access::route::RouteId;
use sam_domain::access::wire::{MemberList, MemberView, ProjectView, PutMember};
use sam_domain::conversation::call::Done;
use sam_domain::id::{Id, UserId};

pub(super) async fn run(context: &Context, given: ProjectMembers) -> Result<Exit, Failure> {
    let api = context.api()?;
    let within = given.within;
    let command = given.command.unwrap_or(Members::List { within });
    let (Members::List { within } | Members::Add { within, .. } | Members::Remove { within, .. }) =
        &command;
    let project = resolve::project(context, &api, within.project.as_deref()).await?;
    match command {
        Members::List { .. } => list(context, &api, &project).await,
        Members::Add { user, role, .. } => {
            let body = PutMember { role: role.into() };
            add(context, &api, &project, &user, &body).await
        }
        Members::Remove { user, .. } => remove(context, &api, &project, &user).await,
    }
}

async fn members(api: &Api, project: &ProjectView) -> Result<MemberList, Failure> {
    let segments = [project.id.as_str()];
    api.json(Call::new(RouteId::ListMembers, &segments)).await
}

async fn list(context: &Context, api: &Api, project: &ProjectView) -> Result<Exit, Failure> {
    let list = members(api, project).await?;
    let out = &context.out;
    if out.json {
        out.value(&list)?;
        return Ok(Exit::Ok);
    }
    let now = time::now();
    let rows: Vec<Vec<Cell>> = list
        .members
        .iter()
        .map(|member| {
            vec![
                Cell::new(&member.name).paint(Paint::Strong),
                Cell::new(role(member.role)),
                Cell::new(time::ago(member.created_at, now)),
                Cell::new(member.user.as_str()).paint(Paint::Muted).whole(),
            ]
        })
        .collect();
    out.table(&["NAME", "ROLE", "SINCE", "ID"], &rows)?;
    Ok(Exit::Ok)
}

async fn add(
    context: &Context,
    api: &Api,
    project: &ProjectView,
    user: &str,
    body: &PutMember,
) -> Result<Exit, Failure> {
    // Who is a member is found by name; who is not is known by their whole id alone.
    let user = match user.parse::<UserId>() {
        Ok(id) => id,
        Err(_) => pick(members(api, project).await?, user)?.user,
    };
    let segments = [project.id.as_str(), user.as_str()];
    let call = Call::new(RouteId::PutMember, &segments).body(body)?;
    let member: MemberView = api.json(call).await?;
    let out = &context.out;
    if out.json {
        out.value(&member)?;
    } else {
        out.line(&format!(
            "{} is {} of {}.",
            text::clean_line(&member.name),
            role(member.role),
            text::clean_line(&project.name)
        ))?;
    }
    Ok(Exit::Ok)
}

async fn remove(
    context: &Context,
    api: &Api,
    project: &ProjectView,
    user: &str,
) -> Result<Exit, Failure> {
    let member = pick(members(api, project).await?, user)?;
    let segments = [project.id.as_str(), member.user.as_str()];
    let _: Done = api
        .json(Call::new(RouteId::RemoveMember, &segments))
        .await?;
    let out = &context.out;
    if out.json {
        out.value(&member)?;
    } else {
        out.line(&format!(
            "{} is no member of {} any more.",
            text::clean_line(&member.name),
            text::clean_line(&project.name)
        ))?;
    }
    Ok(Exit::Ok)
}

fn pick(list: MemberList, named: &str) -> Result<MemberView, Failure> {
    resolve::named(named, "member", list.members, |member| {
        (&member.name, &member.user)
    })
}

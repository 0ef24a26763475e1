//! What people and projects may use, and what is spent of it.

use sam_domain::budget::Limits;
use sam_domain::budget::call::{BudgetCall, Layer};
use sam_domain::budget::wire::BudgetView;
use sam_domain::error::ApiError;
use sam_domain::id::{Id as _, ProjectId, UserId};
use sam_platform::d1::projects::Projects;
use sam_platform::d1::users::Users;
use sam_platform::http;
use sam_platform::objects;
use sam_platform::value::MAX_SAFE_INTEGER;

use super::audit;
use crate::call::Call;
use crate::errors::{Answer, Failed};
use crate::membership::Member;
use crate::principal::{Admin, User};
use crate::proxy::budget;

pub(crate) async fn get(call: &Call, user: User) -> Answer {
    view(call, user.id().as_str()).await
}

pub(crate) async fn put(call: &Call, user: User) -> Answer {
    set(call, user.id().as_str(), Layer::Own).await
}

pub(crate) async fn of_project(call: &Call, member: Member) -> Answer {
    view(call, member.project.as_str()).await
}

pub(crate) async fn put_project(call: &Call, member: Member) -> Answer {
    let answer = set(call, member.project.as_str(), Layer::Own).await?;
    let project = &member.project;
    audit::detailed(
        call,
        &call.database()?,
        member.id(),
        "project_budget",
        project.as_str(),
        Some(project),
        None,
    )
    .await?;
    Ok(answer)
}

pub(crate) async fn allowance(call: &Call, _: Admin) -> Answer {
    view(call, &holder(call).await?).await
}

pub(crate) async fn put_allowance(call: &Call, admin: Admin) -> Answer {
    let holder = holder(call).await?;
    let answer = set(call, &holder, Layer::Allowance).await?;
    audit::record(call, &call.database()?, admin.id(), "allowance", &holder).await?;
    Ok(answer)
}

/// The person or the project that the path names.
async fn holder(call: &Call) -> Result<String, Failed> {
    let database = call.database()?;
    let known = if let Ok(user) = call.id::<UserId>(0, "person") {
        Users(&database).get(&user).await?.map(|_| user.to_string())
    } else {
        let project: ProjectId = call.id(0, "person or project")?;
        let found = Projects(&database).get(&project).await?;
        found.map(|_| project.to_string())
    };
    Ok(known.ok_or_else(|| ApiError::not_found("person or project"))?)
}

async fn view(call: &Call, holder: &str) -> Answer {
    let object = objects::budget(&call.env, holder)?;
    Ok(object.relay(&BudgetCall::View).await?)
}

async fn set(call: &Call, holder: &str, layer: Layer) -> Answer {
    let limits: Limits = call.json().await?;
    for limit in [
        limits.daily_tokens,
        limits.monthly_cost,
        limits.requests_per_minute,
    ] {
        // A number that JavaScript cannot hold would be another number in the browser.
        let most = MAX_SAFE_INTEGER.unsigned_abs();
        if limit.is_some_and(|limit| limit > most) {
            return Err(ApiError::bad_request(format!("A limit is at most {most}.")).into());
        }
    }
    let object = objects::budget(&call.env, holder)?;
    let set: BudgetView = object
        .call(&BudgetCall::SetLimits { layer, limits })
        .await?;
    budget::forget(holder);
    Ok(http::json(200, &set))
}

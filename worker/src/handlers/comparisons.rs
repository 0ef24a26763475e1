//! The same work under several agents.

use sam_domain::conversation::call::{Done, Idempotency, ProjectCall, SubmitComparisonReply};
use sam_domain::conversation::comparison::{ChooseCandidate, SubmitComparison, check_agents};
use sam_domain::conversation::session;
use sam_platform::crypto::sha256_hex;
use sam_platform::http;

use super::{idempotency_key, projects, tasks, words};
use crate::call::Call;
use crate::errors::Answer;
use crate::membership::Member;
use crate::objects;

pub(crate) async fn submit(call: &Call, member: Member) -> Answer {
    let key = idempotency_key(call)?;
    let (mut request, bytes): (SubmitComparison, _) =
        http::read_stated_json(&call.request, words::REQUEST_LIMIT).await?;
    words::check("prompt", &request.prompt)?;
    check_agents(&request.agents)?;
    for agent in &request.agents {
        projects::known_agent(agent)?;
        projects::known_mode(agent, request.permission_mode)?;
    }
    if let Some(base) = &request.base {
        tasks::check_base(base)?;
    }
    let project = projects::stored(call, &member.project).await?;
    let pool = member.pool(call).await?;
    let title = session::title(&request.prompt);
    let body = words::keep(call, &project.id, &mut request.prompt).await?;
    let ask = ProjectCall::SubmitComparison {
        project: project.id.clone(),
        by: member.id().clone(),
        repository: project.repository,
        pool,
        idempotency: Idempotency {
            key,
            body_sha256: sha256_hex(&bytes),
        },
        request,
        body,
    };
    let reply: SubmitComparisonReply = objects::project(call, &project.id, &ask).await?;
    // What is compared keeps one name, its first line, so that it is found side by side: no model
    // is asked for titles.
    for submitted in &reply.tasks {
        tasks::index(call, &member, submitted, &title).await?;
    }
    Ok(http::json(202, &reply))
}

pub(crate) async fn get(call: &Call, member: Member) -> Answer {
    let ask = ProjectCall::GetComparison {
        comparison: call.id(1, "comparison")?,
    };
    objects::relay(call, &member.project, &ask).await
}

pub(crate) async fn choose(call: &Call, member: Member) -> Answer {
    let (request, _): (ChooseCandidate, _) =
        http::read_stated_json(&call.request, words::REQUEST_LIMIT).await?;
    let ask = ProjectCall::ChooseCandidate {
        comparison: call.id(1, "comparison")?,
        session: request.session,
        by: member.id().clone(),
    };
    let reply: Done = objects::project(call, &member.project, &ask).await?;
    Ok(http::json(200, &reply))
}

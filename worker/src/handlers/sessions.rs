//! Conversations, their rows and their prompts.

use sam_domain::budget::call::BudgetCall;
use sam_domain::conversation::call::{
    AnswerPermissionReply, Done, Idempotency, ProjectCall, SendPromptReply,
};
use sam_domain::conversation::wire::{AnswerPermission, PromptView, SendPrompt};
use sam_domain::error::ApiError;
use sam_domain::id::{Id as _, TaskId};
use sam_platform::crypto::sha256_hex;
use sam_platform::http;

use super::{idempotency_key, words};
use crate::call::Call;
use crate::errors::Answer;
use crate::membership::Member;
use crate::objects;

/// Most rows of one page.
const PAGE_ROWS: u32 = 500;

pub(crate) async fn list(call: &Call, member: Member) -> Answer {
    let ask = ProjectCall::ListSessions {
        before: call.query("before")?,
        limit: call.limit(100)?,
    };
    objects::relay(call, &member.project, &ask).await
}

pub(crate) async fn get(call: &Call, member: Member) -> Answer {
    let ask = ProjectCall::GetSession {
        session: call.id(1, "conversation")?,
    };
    objects::relay(call, &member.project, &ask).await
}

pub(crate) async fn messages(call: &Call, member: Member) -> Answer {
    let (before, after) = (call.query("before")?, call.query("after")?);
    if before.is_some() && after.is_some() {
        return Err(ApiError::new(
            400,
            "bad_parameter",
            "`before` and `after` exclude each other.",
        )
        .into());
    }
    let ask = ProjectCall::ListMessages {
        session: call.id(1, "conversation")?,
        before,
        after,
        limit: call.limit(PAGE_ROWS)?,
    };
    objects::relay(call, &member.project, &ask).await
}

pub(crate) async fn send_prompt(call: &Call, member: Member) -> Answer {
    let key = idempotency_key(call)?;
    let (mut request, bytes): (SendPrompt, _) =
        http::read_stated_json(&call.request, words::REQUEST_LIMIT).await?;
    words::check("text", &request.text)?;
    let (text, attached) = (&mut request.text, &mut request.attachments);
    let body = words::keep(call, &member.project, text, attached).await?;
    let ask = ProjectCall::SendPrompt {
        project: member.project.clone(),
        session: call.id(1, "conversation")?,
        by: member.id().clone(),
        pool: member.pool(call).await?,
        idempotency: Idempotency {
            key,
            body_sha256: sha256_hex(&bytes),
        },
        request,
        body,
    };
    let reply: SendPromptReply = objects::project(call, &member.project, &ask).await?;
    Ok(http::json(202, &reply))
}

pub(crate) async fn edit_prompt(call: &Call, member: Member) -> Answer {
    let (mut request, _): (SendPrompt, _) =
        http::read_stated_json(&call.request, words::REQUEST_LIMIT).await?;
    words::check("text", &request.text)?;
    let (text, attached) = (&mut request.text, &mut request.attachments);
    let body = words::keep(call, &member.project, text, attached).await?;
    let ask = ProjectCall::EditPrompt {
        session: call.id(1, "conversation")?,
        prompt: call.id(2, "prompt")?,
        by: member.editor(),
        request,
        body,
    };
    let reply: PromptView = objects::project(call, &member.project, &ask).await?;
    Ok(http::json(200, &reply))
}

pub(crate) async fn remove_prompt(call: &Call, member: Member) -> Answer {
    let ask = ProjectCall::RemovePrompt {
        session: call.id(1, "conversation")?,
        prompt: call.id(2, "prompt")?,
        by: member.editor(),
    };
    let reply: Done = objects::project(call, &member.project, &ask).await?;
    Ok(http::json(200, &reply))
}

pub(crate) async fn answer_permission(call: &Call, member: Member) -> Answer {
    let (request, _): (AnswerPermission, _) =
        http::read_stated_json(&call.request, words::REQUEST_LIMIT).await?;
    let ask = ProjectCall::AnswerPermission {
        session: call.id(1, "conversation")?,
        permission: call.id(2, "question")?,
        by: member.id().clone(),
        request,
    };
    let reply: AnswerPermissionReply = objects::project(call, &member.project, &ask).await?;
    Ok(http::json(202, &reply))
}

pub(crate) async fn cancel_turn(call: &Call, member: Member) -> Answer {
    let ask = ProjectCall::CancelTurn {
        session: call.id(1, "conversation")?,
    };
    let reply: Done = objects::project(call, &member.project, &ask).await?;
    Ok(http::json(200, &reply))
}

pub(crate) async fn comparison(call: &Call, member: Member) -> Answer {
    let ask = ProjectCall::GetComparison(call.id(1, "conversation")?);
    let project = sam_platform::objects::project(&call.env, &member.project)?;
    let budget = sam_platform::objects::budget(&call.env, member.project.as_str())?;
    let mut view = String::from("{\"candidates\":[");
    for line in project.text_of(&ask).await?.lines() {
        let (task, candidate) = line.split_once(' ').unwrap_or_default();
        let task: TaskId = task.parse().map_err(|_| ApiError::internal())?;
        let usage = budget.text_of(&BudgetCall::TaskUsage { task }).await?;
        let comma = if view.ends_with('}') { "," } else { "" };
        view.extend([comma, candidate, ",\"usage\":", &usage, "}"]);
    }
    view.push_str("]}");
    Ok(http::json_text(200, &view.into()))
}

pub(crate) async fn choose(call: &Call, member: Member) -> Answer {
    let ask = ProjectCall::Choose(call.id(1, "conversation")?, member.id().clone());
    objects::relay(call, &member.project, &ask).await
}

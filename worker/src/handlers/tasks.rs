//! Tasks.

use sam_domain::budget::call::BudgetCall;
use sam_domain::conversation::call::{Idempotency, ProjectCall, SubmitReply};
use sam_domain::conversation::comparison::check_agents;
use sam_domain::conversation::session;
use sam_domain::conversation::wire::SubmitTask;
use sam_domain::error::ApiError;
use sam_domain::id::{Id as _, TaskId};
use sam_domain::link::question::{About, Question};
use sam_domain::task::TaskState;
use sam_domain::task::call::TaskCall;
use sam_domain::time::{Millis, Timestamp};
use sam_platform::crypto::sha256_hex;
use sam_platform::d1::task_index::{IndexedTask, TaskIndex};
use sam_platform::http;
use sam_platform::r2::{Bodies, BodyName};

use super::{idempotency_key, projects, words};
use crate::call::Call;
use crate::errors::{Answer, Failed, log};
use crate::membership::{Member, TaskMember};
use crate::objects;
use crate::proxy::title::{self, Untitled};

/// Longest branch, tag or commit to start from, in bytes.
const BASE_LIMIT: usize = 250;
/// A task older than this was not made by the request that is answered with it.
const REPEATED: Millis = Millis::seconds(2);

pub(crate) async fn submit(call: &Call, member: Member) -> Answer {
    let key = idempotency_key(call)?;
    let (mut request, bytes): (SubmitTask, _) =
        http::read_stated_json(&call.request, words::REQUEST_LIMIT).await?;
    words::check("prompt", &request.prompt)?;
    check_agents(&request)?;
    for agent in request.agent.iter().chain(&request.agents) {
        projects::known_agent(agent)?;
    }
    if let Some(base) = &request.base {
        check_base(base)?;
    }
    let project = projects::stored(call, &member.project).await?;
    let agent = request.agent.as_deref().unwrap_or(&project.default_agent);
    if request.agents.is_empty() {
        projects::known_mode(agent, request.permission_mode)?;
    }
    for agent in &request.agents {
        projects::known_mode(agent, request.permission_mode)?;
    }
    let pool = member.pool(call).await?;
    let (agent, words) = (agent.to_owned(), request.prompt.clone());
    let (text, attached) = (&mut request.prompt, &mut request.attachments);
    let body = words::keep(call, &project.id, text, attached).await?;
    let reply: SubmitReply = objects::project(
        call,
        &project.id,
        &ProjectCall::Submit {
            project: project.id.clone(),
            by: member.id().clone(),
            repository: project.repository,
            default_agent: project.default_agent,
            pool,
            idempotency: Idempotency {
                key,
                body_sha256: sha256_hex(&bytes),
            },
            request,
            body,
        },
    )
    .await?;
    index(call, &member, &reply, session::title(&words)).await?;
    // What is compared keeps one name, its first line, by which it is found side by side.
    let alone = reply.others.is_empty();
    let task = reply.task.clone();
    // A request that is repeated is answered with the task of then, which has its title.
    if alone && task > TaskId::mint(Timestamp(call.now.0.saturating_sub(REPEATED.0)), 0) {
        title::begin(
            call,
            Untitled {
                user: member.id().clone(),
                project: member.project,
                session: reply.session.clone(),
                task,
                agent,
                words,
            },
        );
    }
    Ok(http::json(202, &reply))
}

/// Has the new tasks found by their ids alone from the first moment on. They write newer versions of
/// these rows themselves, so a failure here only delays that.
async fn index(
    call: &Call,
    member: &Member,
    reply: &SubmitReply,
    title: String,
) -> Result<(), Failed> {
    let mut row = IndexedTask {
        id: reply.task.clone(),
        project_id: member.project.clone(),
        session_id: reply.session.clone(),
        created_by: member.id().clone(),
        title,
        state: TaskState::Queued.word().to_owned(),
        rev: 0,
        created_at: call.now,
        since: call.now,
    };
    for submitted in std::iter::once(reply).chain(&reply.others) {
        row.id = submitted.task.clone();
        row.session_id = submitted.session.clone();
        if let Err(error) = TaskIndex(&call.database()?).put(&row).await {
            log(&error.to_string());
        }
    }
    Ok(())
}

/// Does the work of a task that is over again. The task itself says whether it is: its project hears
/// that a moment later.
pub(crate) async fn retry(call: &Call, by: TaskMember) -> Answer {
    let key = idempotency_key(call)?;
    let TaskMember { member, task } = by;
    let view = objects::task(call, &task, &TaskCall::Get).await?;
    if !view.state.is_terminal() {
        return Err(ApiError::conflict(
            "still_open",
            format!("This task is still {}.", view.state.word()),
        )
        .hint("Cancel it first, or send a further prompt into its conversation.")
        .into());
    }
    let body_sha256 = sha256_hex(task.as_str().as_bytes());
    let ask = ProjectCall::Retry {
        task,
        session: view.session,
        by: member.id().clone(),
        pool: member.pool(call).await?,
        idempotency: Idempotency { key, body_sha256 },
    };
    let reply: SubmitReply = objects::project(call, &member.project, &ask).await?;
    index(call, &member, &reply, view.title).await?;
    Ok(http::json(202, &reply))
}

/// Refuses what git would read as an option or as something other than a revision's name.
fn check_base(base: &str) -> Result<(), ApiError> {
    let odd =
        |letter: char| letter.is_control() || letter.is_whitespace() || "~^:?*[\\".contains(letter);
    if base.is_empty()
        || base.len() > BASE_LIMIT
        || base.starts_with('-')
        || base.contains("..")
        || base.chars().any(odd)
    {
        return Err(ApiError::bad_request(
            "`base` is not the name of a branch or tag, or a commit.",
        ));
    }
    Ok(())
}

pub(crate) async fn list(call: &Call, member: Member) -> Answer {
    let ask = ProjectCall::ListTasks {
        before: call.query("before")?,
        limit: call.limit(100)?,
    };
    objects::relay(call, &member.project, &ask).await
}

pub(crate) async fn get(call: &Call, by: TaskMember) -> Answer {
    Ok(http::json(
        200,
        &objects::task(call, &by.task, &TaskCall::Get).await?,
    ))
}

pub(crate) async fn cancel(call: &Call, by: TaskMember) -> Answer {
    let ask = TaskCall::Cancel {
        by: by.member.id().clone(),
    };
    Ok(http::json(200, &objects::task(call, &by.task, &ask).await?))
}

pub(crate) async fn close(call: &Call, by: TaskMember) -> Answer {
    let ask = TaskCall::Close {
        by: by.member.id().clone(),
    };
    Ok(http::json(200, &objects::task(call, &by.task, &ask).await?))
}

pub(crate) async fn diff(call: &Call, by: TaskMember) -> Answer {
    let view = objects::task(call, &by.task, &TaskCall::Get).await?;
    let missing = || {
        ApiError::new(404, "no_diff", "This task has no diff.")
            .hint("A diff is there once the task has committed changes.")
    };
    let body = view
        .result
        .and_then(|result| result.diff)
        .ok_or_else(missing)?;
    let name = BodyName::parse(&body.sha256)?;
    let stored = Bodies::of(&call.env, &by.member.project)?
        .get(&name)
        .await?
        .ok_or_else(missing)?;
    Ok(super::bodies::as_text(stored))
}

pub(crate) async fn files(call: &Call, by: TaskMember) -> Answer {
    ask(call, &by, About::Files).await
}

pub(crate) async fn ports(call: &Call, by: TaskMember) -> Answer {
    ask(call, &by, About::Ports).await
}

/// Asks the machine that has the task's workspace.
async fn ask(call: &Call, by: &TaskMember, about: About) -> Answer {
    let view = objects::task(call, &by.task, &TaskCall::Get).await?;
    let (Some(node), Some(workspace)) = (view.node, view.workspace) else {
        return Err(
            ApiError::conflict("no_workspace", "This task has no workspace now.")
                .hint("One is made when the task begins, and is gone a while after it is over.")
                .into(),
        );
    };
    let question = Question {
        id: call.mint()?,
        about,
        workspace: Some(workspace),
        path: call.query("path")?.unwrap_or_default(),
        offset: call.query("offset")?.unwrap_or_default(),
    };
    objects::ask(call, &node, question).await
}

pub(crate) async fn usage(call: &Call, by: TaskMember) -> Answer {
    let budget = sam_platform::objects::budget(&call.env, by.member.project.as_str())?;
    Ok(budget
        .relay(&BudgetCall::TaskUsage { task: by.task })
        .await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_is_a_name_and_not_an_option() {
        for good in ["main", "v1.2.3", "feature/x", "0123abc"] {
            assert!(check_base(good).is_ok(), "{good}");
        }
        for bad in ["", "--upload-pack=x", "a b", "a..b", "HEAD~1", "x\n", "a:b"] {
            assert!(check_base(bad).is_err(), "{bad}");
        }
    }
}

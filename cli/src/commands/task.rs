//! `sam task …`

use super::{answer, attach, chat, compare, stdin};
use crate::api::{Api, Call};
use crate::args::{AskedTask, Attach, InProject, OneTask, SomeTask, Task};
use crate::context::Context;
use crate::error::{Exit, Failure};
use crate::follow::{self, Target};
use crate::output::style::Paint;
use crate::output::table::Cell;
use crate::output::{text, time};
use crate::resolve;
use sam_domain::access::route::RouteId;
use sam_domain::access::wire::SetupStatus;
use sam_domain::budget::call::UsageSummary;
use sam_domain::budget::period::moment;
use sam_domain::conversation::wire::{
    PROMPT_LIMIT, PromptAccepted, SendPrompt, SubmitTask, Submitted,
};
use sam_domain::error::Failure as TaskFailure;
use sam_domain::id::{Id, ProjectId, TaskId};
use sam_domain::task::{TaskState, TaskView};
use serde::Serialize;

pub(super) async fn run(context: &Context, command: Task) -> Result<Exit, Failure> {
    match command {
        Task::Submit {
            prompt,
            within,
            agent,
            agents,
            mode,
            base,
            permission_mode,
            attach,
            follow,
        } => {
            let body = SubmitTask {
                prompt: words(prompt)?,
                agent,
                agents,
                mode: mode.into(),
                base,
                permission_mode: permission_mode.into(),
                attachments: Vec::new(),
            };
            submit(context, &within, body, &attach, follow).await
        }
        Task::Prompt {
            which,
            prompt,
            attach,
            follow,
        } => {
            let body = SendPrompt {
                text: words(prompt)?,
                attachments: Vec::new(),
            };
            prompt_task(context, &which, body, &attach, follow).await
        }
        Task::Answer(command) => answer::run(context, command).await,
        Task::Status(which) => status(context, &which).await,
        Task::List { within, limit } => list(context, &within, limit).await,
        Task::Follow(which) => {
            let api = context.api()?;
            let task = newest(context, &api, &which).await?;
            follow::run(context, &api, Target::task(&task)).await
        }
        Task::Cancel(which) => act(context, &which, RouteId::CancelTask).await,
        Task::Close(which) => act(context, &which, RouteId::CloseTask).await,
        Task::Retry { which, follow } => retry(context, &which, follow).await,
        Task::Diff(which) => diff(context, &which).await,
        Task::Logs { which, limit } => logs(context, &which, limit).await,
        Task::Compare(which) => compare::show(context, &which).await,
        Task::Choose(which) => compare::choose(context, &which).await,
    }
}

/// A prompt's words: the argument, or stdin where that is `-`.
pub(super) fn words(prompt: String) -> Result<String, Failure> {
    let prompt = if prompt == "-" {
        stdin()?.trim_end().to_owned()
    } else {
        prompt
    };
    if prompt.trim().is_empty() {
        return Err(Failure::usage(
            "The prompt is empty.",
            "Say what is to be done, in quotes, or pipe it in with `-`.",
        ));
    }
    if prompt.len() > PROMPT_LIMIT {
        return Err(Failure::usage(
            format!(
                "The prompt has {} bytes; at most {} are accepted.",
                prompt.len(),
                PROMPT_LIMIT
            ),
            "Put the material into the repository and point to it.",
        ));
    }
    Ok(prompt)
}

async fn newest(context: &Context, api: &Api, which: &SomeTask) -> Result<TaskView, Failure> {
    let project = which.within.project.as_deref();
    resolve::task_or_newest(context, api, which.task.as_deref(), project).await
}

async fn submit(
    context: &Context,
    within: &InProject,
    mut body: SubmitTask,
    attached: &Attach,
    follow: bool,
) -> Result<Exit, Failure> {
    let api = context.api()?;
    let project = resolve::project(context, &api, within.project.as_deref()).await?;
    body.attachments = attach::store(&api, &project.id, attached).await?;
    let segments = [project.id.as_str()];
    let submitted: Submitted = api
        .json(Call::new(RouteId::SubmitTask, &segments).body(&body)?)
        .await?;
    if follow {
        return follow_submitted(context, &api, project.id, submitted).await;
    }
    let out = &context.out;
    if out.json {
        out.value(&submitted)?;
        return Ok(Exit::Ok);
    }
    out.line(&format!(
        "Submitted {} to {}.",
        submitted.task,
        text::clean_line(&project.name)
    ))?;
    for other in &submitted.others {
        out.line(&format!("Submitted {}, the same work.", other.task))?;
    }
    scripted_hint(context, &api).await;
    if !submitted.others.is_empty() {
        let task = submitted.task.short();
        out.hint(&format!("Compare them: sam task compare {task}"));
        return Ok(Exit::Ok);
    }
    follow_hint(context, &submitted.task);
    Ok(Exit::Ok)
}

async fn retry(context: &Context, which: &AskedTask, follow: bool) -> Result<Exit, Failure> {
    let api = context.api()?;
    let task = resolve::task_or_chosen(context, &api, which).await?;
    let segments = [task.id.as_str()];
    let submitted: Submitted = api.json(Call::new(RouteId::RetryTask, &segments)).await?;
    if follow {
        return follow_submitted(context, &api, task.project, submitted).await;
    }
    let out = &context.out;
    if out.json {
        out.value(&submitted)?;
        return Ok(Exit::Ok);
    }
    out.line(&format!(
        "Submitted {}, which does the work of {} again.",
        submitted.task,
        task.id.short()
    ))?;
    follow_hint(context, &submitted.task);
    Ok(Exit::Ok)
}

/// Watches what was submitted a moment ago.
async fn follow_submitted(
    context: &Context,
    api: &Api,
    project: ProjectId,
    submitted: Submitted,
) -> Result<Exit, Failure> {
    if context.out.json {
        context.out.event(&SubmittedEvent {
            event: "submitted",
            submitted: &submitted,
        })?;
    }
    let target = Target {
        task: submitted.task,
        project,
        session: submitted.session,
        from: None,
        chat: false,
    };
    follow::run(context, api, target).await
}

/// The first event of `--follow --json`.
#[derive(Debug, Serialize)]
struct SubmittedEvent<'a> {
    event: &'static str,
    #[serde(flatten)]
    submitted: &'a Submitted,
}

fn follow_hint(context: &Context, task: &TaskId) {
    context
        .out
        .hint(&format!("Watch it: sam task follow {}", task.short()));
}

/// Says so where no real model answers.
async fn scripted_hint(context: &Context, api: &Api) {
    let status = api
        .json::<SetupStatus>(Call::new(RouteId::SetupStatus, &[]))
        .await;
    if status.is_ok_and(|status| status.model.scripted) {
        context
            .out
            .hint("The model is a scripted stand-in, not a real one.");
    }
}

async fn prompt_task(
    context: &Context,
    which: &OneTask,
    mut body: SendPrompt,
    attached: &Attach,
    follow: bool,
) -> Result<Exit, Failure> {
    let api = context.api()?;
    let project = which.within.project.as_deref();
    let task = resolve::task(context, &api, &which.task, project).await?;
    body.attachments = attach::store(&api, &task.project, attached).await?;
    let segments = [task.project.as_str(), task.session.as_str()];
    let accepted: PromptAccepted = api
        .json(Call::new(RouteId::SendPrompt, &segments).body(&body)?)
        .await?;
    let out = &context.out;
    if follow {
        let target = Target {
            task: accepted.task,
            project: task.project,
            session: task.session,
            from: Some(accepted.row),
            chat: false,
        };
        return follow::run(context, &api, target).await;
    }
    if out.json {
        out.value(&accepted)?;
        return Ok(Exit::Ok);
    }
    if accepted.task == task.id {
        out.line(&format!("Sent to {}.", accepted.task))?;
    } else {
        out.line(&format!(
            "Sent; {} was over, so {} continues its conversation.",
            task.id.short(),
            accepted.task
        ))?;
    }
    follow_hint(context, &accepted.task);
    Ok(Exit::Ok)
}

async fn act(context: &Context, which: &AskedTask, route: RouteId) -> Result<Exit, Failure> {
    let api = context.api()?;
    let task = resolve::task_or_chosen(context, &api, which).await?;
    let segments = [task.id.as_str()];
    api.text(Call::new(route, &segments)).await?;
    let task: TaskView = api.json(Call::new(RouteId::GetTask, &segments)).await?;
    let out = &context.out;
    if out.json {
        out.value(&task)?;
        return Ok(Exit::Ok);
    }
    let asked = match route {
        RouteId::CloseTask => "Closing",
        _ => "Cancelling",
    };
    if task.state.is_terminal() {
        out.line(&format!("{} is {}.", task.id, task.state.word()))?;
    } else {
        out.line(&format!(
            "{asked} {}; it is still {}.",
            task.id,
            task.state.word()
        ))?;
        follow_hint(context, &task.id);
    }
    Ok(Exit::Ok)
}

async fn logs(context: &Context, which: &SomeTask, limit: u32) -> Result<Exit, Failure> {
    let api = context.api()?;
    let task = newest(context, &api, which).await?;
    let segments = [task.project.as_str(), task.session.as_str()];
    let session = api.json(Call::new(RouteId::GetSession, &segments)).await?;
    chat::show(context, &api, session, limit).await?;
    if let Some(failure) = task.failure.as_ref().filter(|_| !context.out.json) {
        show_failure(context, failure)?;
    }
    Ok(Exit::Ok)
}

/// Why a task failed, below what is shown of it.
fn show_failure(context: &Context, failure: &TaskFailure) -> Result<(), Failure> {
    let out = &context.out;
    let mut lines = follow::failure_lines(out.style, failure).into_iter();
    lines.try_for_each(|line| out.line(&line))
}

async fn diff(context: &Context, which: &SomeTask) -> Result<Exit, Failure> {
    let api = context.api()?;
    let task = newest(context, &api, which).await?;
    print_diff(context, &api, &task.id).await
}

/// Prints a task's diff: in colour for people, as it is for `git apply`.
pub(super) async fn print_diff(
    context: &Context,
    api: &Api,
    task: &TaskId,
) -> Result<Exit, Failure> {
    let segments = [task.as_str()];
    let diff = api.text(Call::new(RouteId::TaskDiff, &segments)).await?;
    let out = &context.out;
    if out.json {
        out.value(&serde_json::json!({ "task": task, "diff": diff }))?;
    } else if out.columns.is_none() {
        // For `git apply`: not a byte more or less.
        out.raw(&diff)?;
    } else {
        let _pager = out.pager();
        for line in diff.lines() {
            out.line(&out.style.diff_line(&text::clean_line(line)))?;
        }
    }
    Ok(Exit::Ok)
}

/// A state's shape and colour; its word stands beside it.
pub(crate) const fn shape(state: TaskState) -> (&'static str, Paint) {
    match state {
        TaskState::Queued => ("○", Paint::Muted),
        TaskState::Placing
        | TaskState::Preparing
        | TaskState::Starting
        | TaskState::Running
        | TaskState::Finishing => ("●", Paint::Info),
        TaskState::AwaitingInput => ("?", Paint::Warn),
        TaskState::Completed => ("✓", Paint::Ok),
        TaskState::Failed => ("✗", Paint::Danger),
        TaskState::Cancelled => ("■", Paint::Muted),
    }
}

/// The state's word for people.
pub(crate) fn state_word(state: TaskState) -> String {
    state.word().replace('_', " ")
}

async fn list(context: &Context, within: &InProject, limit: u32) -> Result<Exit, Failure> {
    let api = context.api()?;
    let project = resolve::project(context, &api, within.project.as_deref()).await?;
    let page = resolve::newest_tasks(&api, &project.id, limit).await?;
    let out = &context.out;
    if out.json {
        out.value(&page)?;
        return Ok(Exit::Ok);
    }
    if page.tasks.is_empty() {
        out.hint("There is no task yet: sam task submit \"what is to be done\"");
        return Ok(Exit::Ok);
    }
    let now = time::now();
    let rows: Vec<Vec<Cell>> = page
        .tasks
        .iter()
        .map(|task| {
            let (shape, paint) = shape(task.state);
            vec![
                Cell::new(task.id.short()).paint(Paint::Muted),
                Cell::new(format!("{shape} {}", state_word(task.state))).paint(paint),
                Cell::new(time::ago(task.created_at, now)),
                Cell::new(&task.agent),
                Cell::new(text::fit(&text::clean_line(&task.title), 60)),
            ]
        })
        .collect();
    let headings = ["ID", "STATE", "CREATED", "AGENT", "TITLE"];
    out.table(&headings, &rows)?;
    if page.next.is_some() {
        out.hint(&format!(
            "There are more: sam task list --limit {}",
            limit.saturating_mul(2)
        ));
    }
    Ok(Exit::Ok)
}

/// What `task status` prints as JSON: the task, and what it used.
#[derive(Debug, Serialize)]
struct Status<'a> {
    #[serde(flatten)]
    task: &'a TaskView,
    usage: Option<UsageSummary>,
}

async fn status(context: &Context, which: &SomeTask) -> Result<Exit, Failure> {
    let api = context.api()?;
    let task = newest(context, &api, which).await?;
    let usage = follow::usage(&api, &task.id).await;
    let out = &context.out;
    if out.json {
        out.value(&Status { task: &task, usage })?;
        return Ok(Exit::Ok);
    }
    let now = time::now();
    let (shape, paint) = shape(task.state);
    out.line(&format!(
        "{}  {}",
        out.style
            .paint(paint, &format!("{shape} {}", state_word(task.state))),
        out.style
            .paint(Paint::Strong, &text::clean_line(&task.title))
    ))?;
    let mut facts = vec![
        ("task", task.id.to_string()),
        ("agent", task.agent.clone()),
        ("created", time::ago(task.created_at, now)),
    ];
    if let Some(earlier) = &task.retry_of {
        facts.push(("again", format!("the work of {}", earlier.short())));
    }
    if task.attempt > 1 {
        facts.push(("attempt", task.attempt.to_string()));
    }
    if let Some(since) = task.machine_away_since {
        facts.push(("machine", format!("away since {}", time::ago(since, now))));
    }
    if let Some(until) = task.waits_until.filter(|until| *until > now) {
        facts.push(("waits", format!("for the model, until {}", moment(until))));
    }
    if let Some(question) = &task.asks {
        facts.push(("asks", text::clean_line(question)));
    }
    facts.extend(follow::result_facts(&task));
    facts.extend(
        usage
            .as_ref()
            .map(|usage| ("model", follow::usage_line(usage))),
    );
    out.facts(&facts)?;
    for step in &task.steps {
        out.line(&follow::step_line(out.style, &task, step, now))?;
    }
    if let Some(failure) = &task.failure {
        show_failure(context, failure)?;
    }
    Ok(Exit::Ok)
}

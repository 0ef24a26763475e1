//! How a task ended: what it handed back, or why it failed.

use crate::api::{self, Trouble};
use crate::state::app;
use crate::text::{diff, words};
use crate::view::compared::compared;
use crate::view::diff::DiffFiles;
use crate::view::dynamic::{Show, part, value};
use crate::view::icon::{self, icon};
use crate::view::part::{Copyable, skeleton, trouble_note};
use leptos::prelude::*;
use leptos::task::spawn_local;
use sam_domain::budget::call::UsageSummary;
use sam_domain::error::{Failure, Fault};
use sam_domain::id::{Id, TaskId};
use sam_domain::task::wire::GitResult;
use sam_domain::task::{TaskState, TaskView};

/// The card at a task's end.
#[component]
pub(crate) fn Outcome(task: TaskId) -> impl IntoView {
    let app = app();
    let known = task.clone();
    let view = Memo::new(move |_| app.live.tasks.with(|tasks| tasks.get(&known).cloned()));
    view! {
        <section class="row outcome" id=format!("outcome-{task}")>
            {part(move || view.get().map(|task| card(&task)))}
        </section>
    }
}

fn card(task: &TaskView) -> AnyView {
    let (title, shape) = match task.state {
        TaskState::Failed => {
            let step = task.failure.as_ref().map(|f| words::step(f.step).0);
            (
                step.map_or("Failed".to_owned(), |step| format!("Failed while {step}")),
                words::Shape::Failed,
            )
        }
        TaskState::Cancelled => ("Cancelled".to_owned(), words::Shape::Stopped),
        _ if task.result.as_ref().is_some_and(|r| r.commit.is_none()) => {
            ("Done, nothing was changed".to_owned(), words::Shape::Done)
        }
        _ => ("Done".to_owned(), words::Shape::Done),
    };
    let time = words::took(task.since.since(task.created_at));
    let result = task
        .result
        .clone()
        .filter(|result| result.commit.is_some())
        .map(|result| handed_back(task.id.clone(), result));
    let failure = task.failure.clone().map(why);
    view! {
        <div class=format!("result {}", shape.class())>
            <h2>{icon(icon::shape(shape))} <span class="word">{title}</span> <span class="time">{time}</span></h2>
            {failure}
            {result}
            {compared(task.session.clone())}
            {task
                .rows_incomplete
                .then(|| {
                    view! {
                        <p class="muted">
                            "Not everything the agent reported arrived before the task ended."
                        </p>
                    }
                })}
            <Details task=task.clone() />
        </div>
    }
    .into_any()
}

fn why(failure: Failure) -> impl IntoView {
    let cause = match failure.fault {
        Fault::Person => "What was asked for cannot be done as asked.",
        Fault::Environment => "Caused by the machine, the repository, the agent or the model.",
        Fault::System => "Caused by a fault in SAM.",
    };
    view! {
        <p>{failure.message}</p>
        {failure.hint.map(|hint| view! { <p class="next"><strong>"Next: "</strong>{hint}</p> })}
        <p class="muted small">{cause} " " <code>{failure.code}</code></p>
    }
}

fn handed_back(task: TaskId, result: GitResult) -> impl IntoView {
    let branch = result.branch.clone();
    let commit = result.commit.clone();
    let changed = result.files_changed > 0;
    let has_diff = result.diff.is_some();
    view! {
        <dl class="facts">
            <div>
                <dt>"Branch"</dt>
                <dd>
                    <Copyable shown=branch.clone() text=branch what="branch" />
                    {(!result.pushed)
                        .then(|| view! { <span class="warn">"not pushed"</span> })}
                    {(result.pushed).then(|| view! { <span class="muted">"pushed"</span> })}
                </dd>
            </div>
            {commit
                .map(|commit| {
                    let short = commit.get(..10).unwrap_or(&commit).to_owned();
                    view! {
                        <div>
                            <dt>"Commit"</dt>
                            <dd>
                                <Copyable shown=short text=commit what="commit" />
                            </dd>
                        </div>
                    }
                })}
            {changed
                .then(|| {
                    view! {
                        <div>
                            <dt>"Changed"</dt>
                            <dd>
                                {words::count(u64::from(result.files_changed), "file", "files")}
                                " "
                                <span class="plus">{format!("+{}", result.added)}</span>
                                " "
                                <span class="minus">{format!("\u{2212}{}", result.removed)}</span>
                            </dd>
                        </div>
                    }
                })}
        </dl>
        {has_diff.then(|| view! { <TaskDiff task place="diff" /> })}
    }
}

/// The whole diff, read when asked for.
#[component]
pub(crate) fn TaskDiff(
    /// Whose.
    task: TaskId,
    /// Where it is shown: a diff may be open in two places.
    place: &'static str,
) -> impl IntoView {
    let open = RwSignal::new(false);
    let text = RwSignal::new(None::<Result<String, Trouble>>);
    let path = format!("/api/tasks/{task}/diff");
    let body = format!("{place}-{task}");
    let under = StoredValue::new(body.clone());
    let controls = body.clone();
    let toggle = move |_| {
        open.update(|open| *open = !*open);
        let wanted = open.get_untracked() && !matches!(text.get_untracked(), Some(Ok(_)));
        if wanted {
            let path = path.clone();
            spawn_local(async move { text.set(Some(api::get_text(&path).await)) });
        }
    };
    view! {
        <button
            type="button"
            aria-expanded=value(move || open.get().to_string())
            aria-controls=controls
            on:click=toggle
        >
            {part(move || if open.get() { "Hide diff" } else { "Show diff" })}
        </button>
        <div class="whole-diff" id=body hidden=value(move || !open.get())>
            <Show when=move || open.get()>
                {part(move || match text.get() {
                    None => skeleton(4).into_any(),
                    Some(Ok(text)) => {
                        let under = under.get_value();
                        view! { <DiffFiles files=diff::files(&text) under /> }.into_any()
                    },
                    Some(Err(trouble)) => trouble_note(&trouble).into_any(),
                })}
            </Show>
        </div>
    }
}

/// Ids and what the model calls used, read when asked for.
#[component]
fn Details(task: TaskView) -> impl IntoView {
    let usage = RwSignal::new(None::<Result<UsageSummary, Trouble>>);
    let asked = RwSignal::new(false);
    let path = format!("/api/tasks/{}/usage", task.id);
    let ask = move |_| {
        if !asked.get_untracked() {
            asked.set(true);
            let path = path.clone();
            spawn_local(async move { usage.set(Some(api::get(&path).await)) });
        }
    };
    let node = task.node.clone();
    let id = task.id.clone();
    view! {
        <details class="details" on:toggle=ask>
            <summary>"Details"</summary>
            <dl class="facts">
                <div>
                    <dt>"Task"</dt>
                    <dd>
                        <Copyable shown=format!("\u{2026}{}", id.short()) text=id.to_string() what="task id" />
                    </dd>
                </div>
                {node
                    .map(|node| {
                        view! {
                            <div>
                                <dt>"Machine"</dt>
                                <dd>
                                    <Copyable
                                        shown=format!("\u{2026}{}", node.short())
                                        text=node.to_string()
                                        what="node id"
                                    />
                                </dd>
                            </div>
                        }
                    })}
                <div>
                    <dt>"Agent"</dt>
                    <dd>{task.agent.clone()}</dd>
                </div>
                <div>
                    <dt>"Model calls"</dt>
                    <dd>
                        {part(move || {
                            usage
                                .get()
                                .map(|usage| match usage {
                                    Ok(usage) => used(&usage),
                                    Err(trouble) => trouble.message(),
                                })
                        })}
                    </dd>
                </div>
            </dl>
        </details>
    }
}

fn used(usage: &UsageSummary) -> String {
    let mut line = format!(
        "{}, {} tokens in, {} out",
        words::number(usage.calls),
        words::number(usage.input_tokens),
        words::number(usage.output_tokens)
    );
    if usage.unreported > 0 {
        line.push_str(&format!(
            "; {} without a report",
            words::number(usage.unreported)
        ));
    }
    line
}

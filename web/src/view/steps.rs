//! The steps of a task with the time each took; never a percentage.

use crate::state::app;
use crate::text::words::{self, Shape};
use crate::view::icon::{self, icon};
use leptos::prelude::*;
use sam_domain::task::wire::StepView;
use sam_domain::task::{StepName, TaskState, TaskView};
use sam_domain::time::{Millis, Timestamp};
use std::sync::Arc;

const ORDER: [StepName; 5] = [
    StepName::Placing,
    StepName::Preparing,
    StepName::Starting,
    StepName::Running,
    StepName::Finishing,
];

/// One step as shown.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shown {
    name: StepName,
    shape: Shape,
    /// Time of its parts that are over.
    over: Millis,
    /// When the part that runs began.
    running_since: Option<Timestamp>,
    begun: bool,
    detail: Option<String>,
}

/// The steps of the current attempt: those that were, the one that is, and
/// those to come.
fn shown(task: &TaskView) -> Vec<Shown> {
    ORDER
        .iter()
        .filter_map(|name| {
            let parts: Vec<&StepView> = task
                .steps
                .iter()
                .filter(|step| step.name == *name && step.attempt == task.attempt)
                .collect();
            let over = parts
                .iter()
                .filter_map(|step| step.ended_at.map(|end| end.since(step.started_at).0))
                .sum();
            let last = parts.last();
            // A task that is over has no step that runs, whatever was said last.
            let running_since = last
                .filter(|step| step.ended_at.is_none() && !task.state.is_terminal())
                .map(|step| step.started_at);
            let failed = task.failure.as_ref().is_some_and(|f| f.step == *name);
            let stopped = task.state == TaskState::Cancelled
                && last.is_some()
                && task.steps.last().map(|step| step.name) == Some(*name);
            let shape = match (failed, stopped, running_since, last) {
                (true, ..) => Shape::Failed,
                (_, true, ..) => Shape::Stopped,
                (_, _, Some(_), _) => Shape::Working,
                (_, _, None, Some(_)) => Shape::Done,
                (_, _, None, None) => Shape::Waiting,
            };
            if last.is_none() && task.state.is_terminal() && !failed {
                return None;
            }
            Some(Shown {
                name: *name,
                shape,
                over: Millis(over),
                running_since,
                begun: last.is_some(),
                detail: last
                    .filter(|_| running_since.is_some())
                    .and_then(|step| step.detail.clone()),
            })
        })
        .collect()
}

/// The strip of steps under the head.
#[component]
pub(crate) fn Steps(task: Memo<Option<Arc<TaskView>>>) -> impl IntoView {
    let app = app();
    let steps =
        Memo::new(move |_| task.with(|task| task.as_deref().map(shown).unwrap_or_default()));
    let detail =
        Memo::new(move |_| steps.with(|steps| steps.iter().find_map(|step| step.detail.clone())));
    let total = Memo::new(move |_| {
        task.with(|task| {
            task.as_ref().map(|task| {
                if task.state.is_terminal() {
                    (words::took(task.since.since(task.created_at)), true)
                } else {
                    (words::elapsed(app.now.get().since(task.created_at)), false)
                }
            })
        })
    });
    view! {
        <div class="steps">
            <ol aria-label="Steps">
                {move || {
                    steps
                        .get()
                        .into_iter()
                        .map(|step| {
                            let (word, about) = words::step(step.name);
                            let time = move || match step.running_since {
                                Some(since) => {
                                    Some(
                                        words::elapsed(
                                            Millis(step.over.0 + app.now.get().since(since).0),
                                        ),
                                    )
                                }
                                None => step.begun.then(|| words::took(step.over)),
                            };
                            view! {
                                <li class=step.shape.class() title=about>
                                    {icon(icon::shape(step.shape))}
                                    <span class="word">{word}</span>
                                    <span class="time">{time}</span>
                                </li>
                            }
                        })
                        .collect_view()
                }}
            </ol>
            {move || {
                total
                    .get()
                    .map(|(time, over)| {
                        view! {
                            <span class="total" title="Since it was asked for">
                                {if over { "in all " } else { "so far " }}
                                {time}
                            </span>
                        }
                    })
            }}
        </div>
        {move || detail.get().map(|detail| view! { <p class="step-detail">{detail}</p> })}
    }
}

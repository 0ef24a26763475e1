//! The steps of a task with the time each took; never a percentage.

use crate::state::app;
use crate::text::words::{self, Shape};
use crate::view::dynamic::{Views, part};
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
                {part(move || {
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
                        .views()
                })}
            </ol>
            {part(move || {
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
            })}
        </div>
        {part(move || detail.get().map(|detail| view! { <p class="step-detail">{detail}</p> }))}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn words(task: serde_json::Value) -> String {
        let mut whole = json!({
            "id": "tsk_00000000000000000000000000", "project": "prj_00000000000000000000000000",
            "session": "ses_00000000000000000000000000", "created_by": "usr_00000000000000000000000000",
            "created_at": 0, "title": "t", "agent": "a", "mode": "task", "since": 0, "attempt": 1,
            "rev": 1
        });
        let (Some(whole_map), Some(task)) = (whole.as_object_mut(), task.as_object()) else {
            return String::new();
        };
        whole_map.extend(task.clone());
        let task: TaskView = serde_json::from_value(whole).unwrap();
        shown(&task)
            .iter()
            .map(|step| format!("{} {:?} {}", step.name.word(), step.shape, step.over.0))
            .collect::<Vec<_>>()
            .join(", ")
    }

    #[test]
    fn steps_add_up_their_parts_and_show_what_is_to_come() {
        let steps = json!([
            {"name": "placing", "attempt": 1, "started_at": 0, "ended_at": 5},
            {"name": "running", "attempt": 1, "started_at": 5, "ended_at": 15},
            {"name": "running", "attempt": 1, "started_at": 20, "ended_at": 23},
            {"name": "running", "attempt": 1, "started_at": 30}
        ]);
        assert_eq!(
            words(json!({"state": "running", "steps": steps})),
            "placing Done 5, preparing Waiting 0, starting Waiting 0, running Working 13, finishing Waiting 0"
        );
    }

    #[test]
    fn a_task_that_is_over_shows_only_what_was() {
        let steps = json!([
            {"name": "placing", "attempt": 1, "started_at": 0, "ended_at": 5},
            {"name": "preparing", "attempt": 1, "started_at": 5, "ended_at": 9}
        ]);
        let failure = json!({"step": "preparing", "code": "c", "message": "m", "fault": "system"});
        assert_eq!(
            words(json!({"state": "failed", "steps": steps, "failure": failure})),
            "placing Done 5, preparing Failed 4"
        );
        assert_eq!(
            words(json!({"state": "cancelled", "steps": steps})),
            "placing Done 5, preparing Stopped 4"
        );
    }

    #[test]
    fn only_the_current_attempt_is_shown() {
        let steps = json!([
            {"name": "placing", "attempt": 1, "started_at": 0, "ended_at": 5},
            {"name": "placing", "attempt": 2, "started_at": 9, "ended_at": 10}
        ]);
        assert_eq!(
            words(json!({"state": "completed", "attempt": 2, "steps": steps})),
            "placing Done 1"
        );
    }
}

//! How conversations are grouped in the list.

use sam_domain::conversation::wire::{ActivityState, PromptState, SessionView};
use sam_domain::task::{TaskState, TaskView};

/// A group of conversations, in the order shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Group {
    /// A person has the next word.
    NeedsYou,
    /// Something runs or waits for a machine.
    Working,
    /// Over: completed or cancelled.
    Done,
    /// Failed.
    Failed,
}

impl Group {
    /// All groups in the order shown.
    pub(crate) const ALL: [Self; 4] = [Self::NeedsYou, Self::Working, Self::Done, Self::Failed];

    /// Its heading.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::NeedsYou => "Needs you",
            Self::Working => "Working",
            Self::Done => "Done",
            Self::Failed => "Failed",
        }
    }
}

/// The group of a conversation whose newest task is `task`.
pub(crate) fn group(session: &SessionView, task: Option<&TaskView>) -> Group {
    let state = task.map_or(TaskState::Queued, |task| task.state);
    if state.is_terminal() {
        return if state == TaskState::Failed {
            Group::Failed
        } else {
            Group::Done
        };
    }
    let asked = session
        .activity
        .as_ref()
        .is_some_and(|activity| activity.state == ActivityState::WaitingForPerson);
    if state == TaskState::AwaitingInput || asked {
        Group::NeedsYou
    } else {
        Group::Working
    }
}

/// The newest prompt whose effects nobody knows, while nothing came after it.
pub(crate) fn unknown_prompt(session: &SessionView) -> bool {
    session
        .prompts
        .last()
        .is_some_and(|prompt| prompt.state == PromptState::Unknown)
}

/// Whether `title` holds every word of `filter`, in any case.
pub(crate) fn matches(title: &str, filter: &str) -> bool {
    let title = lowercase(title);
    lowercase(filter)
        .split_whitespace()
        .all(|word| title.contains(word))
}

/// By the browser's tables of letters; Rust's own would have to be downloaded.
#[cfg(target_arch = "wasm32")]
fn lowercase(text: &str) -> String {
    js_sys::JsString::from(text).to_lower_case().into()
}

#[cfg(not(target_arch = "wasm32"))]
fn lowercase(text: &str) -> String {
    text.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_wants_every_word() {
        assert!(matches("Fix the failing test", "TEST fix"));
        assert!(matches("anything", "  "));
        assert!(!matches("Fix the failing test", "fix docs"));
    }

    #[test]
    fn each_state_has_one_group() {
        let groups = TaskState::ALL.map(|state| {
            let session: SessionView = serde_json::from_value(serde_json::json!({
                "id": "ses_00000000000000000000000000", "project": "prj_00000000000000000000000000",
                "title": "t", "created_at": 0, "updated_at": 0,
                "task": "tsk_00000000000000000000000000", "prompts": [], "rev": 1
            }))
            .unwrap();
            let task: TaskView = serde_json::from_value(serde_json::json!({
                "id": "tsk_00000000000000000000000000", "project": "prj_00000000000000000000000000",
                "session": "ses_00000000000000000000000000", "created_by": "usr_00000000000000000000000000",
                "created_at": 0, "title": "t", "agent": "a", "mode": "task", "state": state,
                "since": 0, "attempt": 1, "rev": 1, "steps": []
            }))
            .unwrap();
            group(&session, Some(&task))
        });
        use Group::{Done, Failed, NeedsYou, Working};
        assert_eq!(
            groups,
            [
                Working, Working, Working, Working, Working, NeedsYou, Working, Done, Failed, Done
            ]
        );
    }
}

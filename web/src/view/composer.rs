//! The follow-up: what a person says next in a conversation.

use crate::api::{self, Trouble};
use crate::state::{App, app};
use crate::view::compose::sends;
use crate::view::dynamic::{on, part, value};
use crate::view::icon::{self, icon};
use crate::view::part::trouble_note;
use leptos::ev::SubmitEvent;
use leptos::prelude::*;
use leptos::task::spawn_local;
use sam_domain::conversation::wire::{PromptAccepted, SendPrompt};
use sam_domain::id::SessionId;
use sam_domain::task::{TaskState, TaskView};

/// The composer under a conversation.
#[component]
pub(crate) fn Composer(session: SessionId) -> impl IntoView {
    let app = app();
    let place = session.to_string();
    let text = RwSignal::new(app.draft(&place));
    Effect::new(move |_| text.with(|text| app.keep_draft(&place, text)));
    let busy = RwSignal::new(false);
    let trouble = RwSignal::new(None::<Trouble>);
    let send = {
        let session = session.clone();
        move || {
            let words = text.get_untracked().trim().to_owned();
            if words.is_empty() || busy.get_untracked() {
                return;
            }
            busy.set(true);
            trouble.set(None);
            let session = session.clone();
            spawn_local(async move {
                match prompt(app, &session, words).await {
                    Ok(()) => text.set(String::new()),
                    Err(refused) => trouble.set(Some(refused)),
                }
                busy.set(false);
            });
        }
    };
    let by_button = send.clone();
    let note = Memo::new(move |_| app.task().map(|task| consequence(&task)));
    view! {
        <form
            class="composer docked"
            aria-label="Write to the agent"
            on:submit=on(move |event: SubmitEvent| {
                event.prevent_default();
                by_button();
            })
        >
            {part(move || trouble.get().map(|t| trouble_note(&t)))}
            <div class="field">
                <label class="sr-only" for="follow-up">
                    "Your next prompt"
                </label>
                <textarea
                    id="follow-up"
                    rows="1"
                    placeholder="Write to the agent"
                    aria-describedby="follow-up-note"
                    prop:value=value(move || text.get())
                    on:input=on(move |event| text.set(event_target_value(&event)))
                    on:keydown=on(move |event| {
                        if sends(&event) {
                            event.prevent_default();
                            send();
                        }
                    })
                ></textarea>
                <button
                    type="submit"
                    class="primary round"
                    title="Send (\u{2318}\u{21b5} or Ctrl \u{21b5})"
                    disabled=value(move || busy.get() || text.with(|t| t.trim().is_empty()))
                >
                    {icon(icon::SEND)}
                    <span class="sr-only">"Send"</span>
                </button>
            </div>
            <p id="follow-up-note" class="muted small">
                {part(move || note.get().unwrap_or_default())}
            </p>
        </form>
    }
}

/// What sending does, said before it is done.
fn consequence(task: &TaskView) -> &'static str {
    match task.state {
        TaskState::Completed | TaskState::Failed | TaskState::Cancelled => {
            "This task is over. Sending starts a new task in this conversation, on the same branch."
        }
        TaskState::AwaitingInput => "The agent waits for you.",
        TaskState::Running => "The agent works. Your prompt waits until its turn ends.",
        TaskState::Finishing => "The work is being handed over. Your prompt waits its turn.",
        TaskState::Queued | TaskState::Placing | TaskState::Preparing | TaskState::Starting => {
            "The agent has not started yet. Your prompt waits its turn."
        }
    }
}

async fn prompt(app: App, session: &SessionId, text: String) -> Result<(), Trouble> {
    let project = app.route.with_untracked(|route| route.project().cloned());
    let Some(project) = project else {
        return Ok(());
    };
    let path = format!("/api/projects/{project}/sessions/{session}/prompts");
    let _: PromptAccepted = api::submit(
        &path,
        &SendPrompt {
            text,
            attachments: Vec::new(),
        },
    )
    .await?;
    app.said.set("Sent".to_owned());
    Ok(())
}

//! A new task.

use crate::api::{self, Trouble};
use crate::live::Link;
use crate::nav;
use crate::route::Route;
use crate::state::{App, app};
use crate::view::dynamic::{Views, on, part, value};
use crate::view::icon::{self, icon};
use crate::view::list::BackLink;
use crate::view::part::{Scripted, blank, trouble_note};
use leptos::ev::{KeyboardEvent, SubmitEvent};
use leptos::prelude::*;
use leptos::task::spawn_local;
use sam_domain::agents::PermissionMode;
use sam_domain::conversation::wire::{SubmitTask, Submitted};
use sam_domain::id::{Id, ProjectId};
use sam_domain::task::TaskMode;

/// The pane in which work is described.
#[component]
pub(crate) fn Compose() -> impl IntoView {
    let app = app();
    let gone = Memo::new(move |_| {
        app.live.link.with(|link| match link {
            Link::Gone(trouble) => Some(trouble.clone()),
            _ => None,
        })
    });
    view! {
        {part(move || match gone.get() {
            Some(trouble) => {
                blank(
                        "This project is not here",
                        trouble.message(),
                        view! {
                            <a class="button" href="/">
                                "Go to projects"
                            </a>
                        },
                    )
                    .into_any()
            }
            None => view! { <Form /> }.into_any(),
        })}
    }
}

#[component]
fn Form() -> impl IntoView {
    let app = app();
    let place = app
        .route
        .with_untracked(|route| route.project().map(ToString::to_string))
        .unwrap_or_default();
    let prompt = RwSignal::new(app.draft(&place));
    Effect::new(move |_| prompt.with(|text| app.keep_draft(&place, text)));
    let agent = RwSignal::new(None::<String>);
    let other = RwSignal::new(None::<String>);
    let mode = RwSignal::new(TaskMode::Task);
    let permissions = RwSignal::new(PermissionMode::Full);
    let busy = RwSignal::new(false);
    let trouble = RwSignal::new(None::<Trouble>);
    let project = Memo::new(move |_| app.project());
    let default_agent = move || project.with(|p| p.as_ref().map(|p| p.default_agent.clone()));
    let chosen = Signal::derive(move || agent.get().or_else(default_agent));
    let send = move || {
        let text = prompt.get_untracked().trim().to_owned();
        let project = app.route.with_untracked(|route| route.project().cloned());
        let Some(project) = project.filter(|_| !text.is_empty() && !busy.get_untracked()) else {
            return;
        };
        busy.set(true);
        trouble.set(None);
        let first = agent.get_untracked();
        let (agent, agents) = match other.get_untracked() {
            Some(other) => (
                None,
                first
                    .or_else(default_agent)
                    .into_iter()
                    .chain([other])
                    .collect(),
            ),
            None => (first, Vec::new()),
        };
        let request = SubmitTask {
            agents,
            prompt: text,
            agent,
            mode: mode.get_untracked(),
            base: None,
            permission_mode: permissions.get_untracked(),
            attachments: Vec::new(),
        };
        spawn_local(async move {
            let refused = submit(app, &project, request).await.err();
            if refused.is_none() {
                app.keep_draft(project.as_str(), "");
            }
            busy.set(false);
            trouble.set(refused);
        });
    };
    view! {
        <div class="page compose">
            <header class="page-head">
                <BackLink />
                <h1 tabindex="-1">"New task"</h1>
                <Scripted />
            </header>
            <p class="lead">
                {part(move || {
                    project
                        .with(|p| {
                            p.as_ref()
                                .map(|p| {
                                    view! {
                                        "Describe a piece of work in "
                                        <strong>{p.name.clone()}</strong>
                                        ". An agent does it in a checkout of its own and hands back a branch."
                                    }
                                })
                        })
                })}
            </p>
            <form
                class="composer"
                on:submit=on(move |event: SubmitEvent| {
                    event.prevent_default();
                    send();
                })
            >
                <label class="sr-only" for="prompt">
                    "What is to be done"
                </label>
                <textarea
                    id="prompt"
                    rows="5"
                    placeholder="What is to be done?"
                    prop:value=value(move || prompt.get())
                    on:input=on(move |event| prompt.set(event_target_value(&event)))
                    on:keydown=on(move |event| {
                        if sends(&event) {
                            event.prevent_default();
                            send();
                        }
                    })
                ></textarea>
                <div class="controls">
                    <label class="choice">
                        <span>"Agent"</span>
                        <AgentChoice agent chosen />
                    </label>
                    <label class="choice">
                        <span>"Compared with"</span>
                        <OtherChoice other chosen />
                    </label>
                    <label class="choice">
                        <span>"Ends"</span>
                        <select on:change=on(move |event| {
                            mode.set(
                                if event_target_value(&event) == "conversation" {
                                    TaskMode::Conversation
                                } else {
                                    TaskMode::Task
                                },
                            );
                        })>
                            <option value="task">"when the agent is done"</option>
                            <option value="conversation">"when I finish it"</option>
                        </select>
                    </label>
                    <label class="choice">
                        <span>"Permissions"</span>
                        <PermissionChoice
                            permissions
                            agent=chosen
                        />
                    </label>
                    <span class="gap"></span>
                    <button
                        type="submit"
                        class="primary"
                        disabled=value(move || busy.get() || prompt.with(|p| p.trim().is_empty()))
                    >
                        {icon(icon::SEND)}
                        {part(move || if busy.get() { "Starting\u{2026}" } else { "Start task" })}
                    </button>
                </div>
            </form>
            <p class="muted small under">
                <kbd>"\u{2318}\u{21b5}"</kbd>
                " or "
                <kbd>"Ctrl \u{21b5}"</kbd>
                " starts it."
            </p>
            {part(move || trouble.get().map(|t| trouble_note(&t)))}
        </div>
    }
}

/// The catalogue's agents, each with its name and how well it is known to work.
fn known_agents(app: App) -> Vec<(String, String)> {
    app.catalog.with(|catalog| {
        let agents = catalog.iter().flat_map(|catalog| catalog.agents.iter());
        agents
            .map(|agent| {
                let mut label = agent.name.clone();
                if agent.status != "verified" {
                    label = format!("{label} ({})", agent.status);
                }
                (agent.id.clone(), label)
            })
            .collect()
    })
}

/// Agents to choose from, by their ids and what is shown of them.
fn agent_options(agents: Vec<(String, String)>, chosen: Option<&str>) -> Vec<AnyView> {
    agents
        .into_iter()
        .map(|(id, label)| {
            let selected = chosen == Some(&id);
            view! {
                <option value=id prop:selected=selected>
                    {label}
                </option>
            }
        })
        .views()
}

/// Who does the work; the project's own choice is chosen at first.
#[component]
fn AgentChoice(agent: RwSignal<Option<String>>, chosen: Signal<Option<String>>) -> impl IntoView {
    let app = app();
    view! {
        <select on:change=on(move |event| agent.set(Some(event_target_value(&event))))>
            {part(move || agent_options(known_agents(app), chosen.get().as_deref()))}
        </select>
    }
}

/// Who does the same work as well, in a conversation and on a branch of its own.
#[component]
fn OtherChoice(other: RwSignal<Option<String>>, chosen: Signal<Option<String>>) -> impl IntoView {
    let app = app();
    // Nobody is compared with themselves.
    Effect::new(move |_| {
        if chosen.with(|chosen| chosen.is_some() && other.with_untracked(|other| other == chosen)) {
            other.set(None);
        }
    });
    view! {
        <select on:change=on(move |event| {
            other.set(Some(event_target_value(&event)).filter(|id| !id.is_empty()));
        })>
            <option value="">"no other"</option>
            {part(move || {
                let mut agents = known_agents(app);
                agents.retain(|(id, _)| chosen.with(|chosen| chosen.as_ref() != Some(id)));
                agent_options(agents, other.get().as_deref())
            })}
        </select>
    }
}

/// The permission modes that an agent has; another agent begins with the usual one.
#[component]
fn PermissionChoice(
    permissions: RwSignal<PermissionMode>,
    agent: Signal<Option<String>>,
) -> impl IntoView {
    let app = app();
    let offered = Memo::new(move |_| {
        let chosen = agent.get();
        app.catalog.with(|catalog| {
            let agents = &catalog.as_ref()?.agents;
            let agent = agents.iter().find(|one| Some(&one.id) == chosen.as_ref())?;
            Some(agent.permission_modes.clone())
        })
    });
    Effect::new(move |_| {
        offered.track();
        permissions.set(PermissionMode::default());
    });
    view! {
        <select
            id="permissions"
            on:change=on(move |event| {
                let word = event_target_value(&event);
                let mode = PermissionMode::ALL.into_iter().find(|m| m.word() == word);
                permissions.set(mode.unwrap_or_default());
            })
        >
            {part(move || {
                let offered = offered.get().unwrap_or_default();
                let modes = PermissionMode::ALL.into_iter().rev();
                modes
                    .filter(|mode| mode.is_default() || offered.contains(mode))
                    .map(|mode| {
                        let label = match mode {
                            PermissionMode::Full => "full",
                            PermissionMode::AcceptEdits => "edit, ask before running",
                            PermissionMode::Ask => "ask before each step",
                            PermissionMode::Plan => "plan only",
                        };
                        view! {
                            <option value=mode.word() selected=mode.is_default()>
                                {label}
                            </option>
                        }
                    })
                    .views()
            })}
        </select>
    }
}

async fn submit(app: App, project: &ProjectId, request: SubmitTask) -> Result<(), Trouble> {
    let answer: Submitted =
        api::submit(&format!("/api/projects/{project}/tasks"), &request).await?;
    nav::go(app, Route::Session(project.clone(), answer.session));
    Ok(())
}

/// Whether a key press sends what is written.
pub(crate) fn sends(event: &KeyboardEvent) -> bool {
    event.key() == "Enter" && (event.meta_key() || event.ctrl_key()) && !event.is_composing()
}
